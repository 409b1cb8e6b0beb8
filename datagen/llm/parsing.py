"""Strict readers of what a model wrote. What can't be read is asked for again, with the error told; never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from datagen import prompts
from datagen.llm.base import LLM, Completion, Request
from datagen.llm.objects import ParseError, first_object, read_object

T = TypeVar("T")
SHOWN_AGAIN = 4000  # characters of a reply that could not be read, in the next prompt
KEPT = 2000  # characters of it in the row that failed; the journal has the whole
_RATING = re.compile(r"\[\[\s*(\d+(?:\.\d+)?)\s*\]\]")
AFRESH, HOTTER, HOTTEST = 1_000, 0.5, 1.5  # another draw's place among the samples, and its temperature


class Unfit(ParseError):
    """A reply that can be read, and that will not do: a fault of the model, and none of the server that gave it."""


class NoReply(Exception):
    """A conversation that ended without a result: no reply could be had, or none that can be read."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


async def ask(llm: LLM, request: Request, read: Callable[[str], T], max_parse_retries: int) -> T:
    """Send a request until its reply can be read: `read` gets the text and raises ParseError, or Unfit.

    The model is told what was wrong with its reply; where it gives the same again, it is asked afresh, at a higher
    temperature. Raises NoReply, and then the next run asks again from the start; or Unfit, which is final.
    """
    replies: list[Completion] = []
    asked, afresh = request, 0
    for left in range(max_parse_retries, -1, -1):
        completion = await llm.complete(asked)
        if completion.error:
            raise NoReply(completion.error, completion.detail)
        repeated = completion.text in [reply.text for reply in replies]
        replies.append(completion)
        try:
            found = read_reply(completion, read)
        except ParseError as e:
            llm.report(completion, "" if isinstance(e, Unfit) else e.reason)
            if not left and isinstance(e, Unfit):
                raise
            if not left:
                await llm.disown(replies, e.reason)
                raise NoReply(e.reason, f"{e}. The reply: {_shown(completion, KEPT)}") from e
            if repeated:
                afresh += 1
                asked = _afresh(request, afresh)
            else:
                asked = _again(asked, completion, str(e))
        else:
            llm.report(completion)
            return found
    raise AssertionError("the last reading returns or raises")


def _again(asked: Request, reply: Completion, problem: str) -> Request:
    """The same conversation, with the reply and what was wrong with it."""
    turn = [{"role": "assistant", "content": _shown(reply, SHOWN_AGAIN)}] if reply.text else []
    told = {"role": "user", "content": prompts.render(prompts.load("again"), problem=problem)}
    return replace(asked, messages=[*asked.messages, *turn, told])


def _afresh(request: Request, nth: int) -> Request:
    """Another draw of the request as it was first sent."""
    sampling = request.sampling
    if "temperature" in sampling:
        sampling = sampling | {"temperature": min(HOTTEST, sampling["temperature"] + HOTTER * nth)}
    return replace(request, sampling=sampling, sample=request.sample + AFRESH * nth)


def read_reply(completion: Completion, read: Callable[[str], T]) -> T:
    """What `read` makes of a reply. Raises ParseError for one that is refused, filtered, empty or cut short; a JSON
    object that it began with, and that was whole before, counts.
    """
    if completion.refusal:
        raise ParseError("refused by the model", "the request was refused")
    if completion.finish == "content_filter":
        raise ParseError("stopped by a content filter", "the reply was stopped by a content filter")
    text = completion.text or ""
    if completion.finish == "length":
        text = first_object(text)
        if not text:
            raise ParseError("reply cut short", "the reply was cut off at the limit of tokens: it has to be shorter")
    if not text.strip():
        raise ParseError("empty reply", "the reply was empty")
    return read(text)


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


def _shown(completion: Completion, length: int) -> str:
    text = completion.refusal or completion.text or ""
    return text if len(text) <= length else f"{text[: length - 1]}…"
