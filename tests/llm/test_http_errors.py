"""What bodies and error replies of real servers mean."""

import pytest

from datagen.llm import http_errors as replies
from datagen.llm.http_errors import TOO_LONG, Unusable

REFUSED = "request refused by the server"


def body(**message) -> dict:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def test_a_completion_is_read_whole():
    found = replies.completion(
        "k",
        {
            "choices": [{"message": {"content": "Yes.", "reasoning_content": "Hm."}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
        },
        endpoint="there",
        attempts=2,
        seconds=1.23456,
    )
    assert (found.text, found.reasoning, found.finish, found.error) == ("Yes.", "Hm.", "length", "")
    assert (found.prompt_tokens, found.cached_tokens, found.completion_tokens) == (9, 4, 3)
    assert (found.endpoint, found.attempts, found.seconds) == ("there", 2, 1.235)


@pytest.mark.parametrize(
    ("message", "text", "reasoning", "refusal"),
    [
        ({"content": None}, None, "", ""),
        ({"content": ""}, None, "", ""),
        ({}, None, "", ""),
        ({"content": None, "refusal": "I can't."}, None, "", "I can't."),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "ab", "", ""),
        ({"content": "<think>why</think>\nso"}, "so", "why", ""),
        ({"content": "\n<thinking>\nwhy\n</thinking>so"}, "so", "why", ""),
        ({"content": "why\n</think>\n\nso"}, "so", "why", ""),  # the chat template had opened it
        ({"content": "<think>cut in the mid"}, None, "cut in the mid", ""),
        ({"content": '{"answer": "</think>"}'}, '{"answer": "</think>"}', "", ""),
        ({"content": "so", "reasoning": "why"}, "so", "why", ""),
        ({"content": "half \ud83d"}, "half ?", "", ""),  # half an emoji fits in no file
    ],
)
def test_reasoning_is_kept_apart(message: dict, text: str | None, reasoning: str, refusal: str):
    found = replies.completion("k", body(**message), endpoint="e")
    assert (found.text, found.reasoning, found.refusal) == (text, reasoning, refusal)


@pytest.mark.parametrize("choices", [[], [None], [{}], [{"message": None}]])
def test_a_reply_without_a_choice_is_a_reply(choices: list):
    assert replies.completion("k", {"choices": choices, "usage": None}, endpoint="e").text is None


@pytest.mark.parametrize("given", ["<html>", None, [], {}, {"choices": None}, {"error": {"message": "x"}}])
def test_what_is_no_completion_is_no_reply(given: object):
    with pytest.raises(Unusable):
        replies.completion("k", given, endpoint="e")


@pytest.mark.parametrize(
    ("status", "given", "reason", "retryable", "about_endpoint", "lacks"),
    [
        (429, {"error": {"message": "slow down"}}, "too many requests", True, False, ""),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, "no quota left", False, True, ""),
        (500, "<html>oops</html>", "server error", True, False, ""),
        (408, "", "server error", True, False, ""),
        (425, "", "server error", True, False, ""),
        (401, {"error": {"message": "bad key"}}, REFUSED, False, True, ""),
        (404, {"message": "The model `x` does not exist."}, REFUSED, False, True, ""),
        (400, {"error": {"code": "context_length_exceeded", "message": "long"}}, TOO_LONG, False, False, ""),
        (400, {"object": "error", "message": "maximum context length is 4096 tokens"}, TOO_LONG, False, False, ""),
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


def test_a_long_error_page_is_clipped():
    assert len(replies.failure(502, "x" * 100_000).detail) < 400
