"""Reads the bodies of HTTP replies: what a chat completion holds, and what an error means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from datagen.llm.base import Completion

RETRIED = {408, 409, 425, 429}
ABOUT_THE_ENDPOINT = {401, 403, 404}  # a wrong key, address or model: no request will fare better
TOO_LONG = "prompt over the context window"
TOO_MANY = "too many requests"
NO_QUOTA = "no quota left"
_OVER_THE_WINDOW = re.compile(
    r"context_length_exceeded|maximum (context|model) length|max_model_len|context (length|window|size)|"
    r"prompt is too long|longer than the (maximum|model)|too many tokens|input.{0,40}too long",
    re.IGNORECASE,
)
_NO_SCHEMA = re.compile(r"response_format|json_schema|structured.?output|guided|grammar", re.IGNORECASE)
_THINK = re.compile(r"\s*<(think|thinking|thought|reasoning)>(.*?)(?:</\1>|\Z)(.*)", re.DOTALL)
_END_OF_THINKING = re.compile(r"</(?:think|thinking|thought|reasoning)>")


class Unusable(ValueError):
    """A body that is no chat completion at all, as proxies send: not a reply of the model."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What an error reply means. `reason` is one of a few; `detail` is the server's own words, clipped."""

    reason: str
    detail: str
    retryable: bool = False
    about_endpoint: bool = False
    lacks: str = ""  # what the server does not take ("json_schema", "max_tokens"): the request is good without


def failure(status: int, body: Any) -> Failure:
    """Of an HTTP status from 400 on, with the body as read from JSON, or as text."""
    error = body.get("error", body) if isinstance(body, dict) else body
    code, message = "", error
    if isinstance(error, dict):
        code, message = str(error.get("code") or error.get("type") or ""), error.get("message") or error.get("detail")
    words = " ".join(f"{code}: {message}".split()) if code else " ".join(str(message or "").split())
    detail = f"HTTP {status}" + (f", {clipped(words)}" if words else "")
    if status == 413 or (status in (400, 422) and _OVER_THE_WINDOW.search(words)):
        return Failure(TOO_LONG, detail)
    if "insufficient_quota" in words or status == 402:
        return Failure(NO_QUOTA, detail, about_endpoint=True)
    if status in RETRIED or status >= 500:
        return Failure(TOO_MANY if status == 429 else "server error", detail, retryable=True)
    return Failure(
        "request refused by the server",
        detail,
        about_endpoint=status in ABOUT_THE_ENDPOINT,
        lacks=_lacking(words) if status in (400, 422) else "",
    )


def _lacking(words: str) -> str:
    if "max_completion_tokens" in words:  # OpenAI's reasoning models know the reply's limit by this name only
        return "max_tokens"
    if "stream_options" in words:
        return "stream_options"
    return "json_schema" if _NO_SCHEMA.search(words) else ""


def completion(key: str, body: Any, *, endpoint: str, attempts: int = 1, seconds: float = 0.0) -> Completion:
    """The first choice of a chat completion. Raises Unusable when the body is none."""
    if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        raise Unusable(f"the reply is no chat completion: {clipped(str(body))}")
    choice = _dict(body["choices"][0]) if body["choices"] else {}
    message, usage = _dict(choice.get("message")), _dict(body.get("usage"))
    cached = _dict(usage.get("prompt_tokens_details")).get("cached_tokens")
    text = _text(message.get("content"))
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or ""
    if text and not reasoning:
        reasoning, text = split_reasoning(text)
    return Completion(
        key,
        text=text or None,
        reasoning=reasoning,
        refusal=_text(message.get("refusal")) or "",
        finish=_text(choice.get("finish_reason")) or "",
        prompt_tokens=_count(usage.get("prompt_tokens")),
        cached_tokens=_count(cached),
        completion_tokens=_count(usage.get("completion_tokens")),
        endpoint=endpoint,
        attempts=attempts,
        seconds=round(seconds, 3),
    )


def split_reasoning(text: str) -> tuple[str, str]:
    """(reasoning, answer) of a reply whose server left both in one text."""
    if match := _THINK.match(text):
        return match[2].strip(), match[3].strip()
    if not text.lstrip().startswith(("{", "[", "```")):  # an answer may quote such a tag
        before, *after = _END_OF_THINKING.split(text, maxsplit=1)  # the template had opened it already
        if after:
            return before.strip(), after[0].strip()
    return "", text


def clipped(text: str, length: int = 300) -> str:
    """At most `length` characters of a text, for a message, fit to be written to a file."""
    text = _whole(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _text(content: Any) -> str | None:
    """Content is a text, or a list of parts of which some are text."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return None
    return _whole(content)


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate, half an emoji, fits in no file


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
