"""Reads the bodies of HTTP replies: what a chat completion holds, and what an error means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from datagen.llm import cost
from datagen.llm.base import Completion, Request

RETRIED = {408, 409, 425, 429}
ABOUT_THE_ENDPOINT = {403, 404}  # a wrong key, address or model: no request will fare better
MAY_BE_BILLED = {502, 504, 520, 522, 524}  # of a gateway: the server behind it may have done the work
TOO_LONG = "prompt over the context window"
NO_ROOM = "max_tokens over the context window"
GARBLED, UNFINISHED, EMPTY, FILTERED = (
    "garbled reply",
    "unfinished reply",
    "empty reply",
    "stopped by a content filter",
)
READ = 10_000  # characters of an error's words that are looked at: some servers send the whole prompt back
CUT = "prompt cut by the server"
UNUSABLE = {UNFINISHED, EMPTY, FILTERED, CUT}
# How a model ends a reply, by the names that servers have for it. All else ("abort", "error") is not its doing.
_FINISHES: dict[str, str] = dict.fromkeys(("stop", "eos", "eos_token", "stop_sequence", "end_turn"), "stop")
_FINISHES |= dict.fromkeys(("length", "max_tokens", "max_length"), "length")
_FINISHES |= {name: name for name in ("tool_calls", "function_call", "content_filter")}
TOO_MANY, LOADING = "too many requests", "loading its model"
NOT_YET = {TOO_MANY, LOADING}  # the request was not looked at
NO_QUOTA, NO_KEY = "no quota left", "key refused"
FOR_GOOD = {NO_QUOTA, NO_KEY}  # that do not pass
_OVER_THE_WINDOW = re.compile(
    r"context_length_exceeded|maximum (context|model) length|max_model_len|context (length|window|size)|"
    r"prompt is too long|longer than the (maximum|model)|too many tokens|input.{0,40}too long|>= n_ctx",
    re.IGNORECASE,
)
# "maximum context length is 4096 tokens. However, you requested 5000 tokens (1000 in the messages, 4000 in the …)"
_NUMBERS = re.compile(
    r"(?:length|window)\D{1,20}(\d{1,12}).*?(\d{1,12}) (?:tokens )?(?:in|from) the (?:messages|prompt|input)"
)
_TOO_MANY_TOKENS = re.compile(r"max_(?:completion_|new_)?tokens\W.{0,60}(?:too large|at most|greater|exceed|less than)")
_NO_SCHEMA = re.compile(r"response_format|json_schema|structured.?output|guided|grammar", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline
_THINK = re.compile(r"\s*<(think|thinking|thought|reasoning)>(.*?)(?:</\1>|\Z)(.*)", re.DOTALL)
_END_OF_THINKING = re.compile(r"</(?:think|thinking|thought|reasoning)>")


class Unusable(ValueError):
    """A body that is no reply of the model: no chat completion at all, as proxies send, one that the model did not
    finish, or one that is empty. `reason` is one of a few; `completion` has what it took, where the server says so.
    """

    def __init__(self, detail: str, reason: str = GARBLED, completion: Completion | None = None) -> None:
        super().__init__(detail)
        self.reason, self.completion = reason, completion


@dataclass(frozen=True, slots=True)
class Failure:
    """What an error reply means. `reason` is one of a few; `detail` is the server's own words, clipped."""

    reason: str
    detail: str
    retryable: bool = False
    about_endpoint: bool = False
    lacks: str = ""  # what the server does not take ("json_schema", "max_tokens"), or give: it is no fault


def meant(status: int, body: Any) -> int:
    """The status that a reply should have: OpenRouter and LM Studio tell with a 200 what went wrong late."""
    error = body.get("error") if isinstance(body, dict) and not body.get("choices") else None
    if status != 200 or not error:
        return status
    code = error.get("code") if isinstance(error, dict) else None
    if re.fullmatch("[45][0-9]{2}", str(code)):
        return int(str(code))
    return 400 if _OVER_THE_WINDOW.search(str(error)[:READ]) else 500


