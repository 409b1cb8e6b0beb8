"""What bodies and error replies of real servers mean."""

import pytest

from datagen.llm import cost
from datagen.llm import http_errors as replies
from datagen.llm.base import Completion, Request
from datagen.llm.http_errors import TOO_LONG, Unusable

ROOM = (
    "maximum context length is 8192 tokens. However, you requested {0} tokens ({0} in the messages, 500 in the reply)"
)
LIMIT = "max_tokens is too large: 9000. This model supports at most 4096 completion tokens"
REQUEST = Request("m", [{"role": "user", "content": "Is it?"}], {"max_tokens": 10})
REFUSED = "request refused by the server"


def body(**message) -> dict:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def completed(given: object, **more) -> Completion:
    return replies.completion(REQUEST, given, endpoint="there", **more)


def test_a_completion_is_read_whole():
    found = completed(
        {
            "choices": [{"message": {"content": "Yes.", "reasoning_content": "Hm."}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
        },
        attempts=2,
        seconds=1.23456,
    )
    assert (found.text, found.reasoning, found.finish, found.error) == ("Yes.", "Hm.", "length", "")
    assert (found.prompt_tokens, found.cached_tokens, found.completion_tokens) == (9, 4, 3)
    assert (found.endpoint, found.attempts, found.seconds) == ("there", 2, 1.235)
    assert not found.estimated


@pytest.mark.parametrize(
    ("message", "text", "reasoning", "refusal"),
    [
        ({"content": None, "refusal": "I can't."}, None, "", "I can't."),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "ab", "", ""),
        ({"content": "<think>why</think>\nso"}, "so", "why", ""),
        ({"content": "\n<thinking>\nwhy\n</thinking>so"}, "so", "why", ""),
        ({"content": "why\n</think>\n\nso"}, "so", "why", ""),  # the chat template had opened it
        ({"content": '{"answer": "</think>"}'}, '{"answer": "</think>"}', "", ""),
        ({"content": "so", "reasoning": "why"}, "so", "why", ""),
        ({"content": "half \ud83d"}, "half ?", "", ""),  # half an emoji fits in no file
    ],
)
def test_reasoning_is_kept_apart(message: dict, text: str | None, reasoning: str, refusal: str):
    found = completed(body(**message))
    assert (found.text, found.reasoning, found.refusal) == (text, reasoning, refusal)


def finished(finish: object, **message) -> dict:
    return {"choices": [{"message": message, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (body(content=None), "empty reply"),
        (body(content=" \n"), "empty reply"),
        (body(), "empty reply"),
        (body(content="<think>cut in the mid"), "empty reply"),
        (body(content=None, reasoning_content="all of it"), "empty reply"),
        (finished("tool_calls", content=None, tool_calls=[{}]), "empty reply"),
        (finished("content_filter", content="half of"), "stopped by a content filter"),
        (finished("abort", content="half of"), "unfinished reply"),  # as SGLang and vLLM say as they shut down
        (finished("error", content="half of"), "unfinished reply"),
        (finished(None, content="half of"), "unfinished reply"),
        ({"choices": []}, "unfinished reply"),
        ({"choices": [None]}, "unfinished reply"),
        ({"choices": [{"message": None}], "usage": None}, "unfinished reply"),
    ],
)
def test_what_the_model_did_not_finish_or_fill_is_no_reply(given: dict, reason: str):
    with pytest.raises(Unusable) as e:
        completed(given)
    assert e.value.reason == reason
    assert e.value.completion  # it may be billed


@pytest.mark.parametrize("finish", ["stop", "STOP", "eos_token", "stop_sequence", "end_turn"])
def test_servers_call_the_end_of_a_reply_by_several_names(finish: str):
    assert completed(finished(finish, content="Yes.")).finish == "stop"
    assert completed(finished("max_tokens", content="Yes")).finish == "length"


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 7.5, "completion_tokens": 3},
        {"prompt_tokens": "7", "completion_tokens": 3},
        {"prompt_tokens": 7, "completion_tokens": 0},  # of a reply that has a text
        {"prompt_tokens": 7, "completion_tokens": None},
        {"prompt_tokens": -7, "completion_tokens": 3},
        {"prompt_tokens": True, "completion_tokens": 3},
    ],
)
def test_what_is_not_known_is_the_most_that_it_can_be(usage: dict | None):
    found = completed(body(content="Yes.") | {"usage": usage})
    assert (found.prompt_tokens, found.completion_tokens) == cost.most_tokens(REQUEST)
    assert found.estimated


