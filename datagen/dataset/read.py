"""Reads a dataset: ours, and the layout that LongRLVR's data is published in.

That one is a single `train.parquet` with `data_source`, `prompt`, `reward_model.ground_truth` and
`extra_info.{question, ref_chunks, ref_chunks_text}`: no `qa_id`, and no `answer` in `extra_info`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from datagen.dataset.schema import SPLITS
from datagen.errors import InputError
from datagen.grounding.rewards import chunk_ids
from datagen.run.paths import DATA, DATASET

NEEDED = ("prompt", "extra_info.question", "extra_info.ref_chunks")
ANSWER = ("reward_model.ground_truth", "extra_info.answer")  # the first that is there
FORMAT = "docs/dataset.md has the columns"


@dataclass(frozen=True)
class Row:
    """What both layouts have in common."""

    where: str  # the file and the row's number in it, from 1, for a sentence
    qa_id: str  # of a row without one: its file's name and number
    messages: list[dict[str, str]]
    question: str
    answer: str
    ref_chunks: tuple[int, ...]  # as the prompt numbers them


def find(path: str) -> dict[str, list[Path]]:
    """The files of each split, in a run directory, a dataset's folder or one file. Raises InputError without any."""
    root = Path(path)
    if root.is_file():
        return {"train": [root], "validation": []}
    for folder in (root / DATASET / DATA, root / DATA, root):
        files = {
            split: sorted(folder.glob(f"{split}-*.parquet")) or sorted(folder.glob(f"{split}.parquet"))
            for split in SPLITS
        }
        if files["train"]:
            return files
    raise InputError(
        f"{path}: no dataset is there: give a finished run, or a folder with train.parquet or data/train-*.parquet"
    )


def rows(files: list[Path]) -> Iterator[Row]:
    """The rows of some files, a row group in memory at a time.

    Raises InputError, naming file and row, for a file that is damaged or lacks a column, and for a row whose evidence
    is empty.
    """
    for file in files:
        try:
            parquet = pq.ParquetFile(file)
            columns = _columns(file, parquet)
            number = 0
            for group in range(parquet.num_row_groups):
                for raw in parquet.read_row_group(group, columns).to_pylist():
                    number += 1
                    yield _row(raw, file, number)
        except (OSError, ValueError) as e:
            raise InputError(f"{file} cannot be read as parquet: {str(e).splitlines()[0]}") from e


def _row(raw: dict[str, Any], file: Path, number: int) -> Row:
    where, info = f"{file}, row {number}", raw["extra_info"]
    answer = raw["reward_model"]["ground_truth"] if "reward_model" in raw else info["answer"]
    for name, value in (("question", info["question"]), ("the answer", answer)):
        if not isinstance(value, str):
            raise InputError(f"{where}: {name} is not text, but {value!r}. {FORMAT}")
    if not info["ref_chunks"]:
        raise InputError(f"{where}: ref_chunks is empty: there is no evidence to reward")
    try:
        refs = tuple(chunk_ids(info["ref_chunks"]))
    except TypeError as e:
        raise InputError(f"{where}: {e}. {FORMAT}") from e
    qa_id = info.get("qa_id") or f"{file.stem}/{number}"
    return Row(where, qa_id, raw["prompt"], info["question"], answer, refs)


def _columns(file: Path, parquet: pq.ParquetFile) -> list[str]:
    """The columns to read. Raises InputError if one that is needed is missing."""
    there = set()
    for field in parquet.schema_arrow:
        inner = [field.type.field(i).name for i in range(field.type.num_fields)]
        there |= {field.name} | {f"{field.name}.{name}" for name in inner}
    answer = next((name for name in ANSWER if name in there), ANSWER[0])
    needed = [*NEEDED, answer]
    if missing := [name for name in needed if name not in there]:
        raise InputError(f"{file} has no {', '.join(missing)}: it can't be trained on. {FORMAT}")
    return [*needed, *({"extra_info.qa_id"} & there)]
