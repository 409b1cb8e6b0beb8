"""The embedded, model-free generator (`cloze`) and verifier (`rules`) of multi-evidence cloze questions."""

from datagen.tasks.cloze.compose import Cloze, Shortage, candidates, numbered
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.rules import Limits, check

__all__ = ["Cloze", "DocumentIndex", "Limits", "Shortage", "candidates", "check", "numbered"]
