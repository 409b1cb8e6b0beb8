import gzip
import json
import random
import shutil
import string
import subprocess
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.config.data import InputConfig
from datagen.errors import InputError
from datagen.records import Document, Dropped, from_table, to_table
from datagen.text import documents, sources

BOOKS = Path(__file__).resolve().parents[3] / "shared" / "data" / "books"
GOOD = b'{"id": "first", "text": "one"}\n'
LAST = b'{"id": "last", "text": "two"}\n'
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(str.strip)


def zstd(data: bytes) -> bytes:
    packed = pa.compress(data, codec="zstd", asbytes=True)
    assert isinstance(packed, bytes)
    return packed


def read(path: Path, **settings: Any) -> tuple[list[Document], list[Dropped]]:
    rows = list(documents.read(sources.find(str(path))[0], InputConfig(**settings)))
    good = [row for row in rows if isinstance(row, Document)]
    bad = [row for row in rows if isinstance(row, Dropped)]
    assert from_table(Document, to_table(Document, good)) == good  # every row can be written
    assert from_table(Dropped, to_table(Dropped, bad)) == bad
    places = [row.source for row in good] + [row.row_id for row in bad]
    assert len(set(places)) == len(places)
    assert all(row.unit == "document" and row.status == "failed" and len(row.detail) <= 200 for row in bad)
    assert len({row.doc_id for row in good}) == len(good)
    return good, bad


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


BAD_LINES = [
    (b"{'text': 'x'}", "not JSON", "column 2: Expecting property name enclosed in double quotes; found \"'text"),
    (b'{"text": "cut o', "not JSON", "column 10: Unterminated string starting at"),
    (b'{"text": "x", ', "not JSON", "the line ends there"),
    (b"[" * 200_000, "not JSON", "nested too deeply"),
    (b'{"n": ' + b"9" * 5000 + b"}", "not JSON", "digits"),
    (b'{"text": "x"} {"text": "y"}', "not JSON", "column 15: Extra data"),
    (b"[1, 2]", "not a JSON object", "found a list of 2"),
    (b'"text"', "not a JSON object", "found 'text'"),
    (b"null", "not a JSON object", "found None"),
    (b'{"id": "x", "body": "y"}', "no text", "column 'text' is missing; the row has 'id', 'body'"),
    (b'{"b\\ud800": "y"}', "no text", "\\ud800"),
    (b"{}", "no text", "the row has none at all"),
    (b'{"id": "x", "text": null}', "no text", "column 'text' is null"),
    (b'{"id": "x", "text": 5}', "text is not a string", "column 'text' holds 5"),
    (b'{"id": "x", "text": ["a"]}', "text is not a string", "holds a list of 1"),
    (b'{"id": "x", "text": NaN}', "text is not a string", "holds nan"),
    (b'{"id": 1.5, "text": "x"}', "id is not a string or number", "column 'id' holds 1.5"),
    (b'{"id": true, "text": "x"}', "id is not a string or number", "holds True"),
    (b'{"id": {"a": 1}, "text": "x"}', "id is not a string or number", "holds a dict of 1"),
    (b'{"id": "first", "text": "x"}', "duplicate id", "the id 'first' was taken before, by a.jsonl:1"),
    (b'{"id": "x", "text": "a\\u0000b"}', "NUL bytes", "character 1 (line 1) of column 'text' is NUL"),
    (b'{"id": "x\\u0000", "text": "ab"}', "NUL bytes", "character 1 (line 1) of the id is NUL"),
    (b'{"id": "x", "text": "a\0b"}', "NUL bytes", "column 23 of the line"),
    (b"\0\0\0\0", "NUL bytes", "column 1 of the line"),
    (b'{"text": "caf\xe9"}', "invalid UTF-8", "byte 14 of the line (0xe9) is not valid utf-8"),
    (b'{"text": "\xed\xa0\x80"}', "invalid UTF-8", "byte 11 of the line (0xed)"),
    (b'{"id": "x", "text": "a\\n\\ud800"}', "lone surrogate", "character 2 (line 2) of column 'text'"),
    (b'{"id": "\\udc00", "text": "a"}', "lone surrogate", "U+DC00"),
    (b'{"id": "x", "text": ""}', "empty document", "column 'text' is empty or blank"),
    (b'{"id": "x", "text": " \\n\\u00a0"}', "empty document", "empty or blank"),
]


