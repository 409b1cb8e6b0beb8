"""The rows of a benchmark's files: JSON, JSON lines, parquet, or a dataset of the Hub. Strict: nothing is passed over.

A row is a whole document, so few are held at a time, be the file one array of JSON of half a gigabyte.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.config.data import InputConfig
from datagen.errors import InputError, reason
from datagen.text import sources
from datagen.text.files import File

HELD = 4  # rows of a parquet file that are in memory at a time
BLOCK = 1 << 20  # bytes of a JSON file that are read at a time
BUFFER = 1 << 18  # bytes of a parquet column that are read ahead: without one, a column of a whole row group is
_BETWEEN = re.compile(r"[\s,]*")
_KINDS = {str: "text", int: "a whole number", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Row:
    """A row of a file. `where` names both in a sentence, `number` counts from 1, `format` says what columns it has."""

    where: str
    file: File
    number: int
    values: dict[str, Any]
    format: str

    def text(self, column: str) -> str:
        """A text that is not blank. Raises InputError, naming file, row and column."""
        found = self.typed(column, str)
        if not found.strip():
            raise self.wrong(f"{column} is empty")
        try:
            found.encode()
        except UnicodeEncodeError as e:
            raise self.wrong(f"{column} holds half a character (a lone surrogate), at character {e.start}") from None
        return found

    def typed(self, column: str, kind: type) -> Any:
        """A value of this type. Raises InputError, naming file, row and column."""
        if column not in self.values:
            raise self.wrong(f"it has no column {column}")
        found = self.values[column]
        if not isinstance(found, kind) or isinstance(found, bool):
            raise self.wrong(f"{column} is not {_KINDS[kind]}, but {found!r:.60}")
        return found

    def letter(self, column: str, letters: str) -> str:
        """One of these letters. Raises InputError, naming file, row and column."""
        found = self.text(column).strip()
        if found not in letters or len(found) != 1:
            raise self.wrong(f"{column} is not one of the letters {', '.join(letters)}, but {found!r:.60}")
        return found

    def wrong(self, what: str) -> InputError:
        """The error that says what is wrong with this row."""
        return InputError(f"{self.where}: {what}. {self.format}")


def find(path: str) -> list[File]:
    """The files of a benchmark behind a file, a folder or `hf://owner/name`. Raises InputError where there is none."""
    data = ("jsonl", "json", "parquet", "hf")  # a README is none
    files = [file for file in sources.find(path)[0] if file.kind in data]
    if not files:
        raise InputError(f"{path}: it holds no .json, .jsonl or .parquet file, which are what benchmarks come in")
    return files


def rows(files: Sequence[File], settings: InputConfig, columns: Sequence[str], format: str) -> Iterator[Row]:
    """The rows of these files. Of a parquet file, only these columns are read.

    Raises InputError, naming file and row, for a file that cannot be read, and for a row that is no object.
    """
    for file in files:
        name = file.path if file.kind == "hf" else file.name
        for number, values in enumerate(_values(file, settings, columns), 1):
            where = f"{name}, row {number}"
            if not isinstance(values, dict):
                raise InputError(f"{where}: it is no JSON object, but {values!r:.60}. {format}")
            yield Row(where, file, number, values, format)


def _values(file: File, settings: InputConfig, columns: Sequence[str]) -> Iterator[Any]:
    if file.kind == "hf":
        yield from sources.load_hf(file, settings)
    elif file.kind == "parquet":
        yield from _of_parquet(file, columns)
    else:
        yield from _of_json(file)


def _of_parquet(file: File, columns: Sequence[str]) -> Iterator[Any]:
    try:
        with pa.OSFile(file.path, "rb") as f:
            parquet = pq.ParquetFile(f, buffer_size=BUFFER, pre_buffer=False)
            there = [name for name in parquet.schema_arrow.names if name in columns]
            for batch in parquet.iter_batches(HELD, columns=there, use_threads=False):
                yield from batch.to_pylist()
    except (OSError, ValueError) as e:
        raise InputError(f"{file.path} cannot be read as parquet: {reason(e)}") from e


def _of_json(file: File, block: int = BLOCK) -> Iterator[Any]:
    """The values of the array that a file holds, or of its lines, as they come."""
    decoder, number, at = json.JSONDecoder(), 0, 0
    try:
        with sources.opened(file) as stream:
            text = codecs.getincrementaldecoder("utf-8-sig")()
            held, ended = "", False
            while not (held := held.lstrip()) and not ended:
                read = stream.read(block)
                held, ended = held + text.decode(read, final=not read), not read
            is_array = held.startswith("[")
            at = int(is_array)
            while True:
                at = _after(held, at)
                if is_array and held.startswith("]", at):
                    return
                if ended and at == len(held) and not is_array:
                    return
                try:
                    found, end = decoder.raw_decode(held, at)
                except json.JSONDecodeError:
                    if ended:
                        raise
                    read = stream.read(max(block, len(held) - at))  # so that a long row is not looked at often
                    held, at, ended = held[at:] + text.decode(read, final=not read), 0, not read
                    continue
                number, at = number + 1, end
                yield found
    except (ValueError, RecursionError, *sources.DAMAGE) as e:
        raise InputError(f"{file.name}, row {number + 1}: cannot be read as JSON: {reason(e)}") from e


def _after(text: str, at: int) -> int:
    """Where what stands between two values ends."""
    match = _BETWEEN.match(text, at)
    return match.end() if match else at
