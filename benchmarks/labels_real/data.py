"""The candidates and the pairs of answers, written by hand; what is true of them stands beside them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

FOLDER = Path(__file__).parent
CHAPTERS, BEFORE = FOLDER / "chapters", FOLDER / "before"
LANGUAGES = ("en", "fr", "de")
CHECKS = ("lint", "quality", "closed_book", "sufficiency", "necessity", "completeness")
KINDS = (
    "good",
    "wrong answer",
    "evidence missing",
    "evidence extra",
    "evidence wrong",
    "answerable without the document",
    "ambiguous",
    "answered by another passage too",
)
SAME = (
    "other wording",
    "other notation",
    "other form of a name",
    "other order of a list",
    "longer, but the same",
    "abbreviation",
)
DIFFERENT = (
    "another place",
    "another person",
    "another number or unit",
    "part of a list",
    "one more in a list",
    "negation",
    "less definite",
    "more specific",
    "the opposite",
)
Should = Literal["pass", "reject"]
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """A candidate. `passages` are its whole document, `evidence` those that it cites.

    `right` is the right answer, and `rests_on` the words in the passages that it is read off or worked out from.
    `sufficient` are the minimal sets of passages that give it; where all of `clash` are in view, too, the question fits
    two things. `should` has what each check should say, or None: that is not defined, and
    the check is not made. A cited passage that is not needed is for `necessity` to find, which counts as a rejection.
    """

    id: str
    kind: str
    passages: list[str]
    question: str
    answer: str
    evidence: list[int]
    right: str
    rests_on: list[str]
    sufficient: list[list[int]]
    clash: list[int]
    should: dict[str, Should | None]

    @property
    def language(self) -> str:
        return self.id[:2]


@dataclass(frozen=True)
class Pair:
    """Two answers to one question: whether they say the same, and what tells them apart."""

    id: str
    kind: str
    question: str
    reference: str
    other: str
    same: bool

    @property
    def language(self) -> str:
        return self.id[:2]


def rows(languages: Iterable[str] = LANGUAGES) -> list[Row]:
    return [Row(**row) for language in languages for row in _read(f"candidates-{language}.jsonl")]


def pairs(languages: Iterable[str] = LANGUAGES) -> list[Pair]:
    return [Pair(**pair) for language in languages for pair in _read(f"pairs-{language}.jsonl")]


def third(items: Sequence[T], seed: int) -> list[T]:
    """A third of them, drawn, in their order."""
    chosen = random.Random(seed).sample(range(len(items)), -(-len(items) // 3))
    return [items[i] for i in sorted(chosen)]


def _read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]
