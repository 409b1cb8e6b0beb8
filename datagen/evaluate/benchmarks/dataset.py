"""Held-out rows of a dataset of our own: their prompts as they stand, of which the evidence is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datagen.config.data import InputConfig
from datagen.dataset import read
from datagen.errors import InputError
from datagen.evaluate.item import Item
from datagen.text.files import File


def find(path: str) -> list[File]:
    """The files of the validation split of a run or a dataset's folder; one file as it is. Raises InputError where
    there is no such split.
    """
    found = read.find(path)
    files = found["validation"] or (found["train"] if path.endswith(".parquet") else [])
    if not files:
        raise InputError(
            f"{path}: the dataset has no validation split, and rows that a model was trained on tell nothing. Choose "
            "one (`longrlvr-data select … --set select.validation_fraction=0.05 --resume never`), or name a file of "
            "rows that were held out"
        )
    return [File(str(file.absolute()), file.name, "parquet", None) for file in files]


def items(files: Sequence[File], settings: InputConfig) -> Iterator[Item]:
    """The rows. Raises InputError as `datagen.dataset.read.rows` does."""
    for row, values in read.whole_rows([Path(file.path) for file in files]):
        info: dict[str, Any] = values["extra_info"]
        yield Item(
            benchmark="dataset",
            item_id=row.qa_id,
            kind="answer",
            question=row.question,
            gold=[row.answer],
            messages=row.messages,
            gold_chunks=list(row.ref_chunks),
            domain=info.get("generator") or "",
        )
