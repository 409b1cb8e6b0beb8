"""How answers look on a terminal: nothing in them passes for what the program says."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from datagen import grounded
from datagen.answering import shown
from datagen.config.model import Config
from datagen.console import Screen
from datagen.grounding import tags
from datagen.grounding.prose import SECTIONS
from tests.answering.asked import BOOK, JAPANESE, MARKDOWN, reply

FORM = grounded.form(Config())
DOCUMENTS = [(text, FORM.split(text)) for text in (BOOK[:40_000], MARKDOWN, JAPANESE[:5000])]
HEADER = re.compile(r"Chunk ([\d,]+), characters ([\d,]+) to ([\d,]+), line ([\d,]+):")
PIECES = ["<CHUNK_0>", "<CHUNK_1>", "<CHUNK_99999>", "<useful_chunks>", "</useful_chunks>", "<answer>", "</answer>"]
PIECES += ["Chunk 3, characters 0 to 3, line 1:\n", "  > ", "\x1b[2J", "\r", "\n", "\u202e", "\ud800", "ship", "船"]
RESPONSES = st.one_of(
    st.text(),
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.builds(reply, st.sampled_from([*PIECES[:3], "<CHUNK_0> <CHUNK_2>"]), st.text(), st.text()),
)


@given(RESPONSES, st.sampled_from(DOCUMENTS), st.sampled_from([None, 20, 80]))
def test_any_response_is_shown_with_passages_of_the_document_alone(response, document, columns):
    text, spans = document
    answer = grounded.read(response, text, spans)
    lines = list(shown.told(answer, text, columns))
    headers = [HEADER.fullmatch(line) for line in lines if not line.startswith(("Answer:", " ")) and line]
    assert all(headers)
    found = [tuple(int(part.replace(",", "")) for part in header.groups()) for header in headers if header]
    assert [(chunk, start, end) for chunk, start, end, _ in found] == [
        (c.chunk, c.start, c.end) for c in answer.citations
    ]
    cited = tags.read_response(response).useful_chunks or []
    for c in answer.citations:
        assert c.chunk in cited
        assert c.text == text[c.start : c.end]
    assert not re.search("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", "".join(lines))
    if columns:
        assert all(cell_len(line) <= columns for line in lines if line.startswith(" "))


@given(RESPONSES, st.integers(1, 7))
def test_what_is_shown_while_it_is_written_ends_where_the_sections_begin(response, size):
    out = io.StringIO()
    thinking = shown.Thinking(Screen(file=out, force_terminal=False, highlight=False))
    for at in range(0, len(response), size):
        thinking(response[at : at + size])
    thinking.end()
    first = min((at for name in SECTIONS if (at := response.find(name)) >= 0), default=len(response))
    expected = shown.plain(response[:first]).replace("\t", shown.TAB)
    assert out.getvalue().rstrip("\n") == expected.rstrip("\n")


def test_reasoning_that_was_not_heard_is_shown_at_the_end():
    out = io.StringIO()
    thinking = shown.Thinking(Screen(file=out, highlight=False))
    thinking("<useful_chunks>")
    thinking.end("It says so.")
    assert out.getvalue() == "It says so.\n"


def test_a_passage_that_is_not_long_is_whole():
    assert shown.shortened("a " * 300, "b") == "a " * 300


@pytest.mark.parametrize("at", [0, 700, 5_000, 11_000])
def test_of_a_long_passage_the_part_with_the_answer_is_shown(at):
    filler = "The sea was calm and nothing was to be seen. " * 300
    passage = filler[:at] + "It was Ada Brunel, of Penzance. " + filler[at:12_000]
    part = shown.shortened(passage, "Ada Brunel of Penzance")
    assert "Ada Brunel, of Penzance" in part
    assert len(part) <= shown.WHOLE + 4
    assert part.startswith("… ") == (at > shown.WHOLE)
    assert part.removeprefix("… ").removesuffix(" …") in passage


@given(st.text(min_size=500, max_size=3000), st.text(max_size=60))
def test_a_part_is_of_the_passage(passage, answer):
    part = shown.shortened(passage, answer)
    if len(passage) > shown.WHOLE and "…" not in passage:
        part = part.removeprefix("… ").removesuffix(" …")
    assert part in passage


def test_a_line_is_counted_in_the_document():
    spans = FORM.split(MARKDOWN)
    answer = grounded.read(reply("<CHUNK_0>", "x"), "\n\n" + MARKDOWN, [span._replace(start=2) for span in spans])
    assert shown.line_of(answer.citations[0], "\n\n" + MARKDOWN) == 3
