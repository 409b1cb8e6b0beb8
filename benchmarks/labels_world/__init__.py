"""A world whose labels are known, and a language model that errs at set rates: what `labels.py` measures with.

facts.py      what a document can say, and in which words
kinds.py      questions over several facts, with everything that makes them hard to label
documents.py  documents of chunks in which the facts are planted, and which sets of chunks suffice
rates.py      how often the model errs
values.py     one value in many words, and whether two wordings say the same
model.py      the model: a prompt in, a reply out
runs.py       the stages, run over that world with that model
measures.py   what was kept, held against what is true
"""
