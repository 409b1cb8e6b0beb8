"""The columns of the three configurations, and a row taken apart: what is asked, and of which document.

A prompt is its parts with the document between them. What `questions` and `documents` hold makes it again to the byte;
the card has the few lines of Python that do.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen import shards
from datagen.dataset.read import FORMAT
from datagen.dataset.schema import SCHEMA
from datagen.errors import InputError
from datagen.export.hub.documents import Documents
from datagen.grounding import tags

MOST_CHUNKS = 10_000_000  # of a document
FULL, QUESTIONS, DOCUMENTS = "default", "questions", "documents"
FOLDERS = {FULL: "data", QUESTIONS: QUESTIONS, DOCUMENTS: DOCUMENTS}
_SHOWN = pa.struct([("document_id", pa.string()), ("first_chunk", pa.int32()), ("n_chunks", pa.int32())])
_PARTS = pa.list_(pa.struct([("role", pa.string()), ("before", pa.string()), ("after", pa.string())]))
SCHEMAS: dict[str, pa.Schema] = {
    FULL: SCHEMA,
    QUESTIONS: pa.schema(
        [*(field for field in SCHEMA if field.name != "prompt"), ("document", _SHOWN), ("prompt_parts", _PARTS)]
    ),
    DOCUMENTS: pa.schema([("document_id", pa.string()), ("doc_id", pa.string()), ("chunks", pa.list_(pa.string()))]),
}
ROWS = {FULL: 32, QUESTIONS: 1000, DOCUMENTS: 32}  # of a row group, at most
GROUP_BYTES, FILE_BYTES = 64 << 20, 512 << 20  # of a row group and of a file, at most, unless one row has more
_OPTIONS: dict[str, Any] = {"write_page_index": True} | (
    {"use_content_defined_chunking": True}  # an upload of what changed is an upload of the rows that changed
    if "use_content_defined_chunking" in inspect.signature(pq.ParquetWriter).parameters
    else {}
)


def parted(row: dict[str, Any], documents: Documents) -> dict[str, Any]:
    """A row of `default` as one of `questions`. Raises InputError where its prompt shows no document."""
    info = row["extra_info"]
    shown: list[tags.Context] = []
    parts = []
    for message in row["prompt"]:
        content = message["content"]
        if "</CHUNK_" not in content:
            parts.append({"role": message["role"], "before": content, "after": None})
            continue
        try:
            context = tags.find_context(content)
        except ValueError as e:
            raise _no_document(info["qa_id"], str(e)) from e
        shown.append(context)
        parts.append({"role": message["role"], "before": content[: context.start], "after": content[context.end :]})
    if len(shown) != 1:
        raise _no_document(info["qa_id"], f"{len(shown)} of its messages show chunks")
    chunks, first = shown[0].chunks, info["first_chunk"]
    if first is not None and not 0 <= first < MOST_CHUNKS:
        raise InputError(f"{info['qa_id']}: extra_info.first_chunk: {first} is no number of a chunk. {FORMAT}")
    document_id, first = documents.place(info["doc_id"], first, chunks)
    document = {"document_id": document_id, "first_chunk": first, "n_chunks": len(chunks)}
    return {name: value for name, value in row.items() if name != "prompt"} | {
        "document": document,
        "prompt_parts": parts,
    }


def _no_document(qa_id: str, why: str) -> InputError:
    return InputError(
        f"{qa_id}: its prompt cannot be parted from the document: {why}. For the Hub, one message of a prompt has all "
        "chunks, as <CHUNK_0>…</CHUNK_0> and so on, a line break between two. `--to jsonl` takes prompts as they are"
    )


def write(folder: Path, name: str, split: str, rows: Iterable[dict[str, Any]]) -> list[Path]:
    """Write a configuration's rows of a split, in as many files as it takes; none for no rows.

    Raises InputError for a value of another type than its column's.
    """
    tables, made = _tables(name, rows), list[Path]()
    try:
        for table in tables:
            path = folder / FOLDERS[name] / f"{split}-{len(made):05d}.parquet"
            shards.write_groups(str(path), SCHEMAS[name], chain([table], _until_full(table.nbytes, tables)), **_OPTIONS)
            made.append(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
        raise InputError(f"{split}: a column has other values than a dataset's: {e}") from e
    return [path.rename(path.with_stem(f"{path.stem}-of-{len(made):05d}")) for path in made]


def _until_full(size: int, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    while size + GROUP_BYTES <= FILE_BYTES and (table := next(tables, None)) is not None:
        size += table.nbytes
        yield table


def _tables(name: str, rows: Iterable[dict[str, Any]]) -> Iterator[pa.Table]:
    """The rows as row groups."""
    held, size = list[pa.Table](), 0
    for row in rows:
        table = pa.Table.from_pylist([row], SCHEMAS[name])
        if held and (len(held) == ROWS[name] or size + table.nbytes > GROUP_BYTES):
            yield pa.concat_tables(held).combine_chunks()
            held, size = [], 0
        held.append(table)
        size += table.nbytes
    if held:
        yield pa.concat_tables(held).combine_chunks()


def read(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The rows of files that `write` wrote, a row group in memory at a time."""
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                yield from parquet.read_row_group(group, use_threads=False).to_pylist()