def failure(status: int, body: Any) -> Failure:
    """Of an HTTP status from 300 on, with the body as read from JSON, or as text."""
    error = body.get("error", body) if isinstance(body, dict) else body
    code, message = "", error
    if isinstance(error, dict):
        code, message = str(error.get("code") or error.get("type") or ""), error.get("message") or error.get("detail")
    told = code and code != str(status)
    words = " ".join(f"{code}: {message}".split()) if told else " ".join(str(message or "").split())
    words = words[:READ]
    detail = f"HTTP {status}" + (f", {clipped(words)}" if words else "")
    if status == 413 or (status in (400, 422) and _OVER_THE_WINDOW.search(words)):
        return Failure(NO_ROOM if _prompt_fits(words) else TOO_LONG, detail)
    if status in (400, 422) and _TOO_MANY_TOKENS.search(words) and "max_completion_tokens' instead" not in words:
        return Failure(NO_ROOM, f"{detail}. Lower sampling.max_tokens of the stage")
    if "insufficient_quota" in words or status == 402:
        return Failure(NO_QUOTA, detail, about_endpoint=True)
    if status == 401:
        return Failure(NO_KEY, detail, about_endpoint=True)
    if 300 <= status < 400:
        what = f"{detail}: redirects are not followed, so that no prompt goes elsewhere"
        return Failure("redirected", f"{what}. Set base_url to the address itself", about_endpoint=True)
    if status == 503 and re.search(r"\bloading\b", words, re.IGNORECASE):  # llama.cpp, text-generation-inference
        return Failure(LOADING, detail, retryable=True)
    if status in RETRIED or status >= 500:
        return Failure(TOO_MANY if status == 429 else "server error", detail, retryable=True)
    return Failure(
        "request refused by the server",
        detail,
        about_endpoint=status in ABOUT_THE_ENDPOINT,
        lacks=_lacking(words) if status in (400, 422) else "",
    )


def _prompt_fits(words: str) -> bool:
    """Whether the window is said to hold the prompt, and only not what max_tokens asks for besides."""
    found = _NUMBERS.search(words)
    return bool(found) and int(found[2]) < int(found[1])


def _lacking(words: str) -> str:
    if "max_completion_tokens" in words:  # OpenAI's reasoning models know the reply's limit by this name only
        return "max_tokens"
    if "stream_options" in words:
        return "stream_options"
    return "json_schema" if _NO_SCHEMA.search(words) else ""


def completion(request: Request, body: Any, *, endpoint: str, attempts: int = 1, seconds: float = 0.0) -> Completion:
    """The first choice of a chat completion. Raises Unusable when the body is no reply of the model."""
    if not isinstance(body, dict) or not isinstance(body.get("choices"), list):
        raise Unusable(f"the reply is no chat completion: {clipped(str(body))}")
    choice = _dict(body["choices"][0]) if body["choices"] else {}
    message, finish = _dict(choice.get("message")), _text(choice.get("finish_reason")) or ""
    text, refusal = _text(message.get("content")), _text(message.get("refusal")) or ""
    reasoning = _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or ""
    took = _usage(request, _dict(body.get("usage")), bool(text or reasoning or refusal))
    if text and not reasoning and not request.whole:
        reasoning, text = split_reasoning(text)
    found = Completion(
        request.key,
        text=text or None,
        reasoning=reasoning,
        refusal=refusal,
        finish=_FINISHES.get(finish.casefold(), ""),
        endpoint=endpoint,
        attempts=attempts,
        seconds=round(seconds, 3),
        **took,
    )
    if problem := _problem(found, finish, message, choice.get("error"), request.whole):
        reason, detail = problem
        raise Unusable(detail, reason, found)
    return found


def _problem(
    found: Completion, finish: str, message: dict[str, Any], error: Any, whole: bool
) -> tuple[str, str] | None:
    """(reason, detail) of a reply that is of no use, whatever was asked."""
    if not message and not finish:
        return UNFINISHED, "it holds no choice"
    if not found.finish:
        why = f" ({clipped(str(_dict(error).get('message') or error))})" if error else ""
        return UNFINISHED, f"finish_reason {clipped(finish, 40)!r}: the server ended the reply, not the model{why}"
    if found.finish == "content_filter":
        return FILTERED, "finish_reason 'content_filter'"
    if found.refusal or (found.text and found.text.strip()) or (whole and not message.get("tool_calls")):
        return None
    if found.reasoning:
        what = f"all of its {found.completion_tokens:,} tokens are reasoning"
        return EMPTY, f"{what}: raise sampling.max_tokens" if found.finish == "length" else what
    return EMPTY, "tool calls instead of a text" if message.get("tool_calls") else "no text"


def _usage(request: Request, usage: dict[str, Any], replied: bool) -> dict[str, Any]:
    """What a request took, as far as what the server says can be: no text of some length takes no tokens. Else the most
    that it can have been.
    """
    prompt, completion = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    if not prompt or completion is None or (replied and not completion):
        most = cost.most_tokens(request)
        return {"prompt_tokens": most[0], "completion_tokens": most[1], "estimated": True}
    cached = count(_dict(usage.get("prompt_tokens_details")).get("cached_tokens")) or 0
    known = {"prompt_tokens": prompt, "completion_tokens": completion}
    return known | {"cached_tokens": cached if cached <= prompt else 0}


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
    """At most `length` characters of a text, for a message, fit to be written to a file and to a terminal."""
    text = _CONTROL.sub("\ufffd", _whole(text))
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


def count(value: Any) -> int | None:
    """A number of tokens; None for what is none. Some servers send whole numbers as floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
