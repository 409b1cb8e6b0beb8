import json
import os
from pathlib import Path

import pytest

from datagen import shards
from datagen.errors import InputError
from datagen.records import Chunk, Document, Dropped
from datagen.run import hashes, identity
from datagen.run.run import Run
from datagen.stages import chunk
from datagen.text import tokenizers

BOOKS = Path(__file__).resolve().parents[3] / "shared" / "data" / "books"
PROSE = "It was a bright cold day in April; the clocks were striking thirteen. Nobody looked up.\n\n"


def jsonl(path: Path, *rows: dict | str) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


def read(run: Path, record: type, table: str = "") -> list:
    folder = shards.join(str(run), "chunk", table) if table else shards.join(str(run), "chunk")
    return [
        row for name in shards.names(folder) for row in shards.read_rows(shards.join(folder, name + ".parquet"), record)
    ]


def assert_exact(documents: list[Document], chunks: list[Chunk], max_tokens: int) -> None:
    """Chunks are the documents' own text at their offsets, in order, with nothing but white space between them."""
    tokenizer = tokenizers.load("embedded")
    own: dict[str, list[Chunk]] = {}
    for c in chunks:
        own.setdefault(c.doc_id, []).append(c)
    assert list(own) == [d.doc_id for d in documents]
    for d in documents:
        assert [c.chunk_index for c in own[d.doc_id]] == list(range(len(own[d.doc_id])))
        at = 0
        for c in own[d.doc_id]:
            assert c.text == d.text[c.start : c.end] != ""
            assert not d.text[at : c.start].strip()
            at = c.end
        assert not d.text[at:].strip()
    assert [c.n_tokens for c in chunks] == tokenizer.count([c.text for c in chunks])
    assert max(c.n_tokens for c in chunks) <= max_tokens


def test_offsets_are_exact_and_metadata_is_carried(tmp_path, go, settings):
    path = jsonl(
        tmp_path / "in.jsonl",
        {"id": "a", "text": PROSE * 20, "year": 1949, "by": {"name": "É."}},
        {"text": "  \n" + PROSE * 3 + "  "},
        {"id": 7, "text": "日本語の文章。" * 60},
    )
    ledger = go(tmp_path / "run", settings(path, chunk__max_tokens=32), "chunk")["chunk"]
    documents, chunks = read(tmp_path / "run", Document, "documents"), read(tmp_path / "run", Chunk)
    assert_exact(documents, chunks, 32)
    assert [(d.doc_id, d.source, d.encoding) for d in documents] == [
        ("a", "in.jsonl:1", "utf-8"),
        ("in.jsonl:2", "in.jsonl:2", "utf-8"),
        ("7", "in.jsonl:3", "utf-8"),
    ]
    assert [json.loads(d.metadata) for d in documents] == [{"by": {"name": "É."}, "year": 1949}, {}, {}]
    assert documents[1].text == "  \n" + PROSE * 3 + "  "
    assert ledger == {
        "document": {"in": 3, "kept": 3, "rejected": {}, "failed": {}},
        "chunk": {"in": len(chunks), "kept": len(chunks), "rejected": {}, "failed": {}},
    }


def test_documents_that_are_too_short_or_too_long_are_rejected(tmp_path, go, settings):
    rows = [{"id": f"{n}", "text": PROSE * n} for n in (1, 5, 50)]
    config = settings(
        jsonl(tmp_path / "in.jsonl", *rows), chunk__min_document_tokens=60, chunk__max_document_tokens=200
    )
    ledger = go(tmp_path / "run", config, "chunk")["chunk"]
    assert ledger["document"] == {"in": 3, "kept": 1, "rejected": {"too long": 1, "too short": 1}, "failed": {}}
    assert [d.doc_id for d in read(tmp_path / "run", Document, "documents")] == ["5"]
    short, long = read(tmp_path / "run", Dropped, "dropped")
    assert (short.unit, short.row_id, short.doc_id, short.status, short.reason) == (
        *("document", "1", "1"),
        *("rejected", "too short"),
    )
    assert short.detail.startswith("in.jsonl:1: ")
    assert short.detail.endswith(" tokens, chunk.min_document_tokens is 60")
    assert (long.doc_id, long.reason) == ("50", "too long")
    assert long.detail.endswith(" tokens, chunk.max_document_tokens is 200")


def test_bounds_on_a_document_hold_to_the_token(tmp_path, go, settings):
    path = jsonl(tmp_path / "in.jsonl", {"id": "a", "text": PROSE * 5})
    go(tmp_path / "one", settings(path), "chunk")
    n = sum(c.n_tokens for c in read(tmp_path / "one", Chunk))
    go(tmp_path / "two", settings(path, chunk__min_document_tokens=n, chunk__max_document_tokens=n), "chunk")
    for bound in ({"chunk__min_document_tokens": n + 1}, {"chunk__max_document_tokens": n - 1}):
        with pytest.raises(InputError, match=r"in\.jsonl: no document .*too (short|long) \(1\)"):
            go(tmp_path / "three", settings(path, **bound), "chunk")


