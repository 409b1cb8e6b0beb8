"""Which text is the document, and which the question."""

import json
import time

import pytest

from datagen.serve import request
from datagen.serve.errors import Refused
from tests.serve.serving import FORM, document

BOOK = document(1)
RULER = (
    "Answer the question based on the given documents. Only give me the answer and do not output any other words.\n\n"
    f"The following are given documents.\n\nDocument 1:\n{BOOK}\n\nAnswer the question based on the given documents. "
    "Only give me the answer and do not output any other words.\n\nQuestion: What is the keeper's code? Answer:"
)
CHOICES = "Choices:\n(A) a red one\n(B) a blue one\n(C) a grey one\n(D) none"
FORMAT = 'Format your response as follows: "The correct answer is (insert answer here)".'
LONGBENCH = (
    f"Please read the following text and answer the question below.\n\n<text>\n{BOOK}\n</text>\n\n"
    f"What is the correct answer to this question: Which lantern did the sailor buy?\n{CHOICES}\n\n{FORMAT}"
)


def is_long(text: str) -> bool:
    return FORM.tokenizer.count([text])[0] > FORM.max_tokens


def taken(*messages, markers=request.MARKERS) -> request.Taken:
    told = [{"role": "user", "content": m} if isinstance(m, (str, list)) else m for m in messages]
    return request.take(request.read(json.dumps({"messages": told}).encode()), is_long, markers)


def said(text: str) -> dict:
    return {"role": "assistant", "content": text}


def test_a_ruler_prompt():
    found = taken(RULER)
    assert found.question == "What is the keeper's code?"
    assert found.document.startswith("Answer the question based")
    assert BOOK in found.document
    assert RULER.startswith(found.document)  # so that offsets in the one are offsets in the other


def test_a_longbench_prompt_keeps_its_choices_in_the_question():
    found = taken(LONGBENCH)
    assert found.question == f"Which lantern did the sailor buy?\n{CHOICES}\n\n{FORMAT}"
    assert found.document.endswith("</text>")


def test_choices_go_with_the_question_without_a_marker_as_well():
    found = taken(f"{BOOK}\n\nWhich lantern did he buy?\n\n{CHOICES}\n\n{FORMAT}")
    assert (found.document, found.question) == (BOOK, f"Which lantern did he buy?\n\n{CHOICES}\n\n{FORMAT}")


@pytest.mark.parametrize("question", ["What is the code?", "Summarise the voyage in a sentence.", "鍵は何ですか？"])
@pytest.mark.parametrize("between", ["\n\n", "\n \n"])
def test_a_persons_paste(question, between):
    assert taken(f"{BOOK}{between}{question}\n") == request.Taken(BOOK, question)


def test_a_text_of_one_line_ends_with_the_question():
    line = BOOK.replace("\n\n", " ")
    assert taken(f"{line} What is the code?") == request.Taken(line, "What is the code?")
    assert taken(f"{line}\nWhat is the code?") == request.Taken(line, "What is the code?")


def test_a_marker_far_from_the_end_is_the_documents_own():
    found = taken(f"Question: who kept it?\n{document(3, 120)}\n\nWhere was it?")
    assert found.question == "Where was it?"


FAQ = "\n\n".join(f"Question: Who lit lamp {i}?\nAnswer: Keeper {i} lit it." for i in range(40))


def test_a_marker_with_its_answer_is_the_documents_own():
    asked = "Who lights lamp 7?"
    assert taken(f"{FAQ}\n\n{asked}") == taken(FAQ, asked) == taken(asked, FAQ) == request.Taken(FAQ, asked)
    assert taken(f"{FAQ}\n\nQuestion: {asked}\nAnswer:\n") == request.Taken(FAQ, asked)
    spread = FAQ.replace("\nAnswer: ", "\n\nanswer:\n")
    assert taken(f"{spread}\n\n{asked}") == request.Taken(spread, asked)


@pytest.mark.parametrize("book", [BOOK, "The keeper's code is 7."])
def test_an_answer_that_was_begun_for_the_model_is_the_questions(book):
    asked = "What is the code?\nAnswer: Let's think step by step."
    assert taken(f"{book}\n\nQuestion: {asked}\n") == request.Taken(book, asked)


def test_a_marker_of_ones_own():
    found = taken(f"{BOOK}\nFrage: Wie lautet der Code?\nAntworte kurz.", markers=("Frage:",))
    assert found == request.Taken(BOOK, "Wie lautet der Code?\nAntworte kurz.")


def test_a_document_and_a_question_apart():
    parts = [{"type": "text", "text": BOOK}, {"type": "text", "text": "What is the code?"}]
    assert taken(parts) == taken(BOOK, "What is the code?") == request.Taken(BOOK, "What is the code?")
    assert taken(BOOK, document(2), "And?").document == f"{BOOK}\n\n{document(2)}"


def test_paragraphs_sent_one_by_one_are_a_document():
    assert taken(*BOOK.split("\n\n"), "What is the code?") == request.Taken(BOOK, "What is the code?")


def test_blanks_take_no_time():
    began = time.perf_counter()
    taken(f"{BOOK}\n\nWhat?{' ' * 400_000}")
    taken(f"{BOOK}\n\nWho?{' ' * 1_900}Answer:")
    with pytest.raises(Refused):
        taken(f"{' ' * 7_000}x Answer{' ' * 500}")
    assert time.perf_counter() - began < 1


def test_a_question_before_its_document():
    assert taken("What is the code?", BOOK) == request.Taken(BOOK, "What is the code?")


def test_a_short_text_has_no_document():
    assert taken("Good morning. How are you?").document == ""
    assert taken("Hello!", said("Hello."), "How are you?").document == ""


def test_a_short_document_is_one_where_it_was_told_apart():
    short, asked = "The keeper's code is 7.", "What is the code?"
    for given in ([short, asked], [asked, short], [f"{short}\n\nQuestion: {asked}\nAnswer:"]):
        assert taken(*given) == request.Taken(short, asked)
    assert taken("Kept by Ann.", "Lit by Bo.", asked) == request.Taken("Kept by Ann.\n\nLit by Bo.", asked)
    assert taken("Which one?", "The red one?").question == "The red one?"
    for given in (f"{short}\n\n{asked}", f"Question: {asked}", f"{asked}\n\nQuery: "):
        assert taken(given).document == ""
    assert taken(" ", asked).document == ""
    later = taken(short, asked, said("7."), "And", "when?")
    assert later.document == short
    assert later.question.endswith("The question now: And\n\nwhen?")


def test_a_later_turn_keeps_the_document_and_has_what_was_said():
    found = taken(f"{BOOK}\n\nWho bought it?", said("The sailor."), "And when?")
    assert found.document == BOOK
    assert "Question: Who bought it?\nAnswer: The sailor." in found.question
    assert found.question.endswith("The question now: And when?")


def test_a_turn_of_a_document_alone_stays_whole():
    assert taken(BOOK, said("Ask me."), "What is the code?").document == BOOK


def test_the_beginning_of_an_answer_is_left_out():
    assert taken(RULER, said("Answer:")) == taken(RULER)
    with pytest.raises(Refused, match="has to be the user's"):
        taken(RULER, said("x" * 1000))


def test_a_document_without_a_question_is_refused():
    with pytest.raises(Refused, match="no question"):
        taken(f"{BOOK}\nQuestion: ")


def test_system_messages_go_on():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}]
    assert request.read(json.dumps({"messages": messages}).encode()).system == messages[:1]
