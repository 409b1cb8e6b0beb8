"""Documents of other formats as the text that a person would read: a file a format, and `reader` that calls them.

`pdf`, `docx`, `epub`, `html` and `notebook` each take a file and give `Extracted`. They run in a process of their own
(`worker`), because the libraries under them are written in C and their input by strangers.
"""