def test_no_more_tokens_are_cached_than_there_are():
    usage = {"prompt_tokens": 7.0, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 900}}
    found = completed(body(content="Yes.") | {"usage": usage})
    assert (found.prompt_tokens, found.cached_tokens, found.completion_tokens) == (7, 0, 3)


@pytest.mark.parametrize("given", ["<html>", None, [], {}, {"choices": None}, {"error": {"message": "x"}}])
def test_what_is_no_completion_is_no_reply(given: object):
    with pytest.raises(Unusable):
        completed(given)


@pytest.mark.parametrize(
    ("status", "given", "reason", "retryable", "about_endpoint", "lacks"),
    [
        (429, {"error": {"message": "slow down"}}, "too many requests", True, False, ""),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, "no quota left", False, True, ""),
        (500, "<html>oops</html>", "server error", True, False, ""),
        (408, "", "server error", True, False, ""),
        (425, "", "server error", True, False, ""),
        (401, {"error": {"message": "bad key"}}, "key refused", False, True, ""),
        (302, "<html>", "redirected", False, True, ""),
        (404, {"message": "The model `x` does not exist."}, REFUSED, False, True, ""),
        (400, {"error": {"code": "context_length_exceeded", "message": "long"}}, TOO_LONG, False, False, ""),
        (400, {"object": "error", "message": "maximum context length is 4096 tokens"}, TOO_LONG, False, False, ""),
        (400, {"error": {"message": ROOM.format(8000)}}, "max_tokens over the context window", False, False, ""),
        (400, {"error": {"message": ROOM.format(9000)}}, TOO_LONG, False, False, ""),
        (400, {"error": {"message": LIMIT}}, "max_tokens over the context window", False, False, ""),
        (400, {"error": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"}, TOO_LONG, False, False, ""),
        (
            400,
            {"error": {"message": "request (6033 tokens) exceeds the available context size"}},
            TOO_LONG,
            *2 * (False,),
            "",
        ),
        (413, "", TOO_LONG, False, False, ""),
        (400, {"error": {"message": "response_format json_schema: no"}}, REFUSED, False, False, "json_schema"),
        (400, {"error": {"message": "Use 'max_completion_tokens' instead."}}, REFUSED, False, False, "max_tokens"),
        (400, {"error": {"message": "bad temperature"}}, REFUSED, False, False, ""),
        (400, {"error": None}, REFUSED, False, False, ""),
    ],
)
def test_errors_are_told_apart(
    status: int, given: object, reason: str, retryable: bool, about_endpoint: bool, lacks: str
):
    found = replies.failure(status, given)
    assert (found.reason, found.retryable, found.about_endpoint, found.lacks) == (
        reason,
        retryable,
        about_endpoint,
        lacks,
    )
    assert str(status) in found.detail


@pytest.mark.parametrize(
    ("status", "given", "meant"),
    [
        (200, {"error": {"code": 502, "message": "Provider returned error"}}, 502),
        (200, {"error": {"code": "429", "message": "slow down"}}, 429),
        (200, {"error": {"message": "context length exceeded"}}, 400),
        (200, {"error": "something broke"}, 500),
        (200, {"error": {"code": 7}}, 500),
        (200, {"error": None, "choices": []}, 200),
        (200, {"error": {"code": 502}, "choices": [{}]}, 200),
        (200, "<html>", 200),
        (503, {"error": {"code": 400}}, 503),
    ],
)
def test_an_error_that_comes_with_a_200(status, given, meant):
    assert replies.meant(status, given) == meant


def test_what_went_wrong_late_is_told():
    with pytest.raises(Unusable, match=r"'error'.*Provider disconnected"):
        completed(
            {
                "choices": [
                    finished("error", content="half")["choices"][0] | {"error": {"message": "Provider disconnected"}}
                ]
            }
        )


def test_a_long_error_page_is_clipped():
    assert len(replies.failure(502, "x" * 100_000).detail) < 400


@pytest.mark.parametrize("words", ["length 1" * 100_000, f"context length is 4 . {'9' * 100_000}", "length " * 100_000])
def test_a_megabyte_of_words_is_read_at_once(words):
    """In quadratic time it would take an hour; Python makes no number of so many digits."""
    assert replies.failure(400, {"error": {"message": f"maximum context length is 9. {words}"}}).reason == TOO_LONG


def test_a_server_cannot_write_to_the_terminal():
    assert replies.failure(500, {"error": {"message": "\x1b[2J\x1b]0;owned\x07 so\x9b2J"}}).detail.isprintable()
