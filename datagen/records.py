"""One frozen dataclass per kind of row, and the arrow schema derived from it.

The declared schema is the contract of a stage's folder: it is part of the stage's identity, and a table that does not
fit it is never written.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from itertools import chain
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa

Index = Annotated[int, pa.int32()]
Score = Annotated[float, pa.float32()]
Indices = Annotated[list[int], pa.list_(pa.int32())]
Vector = Annotated[np.ndarray, pa.list_(pa.float16())]  # (dim,) float16, unit length


@dataclass(frozen=True, slots=True)
class Document:
    """A raw document as decoded; chunk offsets are character positions in `text`."""

    doc_id: str
    source: str  # where it came from: "file", or "file:line"
    encoding: str  # "utf-8", or what was detected
    metadata: str  # the input's other columns, as one JSON object
    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """`document.text[start:end] == text`; `chunk_index` counts from 0 within the document."""

    doc_id: str
    chunk_index: Index
    start: int
    end: int
    n_tokens: Index
    text: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """A chunk's vector."""

    doc_id: str
    chunk_index: Index
    vector: Vector


@dataclass(frozen=True, slots=True)
class Cluster:
    """A theme of one document. Cohesion is the mean pairwise cosine similarity of the chunks; spread is how far apart
    they stand in the document, about 1 if as far as chunks drawn at random.
    """

    cluster_id: str
    doc_id: str
    chunk_indices: Indices  # ascending
    cohesion: Score
    document_cohesion: Score
    spread: Score
    # Of the document: how often two chunks that follow each other are more alike than two drawn at random. None: it is
    # too short to tell.
    told_apart: Optional[Score] = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A question, its answer and the chunks that hold the evidence, before anyone checked it."""

    qa_id: str
    cluster_id: str
    doc_id: str
    sample: Index  # which of the cluster's candidates, from 0
    generator: str  # "extractive", or the model's name
    question_type: str
    question: str
    answer: str
    ref_chunks: Indices  # document-level chunk indices, ascending
    terms: list[str]  # what each blank asks for, in order (extractive), else empty
    quotes: list[str]  # the evidence sentence behind each term, aligned with `terms`
    quote_chunks: Indices  # the chunk each quote stands in, aligned with `quotes`


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the judge says of a candidate that passed every check. A share is None where its check was not asked for."""

    qa_id: str
    cluster_id: str
    doc_id: str
    rating: Score  # 0 to 10
    rating_reason: str  # in the judge's words; empty where rules decide
    checks: list[str]  # the names of the checks it passed, in order
    ref_chunks: Indices  # the evidence that was found to be needed: document-level chunk indices, ascending
    redundant: Indices  # cited by the generator, and never missed
    alt_chunks: Indices  # not cited, and as good as one that is
    closed_book: Optional[Score]  # share of answers without any document that were right
    sufficiency: Optional[Score]  # share of answers from the evidence alone that were right
    pass_rate: Optional[Score]  # share of the policy's answers from the whole document that were right
    question_vector: Vector


@dataclass(frozen=True, slots=True)
class Selection:
    """A row of the dataset: which candidate, in which split, shown through which window of chunks."""

    qa_id: str
    cluster_id: str
    doc_id: str
    split: str  # "train" or "validation"
    rating: Score
    ref_chunks: Indices  # as judged: document-level chunk indices, ascending
    alt_chunks: Indices
    pass_rate: Optional[Score]
    first_chunk: Index  # the prompt shows chunks first_chunk … last_chunk (inclusive)
    last_chunk: Index
    n_tokens: Index  # of the rendered prompt


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that left the run, and why. `rejected`: judged unfit. `failed`: could not be processed."""

    unit: str  # "document", "chunk", "cluster" or "candidate"
    row_id: str
    doc_id: str
    status: Literal["rejected", "failed"]
    reason: str  # one of a stage's few reasons; counted in the ledger
    detail: str  # what was seen in this row
    other_id: Optional[str] = None  # of the same kind: the row that was taken before it, or that it repeats


BOILERPLATE = "boilerplate"  # why a chunk is set aside that is no part of what its document is about
NO_VECTOR = "no usable vector"  # why a chunk, a document or a question is set aside that the encoder gives none for

# What identifies a thing of each kind; several rows may be about the same one (a document's chunks).
UNIT_COLUMNS = {
    "document": ("doc_id",),
    "chunk": ("doc_id", "chunk_index"),
    "cluster": ("cluster_id",),
    "candidate": ("qa_id",),
}


def unit_keys(unit: str, rows: list[Any]) -> list[str]:
    """The id of the thing of kind `unit` that each of these rows is about."""
    columns = UNIT_COLUMNS[unit]
    return ["#".join(str(getattr(row, column)) for column in columns) for row in rows]


def unit_keys_of_table(unit: str, table: pa.Table) -> set[str]:
    """The ids that a table is about, which has at least the identifying columns."""
    columns = [table.column(column).to_pylist() for column in UNIT_COLUMNS[unit]]
    return {"#".join(map(str, key)) for key in zip(*columns, strict=True)}


def texts_by_document(chunks: list[Chunk]) -> dict[str, list[str]]:
    """The chunk texts of each document, in order, from a shard's rows."""
    texts: dict[str, list[str]] = {}
    for chunk in chunks:
        texts.setdefault(chunk.doc_id, []).append(chunk.text)
    return texts