@pytest.mark.parametrize(("line", "reason", "says"), BAD_LINES)
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_bad_line_is_dropped_with_its_place_and_spoils_nothing(tmp_path, line, reason, says, name):
    data = GOOD + line + b"\n" + LAST
    pack = {".gz": gzip.compress, ".zst": zstd}.get(Path(name).suffix, bytes)
    (tmp_path / name).write_bytes(pack(data))
    good, (bad,) = read(tmp_path / name)
    assert [document.doc_id for document in good] == ["first", "last"]
    assert [document.source for document in good] == [f"{name}:1", f"{name}:3"]
    assert (bad.row_id, bad.reason) == (f"{name}:2", reason)
    assert bad.detail.startswith(f"{name}:2: ")
    assert says.replace("a.jsonl", name) in bad.detail


def test_a_json_file_that_is_one_object_over_several_lines(tmp_path):
    (tmp_path / "row.json").write_text(json.dumps({"id": "a", "text": "Words.", "year": 7}, indent=2))
    (tmp_path / "settings.json").write_text(json.dumps({"compilerOptions": {"strict": True}}, indent=2))
    (tmp_path / "torn.json").write_text('{\n  "text": "Wo')
    (tmp_path / "lines.json").write_bytes(GOOD)
    good, bad = read(tmp_path)
    assert [(d.source, d.metadata) for d in good] == [
        ("lines.json:1", "{}"),
        ("row.json", '{"year":7}'),
        ("settings.json", '{"kind":"json"}'),
    ]
    assert good[1].text == "Words."
    assert json.loads(good[2].text) == {"compilerOptions": {"strict": True}}
    assert [(row.row_id, row.reason) for row in bad] == [("torn.json", "not JSON")]


def test_the_id_of_a_bad_row_is_given_where_it_is_known(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"id": 7, "text": null}\n{"text": 7}\n{"id": 7, "text": "x"}\n')
    good, bad = read(tmp_path / "a.jsonl")
    assert [row.doc_id for row in bad] == ["7", "a.jsonl:2"]
    assert [row.doc_id for row in good] == ["7"]


def test_ids_are_strings_or_integers_or_the_place(tmp_path):
    rows = [{"id": "a"}, {"id": 12}, {}, {"id": None}, {"id": " "}, {"id": -(10**30)}, {"id": "12"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({**row, "text": "x"}) for row in rows))
    good, bad = read(tmp_path / "a.jsonl")
    assert [d.doc_id for d in good] == ["a", "12", "a.jsonl:3", "a.jsonl:4", "a.jsonl:5", str(-(10**30))]
    assert [(row.reason, row.doc_id) for row in bad] == [("duplicate id", "12")]


