"""Strict readers of what a model wrote. What can't be read is asked for again, with the error told; never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from datagen import prompts
from datagen.llm.base import LLM, Completion, Request

T = TypeVar("T")
SHOWN_AGAIN = 4000  # characters of a reply that could not be read, in the next prompt
KEPT = 2000  # characters of it in the row that failed; the journal has the whole
_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n(.*?)\n[ \t]*```", re.DOTALL)
_RATING = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")
_VERDICT = re.compile(r"\[\[\s*(yes|no)\s*\]\]", re.IGNORECASE)
_TRIES = 200  # opening braces looked at in one reply


class ParseError(ValueError):
    """A reply of no use. `reason` is one of a few and is counted; the text tells the model what is wrong."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


class NoReply(Exception):
    """A conversation that ended without a result: no reply could be had, or none that can be read."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


async def ask(llm: LLM, request: Request, read: Callable[[str], T], max_parse_retries: int) -> T:
    """Send a request until its reply can be read: `read` gets the text and raises ParseError. Raises NoReply, and then
    the next run asks again from the start.
    """
    replies: list[Completion] = []
    for left in range(max_parse_retries, -1, -1):
        completion = await llm.complete(request)
        if completion.error:
            raise NoReply(completion.error, completion.detail)
        replies.append(completion)
        try:
            found = read(reply_text(completion))
        except ParseError as e:
            llm.report(completion, e.reason)
            if not left:
                await llm.disown(replies, e.reason)
                raise NoReply(e.reason, f"{e}. The reply: {_shown(completion, KEPT)}") from e
            turn = [{"role": "assistant", "content": _shown(completion, SHOWN_AGAIN)}] if completion.text else []
            problem = {"role": "user", "content": prompts.render(prompts.load("again"), problem=str(e))}
            request = replace(request, messages=[*request.messages, *turn, problem])
        else:
            llm.report(completion)
            return found
    raise AssertionError("the last reading returns or raises")


def reply_text(completion: Completion) -> str:
    """The text of a whole reply. Raises ParseError for one that is cut, refused, filtered or empty."""
    if completion.refusal:
        raise ParseError("refused by the model", "the request was refused")
    if completion.finish == "content_filter":
        raise ParseError("stopped by a content filter", "the reply was stopped by a content filter")
    if completion.finish == "length":
        raise ParseError("reply cut short", "the reply was cut off at the limit of tokens: it has to be shorter")
    if completion.text is None or not completion.text.strip():
        raise ParseError("empty reply", "the reply was empty")
    return completion.text


def read_object(text: str, keys: set[str]) -> dict[str, Any]:
    """The JSON object with these keys in a reply: the reply itself, in a fence, or the last one amid prose.

    Raises ParseError. Nothing is mended: single quotes, comments and keys that stand twice are errors.
    """
    problem = "it holds no JSON object"
    for part in [text, *reversed(_FENCE.findall(text))]:
        try:
            value = _writable(_DECODER.decode(part.strip()))
        except (ValueError, RecursionError) as e:
            problem = f"it is not valid JSON ({e})" if part.lstrip().startswith("{") else problem
        else:
            if isinstance(value, dict) and keys <= value.keys():
                return value
            problem = f"a JSON object with the keys {', '.join(sorted(keys))} is wanted"
    found = [value for value in _objects(text) if keys <= value.keys()]
    if not found:
        raise ParseError("unreadable reply", problem)
    return found[-1]


def read_rating(text: str) -> tuple[float, str]:
    """A rating from 0 to 10, from the object's "rating", else from [[x]]; and its reason. Raises ParseError."""
    reply: dict[str, Any] = {}
    try:
        reply = read_object(text, {"rating"})
        rating = reply["rating"]
    except ParseError:
        written = {float(x) for x in _RATING.findall(text)}
        if len(written) != 1 or "{" in text:  # in an object that went wrong, it may be the document's that is quoted
            raise
        rating = written.pop()
    if isinstance(rating, bool) or not isinstance(rating, (int, float)) or not 0 <= rating <= 10:
        raise ParseError("no rating", f"the rating must be a number from 0 to 10, not {rating!r:.40}")
    reason = reply.get("reason")
    return float(rating), " ".join(reason.split()) if isinstance(reason, str) else ""


def read_answer(text: str) -> str | None:
    """The object's "answer", or None if it says that the question is not "answerable". Raises ParseError."""
    reply = read_object(text, {"answerable", "answer"})
    if not isinstance(reply["answerable"], bool):
        raise ParseError("no answer", '"answerable" must be true or false')
    if not reply["answerable"]:
        return None
    if not isinstance(reply["answer"], str) or not reply["answer"].strip():
        raise ParseError("no answer", '"answer" must be a text that is not empty where "answerable" is true')
    return " ".join(reply["answer"].split())


def read_verdict(text: str) -> bool:
    """[[Yes]] or [[No]], whichever alone a reply holds. Raises ParseError."""
    found = {word.casefold() for word in _VERDICT.findall(text)}
    if len(found) != 1:
        raise ParseError("no verdict", "it must end with [[Yes]] or with [[No]], and hold only one of them")
    return found == {"yes"}


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects in a text, the outermost ones, in order."""
    found, at = [], text.find("{")
    for _ in range(_TRIES):
        if at < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, at)
            found.append(_writable(value))
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice")
    return value


def _writable(value: Any) -> Any:
    """The value. Raises ValueError where half of a character stands in it, escaped, which no file can hold."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def _shown(completion: Completion, length: int) -> str:
    text = completion.refusal or completion.text or ""
    return text if len(text) <= length else f"{text[: length - 1]}…"
