import gzip
import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.errors import ConfigError
from datagen.selection import benchmarks, contamination

RUN = [f"w{i}" for i in range(13)]
PASSAGE = " ".join(RUN)


def write(folder: Path, texts: list[str], name: str = "bench.jsonl") -> list[str]:
    path = folder / name
    path.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)))
    return [str(path)]


def question(folder: Path, texts: list[str], asked: str) -> str | None:
    return contamination.gather(write(folder, texts), [asked]).question(asked)


def document(folder: Path, texts: list[str], text: str) -> str | None:
    return contamination.gather(write(folder, texts), []).document(text)


def test_thirteen_words_in_a_row(tmp_path):
    asked = f"Is it true that {PASSAGE.upper().replace(' ', ', ')}?"
    assert question(tmp_path, [f"before {PASSAGE} after"], asked) == f"bench.jsonl has “{PASSAGE}”"
    assert question(tmp_path, [f"before {' '.join(RUN[:12])} other {' '.join(RUN[1:])}"], asked) is None


def test_a_shorter_question_is_looked_for_whole(tmp_path):
    assert question(tmp_path, ["Answer this: who  wrote it?"], "Who wrote it?") == "bench.jsonl has “who wrote it”"
    assert question(tmp_path, ["Who wrote that?", "wrote it"], "Who wrote it?") is None
    assert question(tmp_path, ["", "?"], "?") is None
    assert question(tmp_path, [" ".join(RUN[:12])], PASSAGE) is None


def test_a_document_that_holds_a_passage(tmp_path):
    text = f"{'other words ' * 50}{PASSAGE} w13 {'and more ' * 50}"
    found = document(tmp_path, [f"It says: {PASSAGE} w13."], text)
    assert found == f"2 of its 202 runs of 13 words, such as “{PASSAGE}” in bench.jsonl"
    assert document(tmp_path, [" ".join(RUN[1:])], text) is None
    assert document(tmp_path, [PASSAGE], " ".join(RUN[:12])) is None
    assert document(tmp_path, [], text) is None


def test_a_script_without_spaces(tmp_path):
    passage = "東京都庁は西新宿の高い建物だ"
    assert document(tmp_path, [f"問題。{passage}。"], f"それは、{passage}と思う")
    assert not document(tmp_path, [passage[:12]], passage)


def test_the_file_that_is_named(tmp_path):
    paths = write(tmp_path, [PASSAGE], "b.jsonl") + write(tmp_path, [PASSAGE, "who wrote it"], "a.jsonl")
    known = contamination.gather(paths, ["Who wrote it?"])
    assert known.question("Who wrote it?") == "a.jsonl has “who wrote it”"
    assert (known.document(PASSAGE) or "").endswith("in a.jsonl")


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
