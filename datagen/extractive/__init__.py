"""The embedded, model-free generator (`cloze`) and verifier (`rules`) of multi-evidence cloze questions."""

from datagen.extractive.cloze import Cloze, Shortage, candidates, numbered
from datagen.extractive.document import DocumentIndex
from datagen.extractive.rules import Limits, Verdict, check

__all__ = ["Cloze", "DocumentIndex", "Limits", "Shortage", "Verdict", "candidates", "check", "numbered"]
