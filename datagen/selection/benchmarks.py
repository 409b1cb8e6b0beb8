"""Reads the files of benchmarks, local or at any fsspec address: every text in them, and a hash of what they hold."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from datagen.errors import ConfigError

LINES, WHOLE, PARQUET, TEXT = "lines", "whole", "parquet", "text"
KINDS = {".jsonl": LINES, ".ndjson": LINES, ".json": WHOLE, ".parquet": PARQUET, ".txt": TEXT, ".md": TEXT}
PACKED = (".gz", ".bz2", ".xz", ".zst")
RECORDS = 16  # of a parquet file, read at a time: one may be a whole book
BLOCK = 1 << 20
MOST = 256 << 20  # bytes of a text, a line or a whole JSON document, unpacked


def name(path: str) -> str:
    """What a benchmark file is called in messages."""
    return path.rstrip("/").rsplit("/", 1)[-1]


def check(paths: Sequence[str]) -> None:
    """Raises ConfigError if one of the files is missing, of an unknown kind, or does not begin as its kind does."""
    for path in paths:
        next(texts(path), None)


def digests(paths: Sequence[str]) -> dict[str, str]:
    """What the files hold, by their names. Raises ConfigError if one is missing."""
    found: dict[str, list[str]] = {}
    for path in paths:
        digest = hashlib.sha256()
        with _opened(path) as f:
            while block := f.read(BLOCK):
                digest.update(block)
        found.setdefault(name(path), []).append(digest.hexdigest())
    return {given: "+".join(sorted(set(of_name))) for given, of_name in found.items()}


def texts(path: str) -> Iterator[str]:
    """Every text of a file: all strings in JSON or parquet, in whatever they are nested, or a plain text as it is.

    Raises ConfigError if the file is missing or cannot be read as what its name says.
    """
    kind = _kind(path)
    with _opened(path) as f:
        if kind == PARQUET:
            for batch in pq.ParquetFile(f).iter_batches(RECORDS, use_threads=False):
                yield from _strings(batch.to_pylist())
        elif kind == LINES:
            for number, line in enumerate(iter(lambda: _bounded(f.readline(MOST + 1)), b""), 1):
                if line.strip():
                    yield from _strings(_json(line, f"line {number}"))
        elif kind == WHOLE:
            yield from _strings(_json(_bounded(f.read(MOST + 1)), "it"))
        else:
            yield _bounded(f.read(MOST + 1)).decode("utf-8-sig")


def _bounded(data: bytes) -> bytes:
    """What was read. Raises ValueError where it goes on: a small packed file may hold any amount."""
    if len(data) > MOST:
        raise ValueError(f"a text, line or JSON document in it is over {MOST >> 20:,} MiB: split it")
    return data


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _json(text: bytes, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as e:
        raise ValueError(f"{where} is not JSON: {e}") from e


def _kind(path: str) -> str:
    stem = name(path).lower()
    for suffix in PACKED:
        stem = stem.removesuffix(suffix)
    suffix = os.path.splitext(stem)[1]
    if suffix not in KINDS:
        raise ConfigError(f"select.decontaminate: {path} is of an unknown kind; known are {', '.join(KINDS)}")
    return KINDS[suffix]


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    try:
        with fsspec.open(path, "rb", compression="infer") as f:
            yield f  # pyright: ignore[reportReturnType]
    except FileNotFoundError as e:
        raise ConfigError(f"select.decontaminate: there is no file {path}") from e
    except (OSError, EOFError, ValueError, ImportError, RecursionError, pa.ArrowException) as e:
        reason = (getattr(e, "strerror", None) or str(e) or type(e).__name__).splitlines()[0][:200]
        raise ConfigError(f"select.decontaminate: {path} cannot be read: {reason}") from e