def test_a_duplicate_id_in_another_file_names_the_first_place(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    parquet(tmp_path / "b.parquet", {"id": ["other", "first"], "text": ["x", "y"]})
    good, (bad,) = read(tmp_path)
    assert [d.doc_id for d in good] == ["first", "other"]
    assert (bad.row_id, bad.doc_id, bad.reason) == ("b.parquet:1", "first", "duplicate id")
    assert "by a.jsonl:1" in bad.detail


def test_columns_can_have_other_names(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"key": "k", "body": "words", "id": 1, "text": 2}\n')
    (document,), _ = read(tmp_path / "a.jsonl", text_column="body", id_column="key")
    assert document == Document("k", "a.jsonl:1", "utf-8", '{"id":1,"text":2}', "words")


def test_other_columns_become_canonical_json(tmp_path):
    line = '{"z": [1, {"b": 2, "a": null}], "text": "t", "é": "ü\\ud800", "n": [NaN, -Infinity, 1e999, 0.1], "y": 1, '
    (tmp_path / "a.jsonl").write_text(line + '"y": 2}', encoding="utf-8")
    (document,), _ = read(tmp_path / "a.jsonl")
    assert document.metadata == ('{"n":[null,null,null,0.1],"y":2,"z":[1,{"a":null,"b":2}],"é":"ü\\ud800"}')
    assert json.loads(document.metadata)["é"] == "ü\ud800"


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_json_lines_behind_a_byte_order_mark(tmp_path, codec):
    # U+0A0A, U+0A41 and U+410A hold the byte of a line feed and are none.
    lines = ['{"text": "\u0a0a\u0a41\u410a é\u2028\u0085 😀"}', "", '{"text": "two"}\r', "{oops", '{"text": "three"}']
    mark = "" if codec in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff"
    (tmp_path / "a.jsonl").write_bytes((mark + "\n".join(lines)).encode(codec))
    good, (bad,) = read(tmp_path / "a.jsonl")
    assert [(d.text, d.source) for d in good] == [
        ("\u0a0a\u0a41\u410a é\u2028\u0085 😀", "a.jsonl:1"),
        ("two", "a.jsonl:3"),
        ("three", "a.jsonl:5"),
    ]
    assert {d.encoding for d in good} == {codec if codec == "utf-8-sig" else codec[:6]}
    assert (bad.row_id, bad.reason) == ("a.jsonl:4", "not JSON")


def test_a_torn_character_in_utf16_json_lines_spoils_one_line(tmp_path):
    text = '\ufeff{"text": "one"}\n{"text": "\ud800"}\n{"text": "two"}\n'
    (tmp_path / "a.jsonl").write_bytes(text.encode("utf-16-le", "surrogatepass"))
    good, (bad,) = read(tmp_path / "a.jsonl")
    assert [d.text for d in good] == ["one", "two"]
    assert (bad.row_id, bad.reason) == ("a.jsonl:2", "undecodable")
    assert "byte 21 of the line" in bad.detail


@given(st.lists(TEXT, min_size=1))
def test_json_lines_keep_any_text(tmp_path_factory, texts):
    for escaped in (True, False):
        path = tmp_path_factory.mktemp("round") / "a.jsonl"
        lines = [json.dumps({"text": text}, ensure_ascii=escaped) for text in texts]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
        good, bad = read(path)
        assert [d.text for d in good] == texts
        assert [d.source for d in good] == [f"a.jsonl:{i + 1}" for i in range(len(texts))]
        assert not bad


@given(TEXT, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_text_files_keep_any_text_but_line_ends(tmp_path_factory, text, encoding):
    path = tmp_path_factory.mktemp("round") / "a.txt"
    text = "x" + text  # a text that begins with a byte order mark is indistinguishable from one behind it
    path.write_bytes(text.encode(encoding))
    (document,), _ = read(path)
    assert document.text == path.read_text(encoding=encoding)
    assert (document.doc_id, document.source, document.encoding) == ("a.txt", "a.txt", encoding)
    assert document.metadata == "{}"


def test_line_ends_become_line_feeds_in_text_files_only(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\n\r\ntwo\rthree\n\x0cfour\xc2\x85")
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "one\\r\\n\\r\\ntwo\\rthree"}\r\n')
    parquet(tmp_path / "c.parquet", {"text": ["one\r\ntwo"]})
    good, _ = read(tmp_path)
    assert [d.text for d in good] == ["one\n\ntwo\nthree\n\x0cfour\x85", "one\r\n\r\ntwo\rthree", "one\r\ntwo"]


@pytest.mark.parametrize(
    ("raw", "reason", "says"),
    [
        (b"one\ntwo\0three", "NUL bytes", "character 7 (line 2) of the text is NUL"),
        ("one two".encode("utf-16-le"), "NUL bytes", "character 1"),
        ("\u0416".encode("utf-16-le") * 9 + b"\xff\0", "NUL bytes", "UTF-16 without its mark"),
        ("é".encode() * 9 + b"\n\xff", "invalid UTF-8", "line 2, byte 19 of the file (0xff)"),
        (b"\x81\x8d\x8f\x90\x9d", "undecodable", "line 1, byte 0 of the file (0x81)"),
        (b"\xff\xfea", "undecodable", "not utf-16-le"),
        (b" \r\n\t\xe2\x80\xa8", "empty document", "the text is empty or blank"),
        (b"\xef\xbb\xbf", "empty document", "the text is empty or blank"),
        (b"", "empty file", "holds no document"),
    ],
)
@pytest.mark.parametrize("name", ["b.txt", "b.md.gz", "b.txt.zst"])
def test_a_bad_text_file_is_dropped_with_its_place(tmp_path, raw, reason, says, name):
    (tmp_path / "a.txt").write_text("before")
    (tmp_path / name).write_bytes({".gz": gzip.compress, ".zst": zstd}.get(Path(name).suffix, bytes)(raw))
    (tmp_path / "c.txt").write_text("after")
    good, (bad,) = read(tmp_path)
    assert [d.text for d in good] == ["before", "after"]
    assert (bad.row_id, bad.doc_id, bad.reason) == (name, name, reason)
    assert bad.detail.startswith(f"{name}: ")
    assert says in bad.detail


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz", "b.parquet", "b.ndjson", "b.txt"])
def test_a_file_of_zero_bytes_among_others(tmp_path, name):
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    (tmp_path / name).write_bytes(b"")
    good, (bad,) = read(tmp_path)
    assert [d.doc_id for d in good] == ["first"]
    assert (bad.row_id, bad.reason) == (name, "empty file")


def test_a_file_without_rows(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n \r\n\t\n")
    parquet(tmp_path / "b.parquet", {"text": pa.array([], pa.string())})
    good, bad = read(tmp_path)
    assert not good
    assert [(row.row_id, row.reason) for row in bad] == [("a.jsonl", "empty file"), ("b.parquet", "empty file")]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_a_compressed_file_cut_off_gives_the_lines_before_the_cut(tmp_path, suffix, pack):
    # Random letters compress badly, so that there is much to lose and much before the cut.
    letters = random.Random(0)
    lines = [json.dumps({"text": "".join(letters.choices(string.ascii_letters, k=300))}) for _ in range(3000)]
    whole = pack("\n".join(lines).encode())
    (tmp_path / f"a.jsonl{suffix}").write_bytes(whole[: len(whole) * 9 // 10])
    (tmp_path / "b.jsonl").write_bytes(GOOD)
    good, (bad,) = read(tmp_path)
    *before, after = good
    assert len(before) > 100
    assert [d.text for d in before] == [json.loads(line)["text"] for line in lines[: len(before)]]
    assert after.doc_id == "first"
    assert (bad.row_id, bad.reason) == (f"a.jsonl{suffix}:{len(before) + 1}", "damaged compression")
    assert "what follows in this file is lost" in bad.detail


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_encoding_of_text_files_says_nothing_of_json(tmp_path, mark):
    row = '{\n "text": "Zażółć gęślą jaźń"\n}'
    (tmp_path / "a.json").write_bytes(mark + row.encode())
    (tmp_path / "b.json").write_bytes(mark + row.replace("text", "no text").encode())
    (tmp_path / "c.json").write_bytes(mark + row.encode("cp1250"))
    good, bad = read(tmp_path, encoding="cp1250")
    codec = "utf-8-sig" if mark else "utf-8"
    expected = [("Zażółć gęślą jaźń", codec), (row.replace("text", "no text"), codec)]
    assert [(d.text, d.encoding) for d in good] == expected
    assert [(d.row_id, d.reason, d.detail) for d in bad] == [
        ("c.json", "invalid UTF-8", "c.json: byte 15 of the text (0xbf) is not valid utf-8")
    ]


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("kind", [".txt", ".jsonl", ".json"])
def test_a_compressed_file_cut_off_or_not_compressed_at_all(tmp_path, suffix, pack, kind):
    (tmp_path / f"a{kind}{suffix}").write_bytes(pack(b'{"text": "some words"}')[:-9])
    (tmp_path / f"b{kind}{suffix}").write_bytes(b'{"text": "never packed"}')
    (tmp_path / "c.txt").write_text("after")
    good, bad = read(tmp_path)
    assert [d.text for d in good] == ["after"]
    assert [row.reason for row in bad] == ["damaged compression"] * 2
    assert bad[0].detail.startswith(f"a{kind}{suffix}")


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_streams_put_one_behind_the_other_are_read_to_the_end(tmp_path, suffix, pack):
    (tmp_path / f"a.jsonl{suffix}").write_bytes(pack(GOOD) + pack(LAST))
    good, bad = read(tmp_path / f"a.jsonl{suffix}")
    assert [d.doc_id for d in good] == ["first", "last"]
    assert not bad


def test_the_limit_counts_documents_and_stops_there(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"oops\n" + GOOD + b"oops\n" + LAST + b"oops\n" + GOOD)
    good, bad = read(tmp_path, limit=2)
    assert [d.doc_id for d in good] == ["first", "last"]
    assert [row.row_id for row in bad] == ["a.jsonl:1", "a.jsonl:3"]


@pytest.mark.parametrize("garbage", [False, True])
def test_one_line_of_30_mb(tmp_path, garbage):
    long = b"x" * 30_000_000 if garbage else b'{"text": "' + b"word " * 6_000_000 + b'"}'
    (tmp_path / "a.jsonl").write_bytes(GOOD + long + b"\n" + LAST)
    tracemalloc.start()
    good, bad = read(tmp_path / "a.jsonl")
    assert tracemalloc.get_traced_memory()[1] < 300_000_000
    tracemalloc.stop()
    assert [d.source for d in good if len(d.text) < 9] == ["a.jsonl:1", "a.jsonl:3"]
    assert [row.reason for row in bad] == (["not JSON"] if garbage else [])


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_reading_holds_a_row_or_row_group_not_the_file(tmp_path, kind):
    text = "word " * 20_000
    if kind == "parquet":
        columns = {"text": [f"{i}{text}" for i in range(300)]}
        parquet(tmp_path / "a.parquet", columns, row_group_size=10, compression=None, use_dictionary=False)
    else:
        pack = {"jsonl": bytes, "jsonl.gz": lambda data: gzip.compress(data, 1), "jsonl.zst": zstd}[kind]
        (tmp_path / f"a.{kind}").write_bytes(pack(f'{{"text": "{text}"}}\n'.encode() * 300))
    files, _ = sources.find(str(tmp_path))
    tracemalloc.start()
    assert sum(isinstance(row, Document) for row in documents.read(files, InputConfig())) == 300  # 30 MB
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_of_what_was_read_only_the_ids_are_kept(tmp_path):
    def kept(n: int) -> int:
        (tmp_path / "a.jsonl").write_text("".join(f'{{"id": "document-{i:08d}", "text": "x"}}\n' for i in range(n)))
        rows = documents.read(sources.find(str(tmp_path))[0], InputConfig())
        tracemalloc.start()
        for _ in range(n):
            next(rows)
        now, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return now

    assert kept(20_000) - kept(4_000) < 16_000 * 200  # bytes for an id and its place


def test_parquet_rows(tmp_path):
    columns = {
        "text": ["one", None, "", "a\0b", "five"],
        "id": pa.array([10, 11, 12, 13, None]),
        "when": [datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)] * 5,
        "day": [date(2020, 1, 2)] * 5,
        "raw": [b"\xff\x00"] * 5,
        "price": [Decimal("1.10")] * 5,
        "nested": [{"b": float("nan"), "a": [1, None]}] * 5,
    }
    good, bad = read(parquet(tmp_path / "a.parquet", columns, row_group_size=2))
    assert [(d.doc_id, d.source, d.text, d.encoding) for d in good] == [
        ("10", "a.parquet:0", "one", "utf-8"),
        ("a.parquet:4", "a.parquet:4", "five", "utf-8"),
    ]
    assert good[0].metadata == (
        '{"day":"2020-01-02","nested":{"a":[1,null],"b":null},"price":"1.10","raw":"/wA=",'
        '"when":"2020-01-02T03:04:05+00:00"}'
    )
    assert [(row.row_id, row.doc_id, row.reason) for row in bad] == [
        ("a.parquet:1", "11", "no text"),
        ("a.parquet:2", "12", "empty document"),
        ("a.parquet:3", "13", "NUL bytes"),
    ]


def test_parquet_with_values_python_cannot_hold(tmp_path):
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"ok\xff\xfe")]
    )
    far = pa.array([2**40, 0, 0], pa.timestamp("s"))
    parquet(tmp_path / "a.parquet", {"text": broken})
    parquet(tmp_path / "b.parquet", {"text": ["x", "y", "z"], "far": far})
    good, bad = read(tmp_path)
    assert [d.text for d in good] == ["ok", "y", "z"]
    assert [(row.row_id, row.reason) for row in bad] == [
        ("a.parquet:1", "invalid UTF-8"),
        ("b.parquet:0", "unreadable value"),
    ]


def test_parquet_of_any_kind_of_string_and_integer(tmp_path):
    for name, kind in [
        ("a", pa.large_string()),
        ("b", pa.string_view()),
        ("c", pa.dictionary(pa.int32(), pa.string())),
    ]:
        parquet(
            tmp_path / f"{name}.parquet", {"text": pa.array(["x"]).cast(kind), "id": pa.array([ord(name)], pa.uint8())}
        )
    good, bad = read(tmp_path)
    assert [(d.doc_id, d.text) for d in good] == [("97", "x"), ("98", "x"), ("99", "x")]
    assert not bad


def test_parquet_with_a_torn_page_gives_the_rows_before_it(tmp_path):
    path = parquet(tmp_path / "a.parquet", {"text": [f"{i:0100}" for i in range(1000)]}, row_group_size=100)
    start = pq.ParquetFile(path).metadata.row_group(5).column(0).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 200] = b"\xff" * 200
    path.write_bytes(data)
    (tmp_path / "b.txt").write_text("after")
    good, (bad,) = read(tmp_path)
    assert [d.text for d in good] == [*(f"{i:0100}" for i in range(len(good) - 1)), "after"]
    assert (bad.row_id, bad.reason) == (f"a.parquet:{len(good) - 1}", "damaged file")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"body": ["x"], "n": [1]}, "no column 'text'; it has body, n: set input.text_column"),
        ({"text": [1]}, "column 'text' holds int64, not text: set input.text_column"),
        ({"text": [b"x"]}, "column 'text' holds binary, not text"),
        ({"text": [["x"]]}, "holds list<"),
        ({"text": ["x"], "id": [1.0]}, "column 'id' holds double, not strings or integers: set input.id_column"),
    ],
)
def test_unfit_parquet_columns_are_said_before_anything_is_read(tmp_path, columns, says):
    parquet(tmp_path / "b.parquet", columns)
    files, _ = sources.find(str(tmp_path))
    with pytest.raises(InputError) as error:
        documents.check(files, InputConfig())
    assert str(error.value).startswith(f"{tmp_path / 'b.parquet'}: ")
    assert says in str(error.value)
    with pytest.raises(InputError):
        next(documents.read(files, InputConfig()))
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    good, (bad,) = read(tmp_path)
    assert ([d.doc_id for d in good], bad.row_id, bad.reason) == (["first"], "b.parquet", "unusable file")
    assert says in bad.detail


