"""LongBench v2: multiple-choice questions about long contexts of six domains (Bai et al. 2024, arXiv 2412.15204)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datagen.config.data import InputConfig
from datagen.evaluate.item import Item
from datagen.evaluate.rows import rows
from datagen.text.files import File

LETTERS = "ABCD"
COLUMNS = ("_id", "domain", "difficulty", "length", "question", *(f"choice_{c}" for c in LETTERS), "answer", "context")
FORMAT = f"A row of LongBench v2 (data.json) has the columns {', '.join(COLUMNS)}"


def items(files: Sequence[File], settings: InputConfig) -> Iterator[Item]:
    """The questions. Raises InputError, naming file, row and column."""
    for row in rows(files, settings, COLUMNS, FORMAT):
        yield Item(
            benchmark="longbench-v2",
            item_id=row.text("_id"),
            kind="choice",
            question=row.text("question"),
            choices=[row.text(f"choice_{letter}") for letter in LETTERS],
            gold=[row.letter("answer", LETTERS)],
            document=row.text("context"),
            length=row.text("length"),
            difficulty=row.text("difficulty"),
            domain=row.text("domain"),
        )
