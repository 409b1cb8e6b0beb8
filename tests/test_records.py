import dataclasses
import typing

import numpy as np
import pyarrow as pa
import pytest

from datagen import records
from datagen.records import Candidate, Chunk, Cluster, Document, Dropped, Embedding, Judgement, Selection

VECTORS = [np.array(v, np.float16) for v in ([0.6, 0.8], [1, 0], [])]
ROWS: dict[type, list[typing.Any]] = {
    Document: [Document("d", "a.txt", "utf-8", "{}", "Ünïcode\n\0 text"), Document("e", "", "", "", "")],
    Chunk: [Chunk("d", 0, 0, 2**40, 3, "text"), Chunk("d", 2**31 - 1, 1, 2, 0, "")],
    Embedding: [Embedding("d", i, v) for i, v in enumerate(VECTORS)],
    Cluster: [Cluster("d/c0", "d", [1, 5], 0.5, 0.25, 1.0), Cluster("d/c1", "d", [], -1.0, 0.0, 0.0)],
    Candidate: [
        Candidate("q", "c", "d", 0, "g", "cloze", "What?", "It.", [0, 3], ["a", "b"], ["A.", "B."], [0, 3]),
        Candidate("r", "c", "d", 1, "g", "", "", "", [], [], [], []),
    ],
    Judgement: [
        Judgement("q", "c", "d", 9.5, "Fine.", ["lint", "quality"], [1, 4], [2], [7], 0.5, 1.0, None, VECTORS[0]),
        Judgement("r", "c", "d", 5.0, "", [], [1, 4], [], [], None, None, 0.25, VECTORS[1]),
    ],
    Selection: [
        Selection("q", "c", "d", "train", 9.5, [1, 4], [7], 0.5, 0, 7, 4096),
        Selection("r", "c", "d", "train", 9.5, [1, 4], [], None, 0, 7, 4096),
    ],
    Dropped: [Dropped("document", "d", "d", "failed", "not JSON", "a.jsonl:1")],
}


def plain(row) -> list:
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in dataclasses.astuple(row)]


def with_value(record: type, column: str, value):
    return dataclasses.replace(ROWS[record][0], **{column: value})


def test_every_record_is_tried_here():
    kinds = {kind for kind in vars(records).values() if dataclasses.is_dataclass(kind)}
    assert kinds == set(ROWS)


@pytest.mark.parametrize("record", ROWS)
@pytest.mark.parametrize("n", [0, None])
def test_rows_come_back_as_they_were(record, n):
    rows = ROWS[record][:n]
    table = records.to_table(record, rows)
    assert table.schema == records.schema(record)
    back = records.from_table(record, table)
    assert [plain(row) for row in back] == [plain(row) for row in rows]
    assert all(type(row) is record for row in back)


def test_vectors_come_back_as_float16_from_any_slice_of_a_table():
    table = records.to_table(Embedding, ROWS[Embedding])
    both = pa.concat_tables([table.slice(1), table])
    back = records.from_table(Embedding, both)
    assert [row.vector.tolist() for row in back] == [v.tolist() for v in [*VECTORS[1:], *VECTORS]]
    assert {row.vector.dtype for row in back} == {np.dtype(np.float16)}


def test_the_schema_follows_the_declaration():
    assert str(records.schema(Judgement)).splitlines() == [
        "qa_id: string not null",
        "cluster_id: string not null",
        "doc_id: string not null",
        "rating: float not null",
        "rating_reason: string not null",
        "checks: list<item: string> not null",
        "  child 0, item: string",
        "ref_chunks: list<item: int32> not null",
        "  child 0, item: int32",
        "redundant: list<item: int32> not null",
        "  child 0, item: int32",
        "alt_chunks: list<item: int32> not null",
        "  child 0, item: int32",
        "closed_book: float",
        "sufficiency: float",
        "pass_rate: float",
        "question_vector: list<item: halffloat> not null",
        "  child 0, item: halffloat",
    ]
    chunk = records.schema(Chunk)
    assert [str(chunk.field(name).type) for name in ("chunk_index", "start")] == ["int32", "int64"]
    assert str(records.schema(Dropped).field("status").type) == "string"
    optional = {field.name for record in ROWS for field in records.schema(record) if field.nullable}
    assert optional == {"closed_book", "sufficiency", "pass_rate", "other_id", "told_apart"}


@pytest.mark.parametrize(
    ("record", "column", "value"),
    [
        (Chunk, "chunk_index", 2**31),
        (Chunk, "chunk_index", True),
        (Chunk, "chunk_index", 0.5),
        (Chunk, "start", "0"),
        (Chunk, "text", 7),
        (Chunk, "text", "\ud800"),
        (Chunk, "text", None),
        (Cluster, "chunk_indices", None),
        (Cluster, "chunk_indices", [1, None]),
        (Cluster, "chunk_indices", 1),
        (Cluster, "cohesion", None),
        (Candidate, "terms", "a word"),
        (Embedding, "vector", None),
        (Embedding, "vector", np.array([1e6])),
        (Embedding, "vector", np.array([np.nan])),
    ],
)
def test_a_value_that_does_not_fit_is_never_written(record, column, value):
    rows = [ROWS[record][0], with_value(record, column, value)]
    with pytest.raises(pa.ArrowInvalid, match=rf"^{record.__name__}\.{column}: "):
        records.to_table(record, rows)


def test_unit_keys_name_what_rows_are_about():
    rows = [*ROWS[Chunk], Chunk("e", 0, 0, 1, 1, "x")]
    assert records.unit_keys("document", rows) == ["d", "d", "e"]
    assert records.unit_keys("chunk", rows) == ["d#0", "d#2147483647", "e#0"]
    assert records.unit_keys("cluster", ROWS[Candidate]) == ["c", "c"]
    assert records.unit_keys("candidate", ROWS[Selection]) == ["q", "r"]
    table = records.to_table(Chunk, rows)
    for unit in ("document", "chunk"):
        narrow = table.select(list(records.UNIT_COLUMNS[unit]))
        assert records.unit_keys_of_table(unit, narrow) == set(records.unit_keys(unit, rows))


@dataclasses.dataclass(frozen=True)
class Optionals:
    numbers: list[int] | None
    name: str | None


def test_optional_columns_may_be_declared_either_way_and_lists_may_be_missing():
    rows = [Optionals([1, 2], "a"), Optionals(None, None), Optionals([], "")]
    assert records.schema(Optionals).field("numbers").nullable
    assert records.from_table(Optionals, records.to_table(Optionals, rows)) == rows
    with pytest.raises(pa.ArrowInvalid, match="a fraction where a whole number belongs"):
        records.to_table(Optionals, [Optionals([1.5], None), Optionals(None, None)])  # pyright: ignore[reportArgumentType]
