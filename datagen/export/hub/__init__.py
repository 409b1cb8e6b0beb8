"""A dataset for the Hugging Face Hub: three configurations, a card, and the way there.

`tables` parts rows into questions and documents, `documents` keeps each document once, `card` writes the card, `origin`
says what a dataset was made from as it may be shown to anybody, `write` makes the folder and `push` uploads it.
"""