def test_rows_that_are_no_documents_are_set_aside(tmp_path, go, settings):
    rows = (
        {"id": "a", "text": PROSE},
        "{not json",
        {"id": "b"},
        {"id": "a", "text": "again"},
        {"id": "c", "text": " "},
    )
    path = jsonl(tmp_path / "in.jsonl", *rows)
    ledger = go(tmp_path / "run", settings(path), "chunk")["chunk"]
    assert ledger["document"] == {
        "in": 5,
        "kept": 1,
        "rejected": {},
        "failed": {"duplicate id": 1, "empty document": 1, "no text": 1, "not JSON": 1},
    }
    dropped = read(tmp_path / "run", Dropped, "dropped")
    assert [d.row_id for d in dropped] == [f"in.jsonl:{n}" for n in (2, 3, 4, 5)]
    assert {d.status for d in dropped} == {"failed"}
    with pytest.raises(InputError, match=r"^in\.jsonl:2: .*--strict"):
        go(tmp_path / "strict", settings(path, input__strict=True), "chunk")
    assert not shards.names(f"{tmp_path}/strict/chunk")


@pytest.mark.parametrize(("per_shard", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_documents_are_dealt_to_shards_in_order(tmp_path, go, settings, per_shard, sizes):
    path = jsonl(tmp_path / "in.jsonl", *({"id": f"d{i}", "text": PROSE} for i in range(5)), "{bad")
    config = settings(path, chunk__documents_per_shard=per_shard)
    go(tmp_path / "run", config, "chunk")
    folder = f"{tmp_path}/run/chunk"
    names = [f"shard-{i:05d}" for i in range(len(sizes))]
    assert shards.read_json(f"{folder}/shards.json") == shards.names(folder) == names
    dealt = [shards.read_rows(f"{folder}/documents/{name}.parquet", Document) for name in names]
    assert [len(rows) for rows in dealt if rows] == sizes
    assert [d.doc_id for rows in dealt for d in rows] == [f"d{i}" for i in range(5)]


def test_long_documents_fill_a_shard_by_themselves(tmp_path, settings):
    most = "x" * (chunk.SHARD_CHARS - 1)
    rows = [
        {"id": "a", "text": most},
        {"id": "b", "text": "y"},
        {"id": "c", "text": "z"},
        {"id": "d", "text": 2 * most},
    ]
    path = jsonl(tmp_path / "in.jsonl", *rows)
    dealt = [(name, [d.doc_id for d in batch]) for name, batch in chunk.read(settings(path))]
    assert dealt == [("shard-00000", ["a", "b"]), ("shard-00001", ["c"]), ("shard-00002", ["d"])]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("dickens-and-music.latin1.txt", "latin-1"),
        ("entre-nous.fr.txt", "utf-8-sig"),
        ("news-from-nowhere.txt", "utf-8"),
    ],
)
def test_whole_books_come_through(tmp_path, go, settings, name, encoding):
    if not (BOOKS / name).exists():
        pytest.skip("the books are not beside the repository")
    go(tmp_path, settings(BOOKS / name, chunk__max_tokens=200), "chunk")
    documents, chunks = read(tmp_path, Document, "documents"), read(tmp_path, Chunk)
    expected = (BOOKS / name).read_bytes().decode(encoding).replace("\r\n", "\n")
    assert [(d.doc_id, d.text) for d in documents] == [(name, expected)]
    assert_exact(documents, chunks, 200)


def test_input_that_did_not_change_is_not_hashed_again(tmp_path, settings):
    path, run = jsonl(tmp_path / "in.jsonl", {"text": PROSE}), str(tmp_path / "run")
    config = settings(path)
    first = chunk.fingerprints(config, Run(str(run)))
    assert set(first) == {"input content", "tokenizer"}
    noted = os.stat(Run(str(run)).input_hashes)
    before = path.stat()
    assert chunk.fingerprints(config, Run(str(run))) == first
    assert os.stat(Run(str(run)).input_hashes).st_mtime_ns == noted.st_mtime_ns
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # other bytes behind the same size and time
        path.write_text(path.read_text().replace("bright", "BRIGHT"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = chunk.fingerprints(config, Run(str(run)))
    assert again["tokenizer"] == first["tokenizer"]
    assert again["input content"] != first["input content"]


def test_no_flipped_bit_of_the_noted_hashes_is_believed(tmp_path, settings):
    """A wrong hash would say that the input has changed, for ever."""
    config, run = settings(jsonl(tmp_path / "in.jsonl", {"text": PROSE})), Run(str(tmp_path / "run"))
    first, notes = chunk.fingerprints(config, run), Path(run.input_hashes)
    whole = notes.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        notes.write_bytes(flipped)
        assert chunk.fingerprints(config, run) == first, bit
        assert notes.read_bytes() == whole, bit


def test_hashes_noted_without_a_checksum_are_made_again(tmp_path, settings):
    """As earlier versions noted them."""
    config, run = settings(jsonl(tmp_path / "in.jsonl", {"text": PROSE})), Run(str(tmp_path / "run"))
    first, notes = chunk.fingerprints(config, run), Path(run.input_hashes)
    whole = notes.read_bytes()
    notes.write_text(json.dumps({name: known | {"sha256": "0" * 64} for name, known in hashes.load(run).items()}))
    assert hashes.load(run) == {}
    assert chunk.fingerprints(config, run) == first
    assert notes.read_bytes() == whole


def test_the_place_of_the_input_is_no_part_of_the_identity(tmp_path, go, settings):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        jsonl(tmp_path / name / "in.jsonl", {"text": PROSE})
        go(tmp_path / f"run-{name}", settings(tmp_path / name), "chunk")
    here, there = (identity.load(f"{tmp_path}/run-{name}/chunk") for name in ("here", "there"))
    assert here == there
    assert read(tmp_path / "run-here", Chunk) == read(tmp_path / "run-there", Chunk)
    assert str(tmp_path) not in json.dumps(here.settings) + json.dumps(here.fingerprints)  # pyright: ignore[reportOptionalMemberAccess]
