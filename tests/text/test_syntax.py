import inspect
import sysconfig
import time
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.text import quickstart
from datagen.text.splitter import split
from datagen.text.syntax import KINDS, kind_of
from datagen.text.tokenizers import load
from tests.text.specimens import SPECIMENS

ROOT = Path(__file__).parents[2]
BOOKS = ROOT.parent / "shared" / "data" / "books"
HEADERS = Path("/usr/include")
PROSE = {
    "about LaTeX": "To stress a word, write \\emph{word}; for a list, there are \\begin{itemize} and \\item.\n\n"
    + "\n\n".join(f"The {n}th rule is to read what one wrote, and then to wait a day." for n in range(20)),
    "with a listing": "\n\n".join(f"In step {n} nothing is done but this, which is explained below." for n in range(20))
    + "\n\n    import os\n    def main():\n        return os.name\n\nThat is all.",
    "verse": "The sea was still;\nThe wind was low,\nThe ship went on;\nWhere ships must go,\n" * 9,
    "a dialogue": "- Who is there?\n- It is I.\n- Come in, then, said the miller.\n" * 9,
    "a list": "* flour\n* butter\n* sugar (a cup)\n* eggs\n\nMix them.\n" * 4,
    "numbers": "# 1\nNo. 2 was well.\nNo. 3 was late.\nNobody minded, since it was a holiday.\n",
    "commas": "Of stones, of walls, and of the sea.\nOf men, and of their work.\nOf nothing but time, which goes.\n"
    * 5,
    "rulers": "The sea\n=======\n\nIt was still.\n\n----\n\nThe wind was low.\n\n====\n\nThe ship went on.\n" * 4,
    "times": "The train of 00:01:02 --> see the table.\nIt was late.\nSo were we.\n",
}


@pytest.mark.parametrize("kind", SPECIMENS)
def test_specimens(kind):
    assert kind_of([SPECIMENS[kind]]) == kind


@pytest.mark.parametrize("name", PROSE)
def test_what_only_mentions_a_kind_is_prose(name):
    assert kind_of([PROSE[name]]) == "prose"


def test_every_kind_has_a_specimen():
    assert [kind for kind in KINDS if kind not in SPECIMENS] == ["prose"]


@pytest.mark.parametrize("texts", [[], [""], [" \n"], ["\n", "\n\n"]])
def test_nothing_is_prose(texts):
    assert kind_of(texts) == "prose"


@pytest.mark.parametrize("name", ["argparse", "decimal", "typing", "turtle", "subprocess"])
@pytest.mark.parametrize("max_tokens", [64, 512])
def test_modules_are_python_however_they_are_cut(name, max_tokens):
    text = (Path(sysconfig.get_path("stdlib")) / f"{name}.py").read_text(encoding="utf-8")
    assert kind_of([text[a:b] for a, b, _ in split(text, load("embedded"), max_tokens)]) == "python"


def test_the_projects_own_pages_are_markdown():
    for page in ("documents", "clustering", "tutorial", "train"):
        assert kind_of([(ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")]) == "markdown"
    assert kind_of([(ROOT / "configs" / "paper.yaml").read_text(encoding="utf-8")]) == "hash"


@pytest.mark.skipif(not (HEADERS / "stdio.h").is_file(), reason="there are no headers of C here")
@pytest.mark.parametrize("name", ["stdio", "stdlib", "errno", "regex"])
def test_headers_are_c(name):
    assert kind_of([(HEADERS / f"{name}.h").read_text(encoding="utf-8")]) == "c"


def test_documentation_of_code_is_no_code():
    for topic in ("execmodel", "calls", "typesmethods"):
        assert kind_of([inspect.cleandoc(topics[topic])]) in ("prose", "markdown")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_tables_however_they_are_cut(delimiter):
    what = f'"What is said{delimiter} by ""one"" of them,\nand then by another one, in the course of the year"'
    text = "".join(delimiter.join([str(n), str(1900 + n), what, "no"]) + "\n" for n in range(40))
    for max_tokens in (32, 64, 512):
        chunks = [text[a:b] for a, b, _ in split(text, load("embedded"), max_tokens)]
        assert kind_of(chunks) == "table" or max_tokens < 64
    assert kind_of(['a,b,"c\n' + "d\n" * 100_000]) == "prose"


def test_the_quickstart_corpus_is_prose(tmp_path):
    quickstart.write_corpus(tmp_path)
    assert {kind_of([path.read_text(encoding="utf-8")]) for path in tmp_path.glob("*.txt")} <= {"prose", "markdown"}


@pytest.mark.skipif(not BOOKS.is_dir(), reason="the books are not here")
def test_books_are_prose():
    for name, encoding in (("news-from-nowhere.txt", "utf-8"), ("entre-nous.fr.txt", "utf-8")):
        assert kind_of([(BOOKS / name).read_text(encoding=encoding)]) == "prose"


@pytest.mark.parametrize(
    "unit", ["[", "a[]:", "**a", ":a", "<p ", "`a", "; ", "/*", "-- ", "# ", "\n", "a\n", '"""', "![a](", "\\a{"]
)
def test_hostile_texts_take_linear_time(unit):
    def seconds(size: int) -> float:
        text = (unit * size)[:size]
        start = time.process_time()
        kind_of([text])
        return time.process_time() - start

    assert seconds(80_000) < 20 * max(seconds(10_000), 0.005)


@given(st.lists(st.text(max_size=80), max_size=20))
def test_whatever_the_texts(texts):
    assert kind_of(texts) in KINDS
