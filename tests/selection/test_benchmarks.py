"""Benchmarks in files of every kind."""

import gzip
import json

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.errors import ConfigError
from datagen.selection import benchmarks

ROWS = [{"q": "one", "nested": {"choices": ["two", "three"]}, "n": 4, "none": None}, {"q": "five"}]

EXPECTED = ["one", "two", "three", "five"]


def test_every_kind_of_file(tmp_path):
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "a.jsonl").write_text(lines + "\n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "c.json").write_text(json.dumps({"data": ROWS}))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "d.parquet")
    for name in ("a.jsonl", "b.jsonl.gz", "c.json", "d.parquet"):
        assert list(benchmarks.texts(str(tmp_path / name))) == EXPECTED, name
    (tmp_path / "e.txt").write_bytes(b"\xef\xbb\xbfOne.\nTwo.")
    assert list(benchmarks.texts(str(tmp_path / "e.txt"))) == ["One.\nTwo."]
    with fsspec.open("memory://bench/f.jsonl", "wb") as f:
        f.write(lines.encode())  # pyright: ignore[reportAttributeAccessIssue]
    assert list(benchmarks.texts("memory://bench/f.jsonl")) == EXPECTED


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.jsonl", None, r"^select\.decontaminate: there is no file .*gone\.jsonl$"),
        ("some.csv", b"a,b", r"some\.csv is of an unknown kind; known are \.jsonl, "),
        ("some.jsonl", b'{"a": "b"}\n{"a": \n', r"some\.jsonl cannot be read: line 2 is not JSON"),
        ("some.json", b"[1, 2", r"some\.json cannot be read: it is not JSON"),
        ("some.json", b"[" * 100_000, r"some\.json cannot be read: maximum recursion depth"),
        ("some.parquet", b"no parquet", r"some\.parquet cannot be read: "),
        ("some.txt", b"\xff\xfe\xfd", r"some\.txt cannot be read: "),
        ("some.jsonl.gz", b"no gzip", r"some\.jsonl\.gz cannot be read: "),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        list(benchmarks.texts(str(tmp_path / name)))


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "bench.jsonl").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory$"):
        benchmarks.check([str(tmp_path / "bench.jsonl")])


def test_digests_are_of_what_is_in_the_files(tmp_path):
    for folder, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.txt").write_text(text)
    a, b, c = (str(tmp_path / folder / "t.txt") for folder in "abc")
    assert benchmarks.digests([a]) == benchmarks.digests([b]) == benchmarks.digests([a, b])
    assert benchmarks.digests([a, c]) == benchmarks.digests([c, a])
    assert len({str(benchmarks.digests(paths)) for paths in ([a], [c], [a, c])}) == 3
    with pytest.raises(ConfigError, match="there is no file"):
        benchmarks.digests([str(tmp_path / "t.txt")])


@pytest.mark.parametrize("name", ["b.txt.gz", "b.jsonl.gz", "b.json.gz"])
def test_a_packed_file_that_goes_on_and_on_is_refused(tmp_path, name):
    with gzip.GzipFile(tmp_path / name, "wb", 1) as f:
        for _ in range(benchmarks.MOST // (1 << 20) + 1):
            f.write(b"x" * (1 << 20))
    with pytest.raises(ConfigError, match="is over 256 MiB"):
        list(benchmarks.texts(str(tmp_path / name)))
