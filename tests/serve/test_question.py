"""Which part of a chat is taken for the document, and which for the question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.serve import question
from datagen.serve.refusal import Refused

BOOK = "Chapter one.\n\nIt rained all day, and nobody came.\n\nChapter two: was it over? It was not."


def user(*contents: object) -> list[dict]:
    return [{"role": "user", "content": content} for content in contents]


def test_a_paste_ends_with_its_question():
    posed = question.posed(user(f"{BOOK}\n\nWho came?\nAnd when?"))
    assert (posed.document, posed.question) == (BOOK, "Who came?\nAnd when?")


def test_a_question_may_stand_before_what_it_is_about():
    posed = question.posed(user(f"Who came, by this text?\n\n{BOOK}"))
    assert (posed.document, posed.question) == (BOOK, "Who came, by this text?")


def test_the_shape_of_ruler():
    """An instruction, documents, the instruction again, the question, and where the answer is to begin."""
    head = "Answer by the given documents. Give the answer alone.\n\nThe documents are these.\n\n"
    text = f"{head}Document 1:\n{BOOK}\n\nAnswer by the documents.\n\nQuestion: who came? Answer:"
    posed = question.posed(user(text))
    assert posed.question == "who came?"
    assert posed.document.startswith(head)
    assert posed.document.endswith("Answer by the documents.")
    assert question.posed(user(text.replace("came? Answer:", "came?\nAnswer:"))).question == "who came?"


def test_the_shape_of_longbench():
    """The options and the form of the answer belong to the question."""
    asked = (
        "What is the correct answer to this question: who came?\nChoices:\n(A) nobody\n(B) Ann\n(C) Bob\n(D) all\n\n"
        "Say it like this: the answer is (letter)."
    )
    posed = question.posed(user(f"Read the text.\n\n<text>\n{BOOK}\n</text>\n\n{asked}"))
    assert posed.question == asked
    assert posed.document.endswith("</text>")


def test_the_last_marker_counts_and_ones_own_alone():
    text = f"Question: is this it?\n\n{BOOK}\n\nQuestion: who came?"
    assert question.posed(user(text)).question == "who came?"
    assert question.posed(user(f"{BOOK}\n\nFrage: wer kam?\n\nDanke."), "Frage:").question == "wer kam?\n\nDanke."
    assert question.posed(user(text), "Frage:").question == "Question: who came?"  # as the last paragraph


def test_parts_are_the_document_and_then_the_question():
    parts = [{"type": "text", "text": "Part 1."}, {"type": "text", "text": "Part 2."}, {"type": "text", "text": "Eh?"}]
    posed = question.posed(user(parts))
    assert (posed.document, posed.question) == ("Part 1.\n\nPart 2.", "Eh?")


def test_a_document_stays_while_questions_follow():
    messages = [
        {"role": "system", "content": "Be brief."},
        *user(f"{BOOK}\n\nWho came?"),
        {"role": "assistant", "content": "nobody"},
        *user("And why?"),
    ]
    posed = question.posed(messages)
    assert posed.document == BOOK
    assert posed.system == [{"role": "system", "content": "Be brief."}]
    assert posed.question.index("Who came?") < posed.question.index("nobody") < posed.question.index("And why?")
    another = question.posed([*messages, {"role": "assistant", "content": "rain"}, *user("New.\n\nWhat is new?")])
    assert another.document == "New."


def test_one_paragraph_is_a_question_alone():
    assert question.posed(user("Hello there?")).document == ""


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        {},
        ["hi"],
        [{"content": "hi"}],
        [{"role": "tool", "content": "hi"}],
        user(None),
        user(7),
        user([{"type": "image_url", "image_url": {"url": "x"}}]),
        user([7]),
        user(""),
        user("half \ud800 a pair?"),
        [{"role": "system", "content": "hi"}],
        [*user("hi?"), {"role": "assistant", "content": "ho"}],
    ],
)
def test_what_is_no_chat_is_refused(messages: object):
    with pytest.raises(Refused) as refused:
        question.posed(messages)
    assert refused.value.status == 400


@given(st.lists(st.sampled_from(["Ann came.", "Who?", "Question: who", "", " ", "\n", "\n\n", "Answer:"]), max_size=12))
def test_nothing_of_a_message_is_lost_but_white_space_and_the_marks_of_the_question(pieces: list[str]):
    text = "".join(pieces)
    document, asked = question.divide([text])
    left = text
    for part in sorted((document, asked), key=len, reverse=True):
        assert part in left
        left = left.replace(part, "", 1)
    assert left.replace("Question:", "").replace("Answer:", "").strip() == ""
