"""A response is read alike wherever a server puts its thinking; what bears an answer out is told by its words."""

import pytest

from datagen import grounded
from datagen.config.model import Config
from datagen.grounding import tags

FORM = grounded.form(Config(chunk={"max_tokens": 16}))  # pyright: ignore[reportArgumentType]
TEXT = "Ada built the bridge in 1789.\n\nThe UK paid 1,850 pounds for it.\n\nNobody crossed it."
SPANS = FORM.split(TEXT)
SECTIONS = tags.render_response([0], "Ada")
DRAFT = f"Let me see. {SECTIONS} Hm."


@pytest.mark.parametrize(
    ("said", "thinking", "answer", "parsed"),
    [
        (SECTIONS, "", "Ada", True),
        (SECTIONS, "Let me see.", "Ada", True),
        (f"<think>Let me see.</think>\n{SECTIONS}", "", "Ada", True),
        ("", SECTIONS, "Ada", True),  # a reasoning parser that never saw the end of the thinking
        (SECTIONS, DRAFT, "Ada", False),
        (f"<think>{DRAFT}</think>\n{SECTIONS}", "", "Ada", False),
        (f"{DRAFT}\n{SECTIONS}", "", None, False),
        ("", "", None, False),
    ],
)
def test_where_the_thinking_stands_changes_nothing(said: str, thinking: str, answer: str | None, parsed: bool):
    found = grounded.read(said, TEXT, SPANS, thinking)
    assert (found.answer, found.parsed) == (answer, parsed)
    assert found.parsed == tags.read_response(grounded.whole(said, thinking)).parsed
    assert "<" not in found.reasoning
    if answer and not parsed:
        assert "while it thinks" in found.problems[0]
        assert [c.chunk for c in found.citations] == [0]


def test_a_number_that_is_none_is_called_so():
    found = grounded.read(f"<useful_chunks><CHUNK_{'9' * 5000}></useful_chunks><answer>Ada</answer>", TEXT, SPANS)
    assert "too long to be one" in found.problems[0]


@pytest.mark.parametrize(
    ("answer", "borne_out"),
    [
        ("Ada", True),
        ("Bob", False),
        ("1789", True),
        ("7", False),
        ("178", False),
        ("the UK", True),
        ("US", False),
        ("bridges", False),
        ("the bridge of Ada", True),
        ("yes", True),
        ("1850 pounds", True),
    ],
)
def test_an_answer_is_borne_out_by_a_word_of_its_own(answer: str, borne_out: bool):
    found = grounded.read(tags.render_response(range(len(SPANS)), answer), TEXT, SPANS)
    assert (found.problems == ()) == borne_out


def test_chunks_that_are_not_there_are_one_problem():
    found = grounded.read(tags.render_response(range(500), "Ada"), TEXT, SPANS)
    (problem,) = found.problems
    assert problem.startswith(f"It cites chunk {len(SPANS)} and {499 - len(SPANS)} more that are not there")
    assert len(found.citations) == len(SPANS)
