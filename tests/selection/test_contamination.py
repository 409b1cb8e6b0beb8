import json
from pathlib import Path

from datagen.selection import contamination

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
