"""longrlvr-data: grounded long-context training data, from raw documents to a dataset.

The Python API: `score` rewards a response to a row of a dataset, and `read_response` says what a response cites and
answers.
"""

from datagen.grounding import read_response, score

__version__ = "0.1.0"
__all__ = ["read_response", "score"]
