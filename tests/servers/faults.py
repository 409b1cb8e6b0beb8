"""What goes wrong with servers, by name, and how it looks to their clients."""

from __future__ import annotations

from typing import Any


def _error(message: str, code: str | None = None, type: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


_TOO_LONG = "This model's maximum context length is 8192 tokens. However, "
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>nginx</body></html>"

# Replies with an error status, at once: (status, JSON or HTML). "429" says when to come back in seconds, "429 date" as
# a date, "429 bare" not at all.
ERRORS: dict[str, tuple[int, Any]] = {
    "400": (400, _error("'messages' is a required property")),
    "401": (401, _error("Incorrect API key provided.", "invalid_api_key")),
    "404 model": (
        404,
        _error("The model `scripted` does not exist or you do not have access to it.", "model_not_found"),
    ),
    "408": (408, _error("Request timed out.", type="timeout")),
    "425": (425, _error("Too early.")),
    "429": (429, _error("Rate limit reached for requests.", "rate_limit_exceeded", "requests")),
    "429 date": (429, _error("Rate limit reached for requests.", "rate_limit_exceeded", "requests")),
    "429 bare": (429, _error("Rate limit reached for requests.", "rate_limit_exceeded", "requests")),
    "500": (
        500,
        _error("The server had an error while processing your request. Sorry about that!", type="server_error"),
    ),
    "502 html body": (502, _HTML),
    "503 loading": (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
    "503": (503, _error("The engine is currently overloaded, please try again later.", type="server_error")),
    "200 error": (200, {"error": {"code": 502, "message": "Provider returned error"}}),  # as OpenRouter does
    "200 context": (
        200,
        {"error": {"message": "the model is loaded with context length of only 4096 tokens"}},
    ),  # LM Studio
    "quota": (429, _error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")),
    "context": (400, _error(f"{_TOO_LONG}your messages resulted in 9000 tokens.", "context_length_exceeded")),
    "context vllm": (
        400,
        {
            "object": "error",
            "message": f"{_TOO_LONG}you requested 9500 tokens (8500 in the messages, 1000 in the completion). Please "
            "reduce the length of the messages or completion.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "no room": (400, _error(f"{_TOO_LONG}you requested 9000 tokens (8000 in the messages, 1000 in the completion).")),
    "schema unsupported": (400, _error("Invalid parameter: 'response_format' of type 'json_schema' is not supported.")),
    "base64 unsupported": (400, _error("encoding_format: base64 is not supported, only float.")),
    "max_tokens unsupported": (
        400,
        _error(
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            "unsupported_parameter",
        ),
    ),
}
# No HTTP reply, half of one, none ever, one that is no JSON, one that sends elsewhere, and some that do not end
BROKEN = {"reset", "cut", "hang", "garbage", "redirect", "drip", "endless", "bomb"}
MARRED = {"empty choices", "null content", "refusal", "length", "reasoning_content", "think"}  # 200, but
MARRED |= {"only reasoning", "reasoning", "tool calls", "filtered", "abort", "no usage"}
MARRED |= {"odd usage", "late error"}
FAULTS = ERRORS.keys() | BROKEN | MARRED

_ABOUT = {
    "schema unsupported": "response_format",
    "max_tokens unsupported": "max_tokens",
    "base64 unsupported": "encoding_format",
}


def applies(fault: str, body: dict[str, Any]) -> bool:
    """Whether a request asks for what the server does not take."""
    return fault not in _ABOUT or _ABOUT[fault] in body


def marred(fault: str | None, text: str) -> list[dict[str, Any]]:
    """The choices of a completion, with what is wrong with them."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    finish = "stop"
    if fault == "empty choices":
        return []
    if fault == "null content":
        message["content"] = None
    elif fault == "refusal":
        message |= {"content": None, "refusal": "I'm sorry, I can't help with that."}
    elif fault == "length":
        message["content"], finish = text[: len(text) // 2], "length"
    elif fault == "reasoning_content":
        message["reasoning_content"] = "Let me think about it."
    elif fault == "only reasoning":
        message |= {"content": None, "reasoning_content": text}
    elif fault == "reasoning":  # as vLLM, Ollama and OpenRouter call it
        message["reasoning"] = "Let me think about it."
    elif fault == "late error":
        wrong = {"code": 502, "message": "Provider disconnected"}
        return [{"index": 0, "message": message | {"content": ""}, "finish_reason": "error", "error": wrong}]
    elif fault == "tool calls":
        message |= {"content": None, "tool_calls": [{"id": "1", "type": "function"}]}
        finish = "tool_calls"
    elif fault in ("filtered", "abort"):
        message["content"] = text[: len(text) // 2]
        finish = "content_filter" if fault == "filtered" else "abort"
    elif fault == "think":
        message["content"] = f"<think>\nLet me think about it.\n</think>\n\n{text}"
    return [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}]


def usage(fault: str | None, prompt: float, cached: float, completion: float) -> dict[str, Any] | None:
    """What a completion says that it took."""
    if fault == "no usage":
        return None
    if fault == "odd usage":  # floats, and more cached than there is
        prompt, cached, completion = prompt + 0.5, 10 * prompt, 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
