"""What a stage asks of a language model and what it gets back: requests in, completions out as they finish."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

from datagen.run.identity import digest

Message = dict[str, str]  # {"role": "user", "content": …}
R = TypeVar("R")


@dataclass(frozen=True)
class Request:
    """One draw from a model. Several draws from the same prompt are requests with different `sample`."""

    model: str
    messages: list[Message]
    sampling: dict[str, Any]  # as the chat completions API names it: temperature, top_p, max_tokens, …
    schema: dict[str, Any] | None = None  # JSON schema of the reply, enforced where the server can
    sample: int = 0
    group: str = ""  # requests that begin with the same long text: best sent to one place, where its prefix is cached
    check: str = ""  # what it is asked for, where a stage asks several things: its usage is counted by that

    @cached_property
    def key(self) -> str:
        """What an answer is journalled under: payload and sample index, and nothing of where it is sent."""
        return digest([self.model, self.messages, self.sampling, self.schema, self.sample])


@dataclass(frozen=True, slots=True)
class Completion:
    """What came of a request. Either the model replied (`error` is empty, even if the reply is of no use), or no reply
    could be had, which is never taken for an answer.
    """

    key: str
    text: str | None = None  # the reply without its reasoning; None: it has none
    reasoning: str = ""
    refusal: str = ""  # the model's own words, where the server sets a refusal apart
    finish: str = ""  # "stop", "length", "content_filter", …
    error: str = ""  # why there is no reply, one of a few reasons
    detail: str = ""  # of the error: what was seen
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompt tokens, those that the server had in its cache
    completion_tokens: int = 0  # with the reasoning
    endpoint: str = ""
    attempts: int = 1
    seconds: float = 0.0  # the attempt that succeeded, from sending to the last byte
    check: str = ""  # the request's


class Closed(Exception):
    """The engine was closed while it was asked."""


class Engine(Protocol):
    def ask(self, requests: Iterator[Request | None]) -> Generator[list[Completion], None, None]:
        """Send requests and yield their completions as they finish, in groups of those that are there.

        Requests are drawn as there is room for them. None means: nothing until a completion was taken; if none is to
        come, an empty list is yielded. `operator.length_hint(requests)` tells how many will still follow, if known.
        Every request gets exactly one completion. Raises EngineError when going on makes no sense.
        """
        ...

    def close(self) -> None:
        """Give up what is held. Called from another thread, it makes an `ask` that waits raise Closed."""
        ...


def draw(requests: Iterator[Request | None], room: int) -> tuple[list[Request], bool]:
    """(as many requests as there is room for and are ready, whether there will be no more)."""
    drawn: list[Request] = []
    while len(drawn) < room:
        try:
            request = next(requests)
        except StopIteration:
            return drawn, True
        if request is None:
            break
        drawn.append(request)
    return drawn, False


# A dialogue with a model about one thing: it yields requests, is sent their completions and returns what it learned.
Conversation = Generator[Request, Completion, R]
