"""Reads a dataset: ours, and the layout that LongRLVR's data is published in.

That one is a single `train.parquet` with `data_source`, `prompt`, `reward_model.ground_truth` and
`extra_info.{question, ref_chunks, ref_chunks_text}`: no `qa_id`, and no `answer` in `extra_info`.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen import seal, shards, stores
from datagen.dataset.schema import SPLITS
from datagen.errors import InputError, reason
from datagen.grounding.rewards import chunk_ids
from datagen.run.paths import CARD, DATA, DATASET, PROVENANCE

NEEDED = ("prompt", "extra_info.question", "extra_info.ref_chunks")
ANSWER = ("reward_model.ground_truth", "extra_info.answer")  # the first that is there
FORMAT = "docs/dataset.md has the columns"
_SHOWN = re.compile(r"</CHUNK_([0-9]{1,9})>")
_NONE = "no dataset is there: give a finished run, or a folder with train.parquet or data/train-*.parquet"
KINDS = {str: "text", list: "a list of messages", dict: "an object with named fields"}
TEXTS = "ref_chunks_text"
ROWS = 8  # held in memory at a time: a row is a whole document
BUFFER = 1 << 18  # bytes of a column that are read ahead: without one, a column of a whole row group is


@dataclass(frozen=True)
class Row:
    """What both layouts have in common."""

    where: str  # the file and the row's number in it, from 1, for a sentence
    qa_id: str  # of a row without one, or with that of an earlier row: its file's name and number
    messages: list[dict[str, str]]
    question: str
    answer: str
    ref_chunks: tuple[int, ...]  # as the prompt numbers them
    evidence: tuple[str, ...]  # their text; none where the dataset has no such column


def find(path: str) -> dict[str, list[Path]]:
    """The files of each split, in a run directory, a dataset's folder or one file; what is in a store is brought here
    first. Raises InputError without any, UserError for what a store refuses.
    """
    root = _brought(path) if "://" in path and not shards.is_local(path) else Path(path)
    if root.is_file():
        return {"train": [root], "validation": []}
    for folder in (root / DATASET / DATA, root / DATA, root):
        files = {
            split: sorted(folder.glob(f"{split}-*.parquet")) or sorted(folder.glob(f"{split}.parquet"))
            for split in SPLITS
        }
        if files["train"]:
            return files
    raise InputError(f"{path}: {_NONE}")


def _brought(address: str) -> Path:
    """A copy, while this process lives, of the first folder at an address that has train files, or of one file."""
    into = Path(tempfile.mkdtemp(prefix="longrlvr-data-"))
    atexit.register(shutil.rmtree, into, ignore_errors=True)
    if address.endswith(shards.SUFFIX) and shards.exists(address):
        stores.fetch(address, into / "train.parquet")
        return into / "train.parquet"
    for folder, inner in ((shards.join(address, DATASET), DATA), (address, DATA), (address, "")):
        where = shards.join(*filter(None, (folder, inner)))
        found = [name + shards.SUFFIX for name in shards.names(where) if name.startswith(SPLITS)]
        if any(name.startswith(SPLITS[0]) for name in found):
            (into / inner).mkdir(exist_ok=True)
            for name in found:
                stores.fetch(shards.join(where, name), into / inner / name)
            for name in (CARD, PROVENANCE):
                if shards.exists(shards.join(folder, name)):
                    stores.fetch(shards.join(folder, name), into / name)
            return into
    raise InputError(f"{address}: {_NONE}")


def rows(files: list[Path]) -> Iterator[Row]:
    """The rows of some files, a few in memory at a time, whatever the row groups are.

    Raises InputError, naming file, row and column, for a file that is damaged or lacks a column, and for a row with a
    value of another type than its column's, or without evidence or answer.
    """
    return (row for row, _ in _read(files, whole=False))


def whole_rows(files: list[Path]) -> Iterator[tuple[Row, dict[str, Any]]]:
    """The rows of some files as `rows` has them, each with all of its columns. Raises InputError as `rows` does."""
    return _read(files, whole=True)


def _read(files: list[Path], whole: bool) -> Iterator[tuple[Row, dict[str, Any]]]:
    seen: set[str] = set()
    for file in files:
        try:
            with pa.OSFile(str(file), "rb") as f:
                seal.check(f, whole)
                parquet = pq.ParquetFile(f, buffer_size=BUFFER, pre_buffer=False, page_checksum_verification=True)
                columns = _columns(file, parquet)
                batches = parquet.iter_batches(ROWS, columns=None if whole else columns, use_threads=False)
                for number, raw in enumerate((raw for batch in batches for raw in batch.to_pylist()), 1):
                    row = _row(raw, file, number, seen)
                    seen.add(row.qa_id)
                    yield row, raw
        except (OSError, ValueError) as e:
            raise InputError(f"{file} cannot be read as parquet: {reason(e)}") from e


def _row(raw: dict[str, Any], file: Path, number: int, seen: Set[str]) -> Row:
    where = f"{file}, row {number}"
    info = _typed(where, "extra_info", raw["extra_info"], dict)
    question = _typed(where, "extra_info.question", info["question"], str)
    if "reward_model" in raw:
        of, column = _typed(where, "reward_model", raw["reward_model"], dict)["ground_truth"], ANSWER[0]
    else:
        of, column = info["answer"], ANSWER[1]
    answer = _typed(where, f"{column}, the answer,", of, str)
    if not answer.strip():
        raise InputError(f"{where}: {column}, the answer, is empty: every response would be right, or none. {FORMAT}")
    qa_id = info.get("qa_id")
    name = "" if qa_id is None else str(qa_id)
    if not name or name in seen:
        name = f"{file.stem}/{number}"
    messages = _messages(where, raw["prompt"])
    refs, texts = _evidence(where, info["ref_chunks"], messages), _texts(where, info.get(TEXTS))
    return Row(where, name, messages, question, answer, refs, texts)


def _evidence(where: str, value: Any, messages: list[dict[str, str]]) -> tuple[int, ...]:
    if isinstance(value, list) and not value:
        raise InputError(f"{where}: ref_chunks is empty: there is no evidence to reward")
    try:
        refs = tuple(chunk_ids(value))
    except TypeError as e:
        raise InputError(f"{where}: extra_info.ref_chunks: {e}. {FORMAT}") from e
    if min(refs) < 0:
        raise InputError(f"{where}: extra_info.ref_chunks: {min(refs)} is no number of a chunk. {FORMAT}")
    shown = {int(number) for message in messages for number in _SHOWN.findall(message["content"])}
    if shown and (beyond := set(refs) - shown):  # no response could be right, and nothing would tell why
        what = f"{min(beyond)} is no chunk that the prompt shows ({min(shown)} to {max(shown)})"
        raise InputError(f"{where}: extra_info.ref_chunks: {what}. {FORMAT}")
    return refs


def _texts(where: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InputError(f"{where}: extra_info.{TEXTS} is not a list of texts, but {value!r:.60}. {FORMAT}")
    return tuple(value)


def _messages(where: str, value: Any) -> list[dict[str, str]]:
    messages = _typed(where, "prompt", value, list)
    if not messages:
        raise InputError(f"{where}: prompt is empty. {FORMAT}")
    for message in messages:
        _typed(where, "prompt", message, dict)
        for part in ("role", "content"):
            _typed(where, f"prompt[].{part}", message.get(part), str)
    return messages


def _typed(where: str, column: str, value: Any, kind: type) -> Any:
    """The value. Raises InputError, naming row and column, if it is of another kind."""
    if not isinstance(value, kind):
        raise InputError(f"{where}: {column} is not {KINDS[kind]}, but {value!r:.60}. {FORMAT}")
    return value


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
    return [*needed, *(name for name in ("extra_info.qa_id", f"extra_info.{TEXTS}") if name in there)]