def test_one_unusable_file_of_a_folder_is_set_aside_and_the_rest_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    (tmp_path / "array.json").write_text('[{"text": "x"}]')
    (tmp_path / "none.parquet").write_bytes(b"not parquet")
    twice = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["text", "text"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    good, bad = read(tmp_path)
    assert [d.doc_id for d in good] == ["first"]
    assert [(d.row_id, d.reason) for d in bad] == [
        ("array.json", "unusable file"),
        ("none.parquet", "unusable file"),
        ("twice.parquet", "unusable file"),
    ]
    assert bad[2].detail == "twice.parquet: 2 columns are called 'text': rename all but one"


def test_other_columns_of_one_name_are_all_kept(tmp_path):
    columns = [pa.array(["x"]), pa.array([1]), pa.array([2])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "n", "n"]), tmp_path / "a.parquet")
    (document,), _ = read(tmp_path)
    assert document.metadata == '{"n":[1,2]}'


@pytest.mark.parametrize(
    "name", ["a.txt", "a.txt.gz", "a.txt.zst", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet"]
)
def test_a_document_that_is_too_large_is_set_aside_unread(tmp_path, name):
    large = "x" * 3_000_000
    if name.endswith("parquet"):
        parquet(tmp_path / name, {"text": [large, "small"]})
    else:
        raw = large.encode() if "txt" in name else json.dumps({"text": large}).encode() + b"\n" + LAST
        (tmp_path / name).write_bytes({"gz": gzip.compress, "zst": zstd}.get(name[-3:].strip("."), bytes)(raw))
    (tmp_path / "b.jsonl").write_bytes(GOOD)
    good, (bad,) = read(tmp_path, max_document_mb=1)
    assert len(good) == 1 + ("txt" not in name)
    assert bad.reason == "too large"
    assert "input.max_document_mb" in bad.detail


def test_a_line_that_is_too_large_takes_no_more_memory_than_a_document_may(tmp_path):
    with gzip.GzipFile(tmp_path / "a.jsonl.gz", "wb", compresslevel=1) as f:
        for _ in range(30):
            f.write(b" " * 1_000_000)
        f.write(b"\n" + GOOD)
    tracemalloc.start()
    good, (bad,) = read(tmp_path, max_document_mb=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ([d.doc_id for d in good], bad.reason) == (["first"], "too large")
    assert peak < 12_000_000


def test_a_parquet_file_that_unpacks_out_of_all_proportion_is_set_aside(tmp_path):
    parquet(tmp_path / "a.parquet", {"text": ["x" * 3_000_000]}, compression="zstd", use_dictionary=False)
    (tmp_path / "b.jsonl").write_bytes(GOOD)
    good, (bad,) = read(tmp_path, max_document_mb=1)
    assert ([d.doc_id for d in good], bad.reason) == (["first"], "unusable file")
    assert "to 3,000,0" in bad.detail
    assert len(read(tmp_path, max_document_mb=10)[0]) == 2


def test_a_value_that_a_dictionary_repeats_is_held_a_few_times(tmp_path):
    value = "abc " * 5_000_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 64, pa.int32()), pa.array([value]))
    parquet(tmp_path / "a.parquet", {"text": column}, compression="zstd")
    before = pa.total_allocated_bytes()
    held = []
    for row in documents.read(sources.find(str(tmp_path))[0], InputConfig()):
        assert isinstance(row, Document)
        held.append(pa.total_allocated_bytes() - before)
        if len(held) == 15:
            break
    assert max(held) < 600_000_000


