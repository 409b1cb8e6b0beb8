"""Replies as models really write them: what can be read, and what is asked for again."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.llm import objects, parsing
from datagen.llm.base import Completion, Request
from datagen.llm.objects import ParseError
from datagen.llm.parsing import NoReply, Unfit
from datagen.tasks.question import read
from tests.llm.asking import Scripted

REPLY = {"skip": False, "question": "Who?", "answer": "He.", "evidence": [0, 2]}
TEXT = json.dumps(REPLY)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```\nI hope this helps!",
        f"Let me think: {{a, b}} are sets.\n\n{TEXT}",
        f'First try: {{"skip": false, "question": "What?", "answer": "x", "evidence": [1, 0]}}. Better:\n{TEXT}',
        f"{TEXT}\nThe evidence is in two passages {{0, 2}}.",
        json.dumps(REPLY, indent=2),
        TEXT.replace("Who", "\\u0057ho"),
        TEXT.replace("[0, 2]", '[{"passage": 2, "says": "so"}, {"passage": 0, "says": "and so"}]'),
    ],
)
def test_an_object_is_found(text: str):
    assert read(text, 3, 2, 2) == ("Who?", "He.", [0, 2])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I would rather not.", "unreadable reply"),
        ("[1, 2]", "unreadable reply"),
        (TEXT.replace('"', "'"), "unreadable reply"),  # single quotes are not guessed
        (TEXT[:-2], "unreadable reply"),
        (TEXT.replace("Who", "Who\\ud800"), "unreadable reply"),  # half of a character
        (TEXT.replace('"skip"', '"question": "Why?", "skip"'), "unreadable reply"),  # a key that stands twice
        (TEXT.replace("[0, 2]", "NaN"), "unreadable reply"),
        (TEXT.replace('"Who?"', "null"), "no question"),
        (TEXT.replace('"He."', '"  "'), "no answer"),
        (TEXT.replace("[0, 2]", "[0, 1.5]"), "unusable evidence"),
        (TEXT.replace("[0, 2]", '["0", "2"]'), "unusable evidence"),
        (TEXT.replace("[0, 2]", "[true, 2]"), "unusable evidence"),
        (TEXT.replace("[0, 2]", "2"), "unusable evidence"),
        (TEXT.replace("[0, 2]", "[0, 3]"), "unusable evidence"),
        (TEXT.replace("[0, 2]", "[-1, 2]"), "unusable evidence"),
        (TEXT.replace("[0, 2]", "[2, 2]"), "too little evidence"),
        (TEXT.replace("[0, 2]", "[0, 1, 2]"), "too much evidence"),
        (TEXT.replace("[0, 2]", '[{"says": "so"}, 2]'), "unusable evidence"),
        (TEXT.replace("Who", "Who, says CHUNK_2"), "names a chunk"),
        (TEXT.replace("He.", "See passage 2"), "names a chunk"),
        ("{" * 100_000, "unreadable reply"),
        ('{"a":' * 5_000, "unreadable reply"),
    ],
)
def test_what_cannot_be_read_has_a_reason(text: str, reason: str):
    with pytest.raises(ParseError) as e:
        read(text, 3, 2, 2)
    assert e.value.reason == reason


def test_a_skip_is_no_failure():
    assert read('{"skip": true, "question": "", "answer": "", "evidence": []}', 3, 2, 2) is None
    assert read('{"skip": true}', 3, 2, 2) is None


def test_a_megabyte_is_read():
    """At once; a quadratic search would take minutes."""
    padding = "x{" * 300_000
    for text in (padding, "```\nx" * 200_000, "```json\n" * 100_000 + "\n" * 200_000):
        with pytest.raises(ParseError):
            read(text, 3, 2, 2)
    long = json.dumps(REPLY | {"answer": "y" * 1_000_000})
    assert read(long, 3, 2, 2) == ("Who?", "y" * 1_000_000, [0, 2])


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str):
    for reader in (lambda t: read(t, 3, 2, 2), parsing.read_rating, parsing.read_answer, objects.read_verdict):
        try:
            reader(text)
        except ParseError as e:
            said = (e.reason, str(e))
            assert all(said)


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ('{"reason": "fine", "rating": 7}', 7.0),
        ('{"reason": "fine", "rating": 8.5}', 8.5),
        ("Rated by the criteria: [[9]]", 9.0),
        ("[[ 10 ]] and once more [[10]]", 10.0),
        ('{"reason": "The document orders a [[10]].", "rating": 2}', 2.0),
    ],
)
def test_a_rating_is_read(text: str, rating: float):
    assert parsing.read_rating(text)[0] == rating


@pytest.mark.parametrize(
    "text",
    ["10 out of 10", "[[9]] or rather [[3]]", '{"rating": "9"}', '{"rating": true}', '{"rating": 11}', "[[12]]", "8"],
)
def test_no_rating_is_guessed(text: str):
    with pytest.raises(ParseError):
        parsing.read_rating(text)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"answerable": true, "answer": " in  Rome "}', "in Rome"),
        ('{"reason": "No {year} is given.", "answerable": false, "answer": "1850"}', None),
        ('It follows.\n```json\n{"answerable": true, "answer": "12"}\n```', "12"),
    ],
)
def test_an_answer_is_read(text: str, answer: str | None):
    assert parsing.read_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "Rome",
        '{"answer": "Rome"}',
        '{"answerable": "yes", "answer": "Rome"}',
        '{"answerable": true, "answer": " "}',
        '{"answerable": true, "answer": null}',
        '{"answerable": true, "answerable": false, "answer": "Rome"}',
    ],
)
def test_no_answer_is_guessed(text: str):
    with pytest.raises(ParseError):
        parsing.read_answer(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('{"reference": "Rome", "other": "Roma", "same": true}', True),
        ('{"reference": "Rome", "other": "says [[Yes]]", "same": false}', False),
        ('{"difference": "none", "same": true}', True),
        ('{"difference": "none", "same": false}', False),
        ('{"difference": "None.", "same": true}', True),
        ('{"difference": "", "same": true}', True),
        ('{"difference": null, "same": true}', True),
        ('{"difference": "no difference", "same": true}', True),
        ('{"difference": "a part is added", "same": true}', False),
        ("[[Yes]]", True),
        ("Both name him. [[ NO ]]", False),
        ("[[no]], so: [[No]]", False),
    ],
)
def test_a_verdict_is_read(text: str, same: bool):
    assert objects.read_verdict(text) is same


@pytest.mark.parametrize(
    "text",
    [
        "Yes",
        "[Yes]",
        "[[Yes]] or [[No]]",
        "[[Yes, they do]]",
        "",
        "[[10]]",
        '{"same": "yes"}',
        '{"reference": "[[Yes]]"',
    ],
)
def test_no_verdict_is_guessed(text: str):
    with pytest.raises(ParseError):
        objects.read_verdict(text)


def conversation(*completions: Completion, **sampling: float) -> tuple[object, list[Request]]:
    """What comes of a request that is answered like this, and the requests that were made."""
    llm, first = Scripted(*completions), Request("m", [{"role": "user", "content": "?"}], sampling)
    try:
        return asyncio.run(parsing.ask(llm, first, lambda text: read(text, 3, 2, 2), 2)), llm.asked
    except (NoReply, Unfit) as e:
        return e, llm.asked


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (Completion("", text="What?"), "unreadable reply"),
        (Completion("", text=None), "empty reply"),
        (Completion("", text=" "), "empty reply"),
        (Completion("", refusal="I can't."), "refused by the model"),
        (Completion("", text=TEXT[:9], finish="length"), "reply cut short"),
        (Completion("", text=TEXT, finish="content_filter"), "stopped by a content filter"),
    ],
)
def test_what_cannot_be_read_is_asked_again_and_then_failed_with_the_text_kept(completion: Completion, reason: str):
    """The second reply to it is the same again, so that the third request is the first anew."""
    result, asked = conversation(completion, completion, completion)
    assert isinstance(result, NoReply)
    assert result.reason == reason
    assert (completion.text or "").strip() in result.detail
    assert len(asked) == 3
    assert len({request.key for request in asked}) == 3
    assert [m["role"] for m in asked[1].messages] == (
        ["user", "assistant", "user"] if completion.text else ["user", "user"]
    )


def test_the_second_reply_counts():
    result, asked = conversation(Completion("", text="Sure!"), Completion("", text=TEXT))
    assert result == ("Who?", "He.", [0, 2])
    assert "no JSON object" in asked[1].messages[-1]["content"]


def test_where_no_reply_could_be_had_none_is_asked_again():
    result, asked = conversation(Completion("", error="server error", detail="HTTP 500"))
    assert isinstance(result, NoReply)
    assert (result.reason, result.detail, len(asked)) == ("server error", "HTTP 500", 1)


def test_a_model_that_repeats_itself_is_asked_afresh_and_hotter():
    short = Completion("", text=TEXT.replace("[0, 2]", "[2]"))
    result, asked = conversation(short, short, Completion("", text=TEXT), temperature=0.2)
    assert result == ("Who?", "He.", [0, 2])
    assert "at least 2 different passages" in asked[1].messages[-1]["content"]
    assert (asked[2].messages, asked[2].sampling["temperature"]) == (asked[0].messages, 0.7)
    _, asked = conversation(short, short, short)
    assert "temperature" not in asked[2].sampling  # some models take none
    assert len({request.key for request in asked}) == 3


def test_what_can_be_read_and_will_not_do_is_final_and_no_fault_of_the_server():
    short = Completion("", text=TEXT.replace("[0, 2]", "[2]"))
    llm = Scripted(short, short, short)
    with pytest.raises(Unfit, match="at least 2"):
        asyncio.run(parsing.ask(llm, Request("m", [], {}), lambda text: read(text, 3, 2, 2), 2))
    assert (llm.problems, llm.disowned) == (["", "", ""], [])


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (TEXT + "\n" * 50, True),
        (f"```json\n{TEXT}\n```\nTo explain, the passages", True),
        (TEXT + TEXT.replace("He", "She"), True),
        (TEXT[:-1], False),
        (f"A first try: {TEXT}. But better:", False),  # what it was about to say is not known
        ("", False),
    ],
)
def test_an_object_that_was_whole_before_the_reply_was_cut_counts(text: str, whole: bool):
    completion = Completion("", text=text, finish="length")
    if whole:
        assert parsing.read_reply(completion, lambda text: read(text, 3, 2, 2)) == ("Who?", "He.", [0, 2])
    else:
        with pytest.raises(ParseError, match="cut off"):
            parsing.read_reply(completion, lambda text: read(text, 3, 2, 2))
