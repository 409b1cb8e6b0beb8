"""What was kept, held against what is true.

A label is *exactly right* if the cited chunks suffice for the question, none of them can be spared, no other set of
chunks would do as well, and the question can be taken in one way only. The *lenient* count forgives the last two: the
chunks cited are one of the minimal sufficient sets, for the reading that the answer belongs to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .documents import World
from .values import same

MISSING, EXTRA, WRONG = "a needed chunk is missing", "a chunk is too many", "the answer is wrong"
VAGUE, OTHER = "the question fits two things", "other chunks would do as well"


@dataclass(frozen=True)
class Label:
    """A kept row. `precision` and `recall` are of its chunks against the minimal sufficient set that is nearest."""

    doc_id: str
    question: str
    kind: str
    answer: str
    evidence: frozenset[int]
    nearest: frozenset[int]
    right_answer: str
    faults: tuple[str, ...]

    @property
    def precision(self) -> float:
        return len(self.evidence & self.nearest) / len(self.evidence)

    @property
    def recall(self) -> float:
        return len(self.evidence & self.nearest) / len(self.nearest)

    @property
    def exact(self) -> bool:
        return not set(self.faults) - {WRONG}

    @property
    def lenient(self) -> bool:
        return not {MISSING, EXTRA} & set(self.faults)

    @property
    def answered(self) -> bool:
        return WRONG not in self.faults


def label(world: World, question: str, answer: str, evidence: Iterable[int]) -> Label:
    """What is right and wrong about a question as it was asked."""
    asked, document, cited = world.questions[question], world.homes[question], frozenset(evidence)
    right = [reading for reading in asked.readings if same(answer, reading.answer, reading.asks)]
    reading = right[0] if right else asked
    sets = document.sufficient(reading)
    nearest = max(sets, key=lambda chunks: (len(chunks & cited) / (len(chunks) + len(cited)), sorted(chunks)))
    found = {
        MISSING: bool(nearest - cited),
        EXTRA: bool(cited - nearest),
        WRONG: not right,
        VAGUE: asked.rival is not None,
        OTHER: len(sets) > 1,
    }
    faults = tuple(fault for fault, there in found.items() if there)
    return Label(document.doc_id, question, asked.kind, answer, cited, nearest, reading.answer, faults)


@dataclass(frozen=True)
class Outcome:
    """Of one way to judge, at one level of error."""

    labels: list[Label]
    documents: int
    candidates: int
    calls: dict[str, int]  # requests, by the prompt's name
    dropped: dict[str, int]  # candidates, by the reason

    def summary(self) -> dict[str, Any]:
        """Shares of the rows kept, and what they cost. None where nothing was kept."""
        n, calls = len(self.labels), sum(self.calls.values())
        correct = sum(row.exact and row.answered for row in self.labels)
        forgiven = sum(row.lenient and row.answered for row in self.labels)
        shares = {
            "exact": [row.exact for row in self.labels],
            "lenient": [row.lenient for row in self.labels],
            "precision": [row.precision for row in self.labels],
            "recall": [row.recall for row in self.labels],
            "wrong_answers": [not row.answered for row in self.labels],
        }
        return {
            "candidates": self.candidates,
            "kept": n,
            "kept_per_document": n / self.documents,
            "kept_per_candidate": n / self.candidates,
            **{name: fmean(values) if n else None for name, values in shares.items()},
            "calls": calls,
            "calls_per_kept": calls / n if n else None,
            "calls_per_correct": calls / correct if correct else None,
            "calls_per_lenient": calls / forgiven if forgiven else None,
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """Requests by what they are for, candidates dropped by the reason, rows kept by their faults."""
        return {"calls_by_check": self.calls, "dropped": self.dropped, "faults": dict(self.faults())}

    def faults(self) -> Counter[str]:
        return Counter(fault for row in self.labels for fault in row.faults)

    def faults_by_kind(self) -> dict[str, tuple[int, int]]:
        """(rows with a fault, rows) for every kind of question."""
        rows = Counter(row.kind for row in self.labels)
        faulty = Counter(row.kind for row in self.labels if row.faults)
        return {kind: (faulty[kind], n) for kind, n in sorted(rows.items())}
