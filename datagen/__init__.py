"""longrlvr-data: grounded long-context training data, from raw documents to a dataset.

The Python API: `Run` reads what a run has written, `score` rewards a response to a row of a dataset, `read_response`
says what a response cites and answers, and `ask` asks a model about a document.
"""

from typing import TYPE_CHECKING, Any

from datagen.grounding import read_response, score

if TYPE_CHECKING:
    from datagen.answering.ask import ask
    from datagen.run.run import Run

__version__ = "0.1.0"
__all__ = ["Run", "ask", "read_response", "score"]


def __getattr__(name: str) -> Any:
    """`Run` and `ask` are imported when they are asked for: a reward needs none of what they need."""
    if name == "Run":
        from datagen.run.run import Run

        return Run
    if name == "ask":
        from datagen.answering.ask import ask

        return ask
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
