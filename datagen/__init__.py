"""longrlvr-data: grounded long-context training data, from raw documents to a dataset."""

__version__ = "0.1.0"