@cache
def schema(record: type) -> pa.Schema:
    """The arrow schema of a record: a column per field, in declaration order; only an Optional one may be null."""
    hints = get_type_hints(record, include_extras=True)
    columns = []
    for f in fields(record):
        optional = get_origin(hints[f.name]) in (Union, UnionType) and NoneType in get_args(hints[f.name])
        kind = get_args(hints[f.name])[0] if optional else hints[f.name]
        columns.append(pa.field(f.name, _arrow_type(kind), nullable=optional))
    return pa.schema(columns)


def _arrow_type(hint: Any) -> pa.DataType:
    if get_origin(hint) is Annotated:
        return next(arg for arg in get_args(hint)[1:] if isinstance(arg, pa.DataType))
    if get_origin(hint) is Literal:
        return pa.string()
    if get_origin(hint) is list:
        return pa.list_(_arrow_type(get_args(hint)[0]))
    return {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}[hint]


FIGURES = tuple(column.name for column in schema(Judgement) if column.nullable)  # what a check may find: a share


def to_table(record: type, rows: list[Any]) -> pa.Table:
    """Rows as an arrow table of the record's schema. Raises ArrowInvalid on a value that does not fit."""
    wanted = schema(record)
    columns = []
    for field in wanted:
        try:
            columns.append(_column([getattr(row, field.name) for row in rows], field))
        except (pa.ArrowException, TypeError, ValueError) as e:
            raise pa.ArrowInvalid(f"{record.__name__}.{field.name}: {e}") from e
    return pa.Table.from_arrays(columns, schema=wanted)


def _column(values: list[Any], field: pa.Field) -> pa.Array:
    kind = field.type
    if pa.types.is_list(kind) and pa.types.is_float16(kind.value_type) and values:
        offsets = np.concatenate([[0], np.cumsum([len(v) for v in values])]).astype(np.int32)
        with np.errstate(over="ignore"):
            flat = np.concatenate(values).astype(np.float16)
        if not np.isfinite(flat).all():
            raise ValueError("a vector with a value that is not finite as float16")
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat), type=kind)
    is_list = pa.types.is_list(kind)
    if is_list and str in map(type, values):
        raise ValueError("a text where a list belongs")  # arrow would take its letters
    if pa.types.is_integer(kind.value_type if is_list else kind):
        numbers = chain.from_iterable(given for given in values if given is not None) if is_list else values
        if any(issubclass(given, (float, np.floating)) for given in set(map(type, numbers))):
            raise ValueError("a fraction where a whole number belongs")  # arrow would cut it
    column = pa.array(values, type=kind)
    if (column.null_count and not field.nullable) or (is_list and column.flatten().null_count):
        raise ValueError("a value is missing")
    return column


def from_table(record: type, table: pa.Table) -> list[Any]:
    """The inverse of `to_table`. An optional column that an earlier version did not write is None throughout."""
    table = with_optional(schema(record), table)
    columns = [_values(table.column(f.name)) for f in fields(record)]
    return [record(*row) for row in zip(*columns, strict=True)]


def with_optional(wanted: pa.Schema, table: pa.Table) -> pa.Table:
    """A table with the optional columns of a schema that it lacks, empty."""
    for field in wanted:
        if field.nullable and field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    return table


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_list(column.type) and pa.types.is_float16(column.type.value_type):
        return [scalar.values.to_numpy(zero_copy_only=False) for scalar in column]
    return column.to_pylist()