@pytest.mark.parametrize("cut", [None, 100])
def test_a_file_that_is_not_parquet(tmp_path, cut):
    path = parquet(tmp_path / "a.parquet", {"text": ["x"] * 100})
    path.write_bytes(path.read_bytes()[:cut] if cut else b"a text that only calls itself parquet")
    with pytest.raises(InputError, match=r"a\.parquet: not a parquet file, or cut off"):
        documents.check(sources.find(str(path))[0], InputConfig())


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_json_array_is_not_json_lines(tmp_path, pack):
    path = tmp_path / ("a.json" if pack is bytes else "a.json.gz")
    path.write_bytes(pack(b'\n[{"text": "x"}]'))
    with pytest.raises(InputError, match=r"a JSON array, not JSON lines; convert it with: jq -c"):
        documents.check(sources.find(str(path))[0], InputConfig())


def test_hf_rows(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    parquet(tmp_path / "set" / "test-00000-of-00001.parquet", {"text": ["a", None, "b"], "n": [1, 2, 3]})
    files, _ = sources.find(f"hf://{tmp_path / 'set'}")
    rows = list(documents.read(files, InputConfig(hf_split="test")))
    assert rows[0] == Document("set:0", "set:0", "utf-8", '{"n":1}', "a")
    assert isinstance(rows[1], Dropped)
    assert (rows[1].row_id, rows[1].reason) == ("set:1", "no text")
    assert rows[2] == Document("set:2", "set:2", "utf-8", '{"n":3}', "b")
    with pytest.raises(InputError, match="no column 'body'; it has text, n"):
        documents.check(files, InputConfig(hf_split="test", text_column="body"))


def test_details_are_short_whatever_the_names_and_values(tmp_path):
    folder = tmp_path / ("d" * 150) / ("e" * 150)
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text(json.dumps({"id": "i" * 500, "text": "x"}) + "\n" + json.dumps({"k" * 999: 1}))
    (folder / "b.jsonl").write_text(json.dumps({"id": "i" * 500, "text": "x"}))
    good, bad = read(tmp_path)
    assert len(good) == 1
    assert [row.reason for row in bad] == ["no text", "duplicate id"]
    assert all("jsonl:" in row.detail for row in bad)


@pytest.mark.skipif(not BOOKS.is_dir(), reason="the books are not here")
def test_real_books_are_intact():
    good, bad = read(BOOKS)
    assert not bad
    assert [(d.doc_id, d.encoding) for d in good] == [
        ("dickens-and-music.latin1.txt", "iso8859-1"),
        ("entre-nous.fr.txt", "utf-8-sig"),
        ("news-from-nowhere.txt", "utf-8"),
    ]
    for document in good:
        raw = (BOOKS / document.source).read_bytes().decode(document.encoding)
        assert document.text == raw.replace("\r\n", "\n")
        assert "\r" not in document.text
    assert good[1].text.startswith("Au lecteur.\n")


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd packs with a long window; arrow does not")
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_a_file_packed_by_zstd_with_a_long_window(tmp_path, name):
    raw = random.Random(0).randbytes(1_000_000).hex().encode()
    with open(tmp_path / f"{name}.zst", "wb") as packed:
        subprocess.run(["zstd", "--long=31", "-q", "-c"], input=raw, stdout=packed, check=True)
    (tmp_path / "b.jsonl").write_bytes(GOOD)
    _, (bad,) = read(tmp_path)
    assert bad.reason == "packed with a long window"
    assert "zstd -d --long=31" in bad.detail


@pytest.mark.parametrize("several", [False, True])
def test_a_dataset_that_save_to_disk_wrote(tmp_path, several):
    datasets = pytest.importorskip("datasets")
    one = datasets.Dataset.from_dict({"id": ["a", "b"], "text": ["one", "two"]})
    (datasets.DatasetDict({"train": one}) if several else one).save_to_disk(tmp_path / "saved")
    with pytest.raises(InputError, match=f"give it as hf://{tmp_path}/saved"):
        sources.find(str(tmp_path / "saved"))
    files, _ = sources.find(f"hf://{tmp_path}/saved")
    assert [row.doc_id for row in documents.read(files, InputConfig())] == ["a", "b"]
