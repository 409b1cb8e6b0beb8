"""What is asked of a language model and what comes back: requests, completions, and who turns one into the other."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
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
    whole: bool = False  # the reply counts as the model wrote it: with its thinking, and were it empty
    revision: str = ""  # of the model, with whatever else makes its replies others; empty: nothing is known of it

    @cached_property
    def key(self) -> str:
        """What an answer is journalled under: payload, sample index and revision, and nothing of where it is sent."""
        asked = [self.model, self.messages, self.sampling, self.schema, self.sample]
        return digest([*asked, self.revision] if self.revision else asked)


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
    estimated: bool = False  # the server did not say, or nothing credible: the tokens are the most it can have been
    lost_prompt_tokens: int = 0  # of attempts that brought no reply and may be billed: the most it can have been
    lost_completion_tokens: int = 0
    endpoint: str = ""
    attempts: int = 1
    seconds: float = 0.0  # the attempt that succeeded, from sending to the last byte
    check: str = ""  # the request's


Stream = Callable[[str], None]  # is given the text of a reply, piece by piece, as the model writes it


class LLM(Protocol):
    """Whoever can be asked: what a conversation is given."""

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        """The completion of a request. It has an `error` where no reply could be had.

        `stream` hears the text as it is written, for a user who waits. Raises UserError when going on makes no sense.
        """
        ...

    def report(self, completion: Completion, problem: str = "") -> None:
        """Say that a reply could be read, or what was the problem with it: that counts against who gave it."""

    async def disown(self, completions: Sequence[Completion], problem: str) -> None:
        """Say that these replies, together, led to nothing: the next run asks for them again."""


class Account(Protocol):
    """Who pays for a request."""

    def lost(self, prompt_tokens: int, completion_tokens: int) -> None:
        """An attempt brought no reply of any use and may be billed: for so many tokens, at most."""

    async def renew(self) -> None:
        """Wait until one more attempt can be paid for. Raises UserError if it can't."""


class Backend(Protocol):
    """Where requests are answered. Everything is called from one event loop, which may not be the same next time.

    `room`: how many requests it makes good use of at once. All methods but `complete` may stay as they are.
    """

    room: int

    async def complete(
        self, request: Request, stream: Stream | None = None, account: Account | None = None
    ) -> Completion:
        """As `LLM.complete`. `account` is told of attempts that were lost, and asked before another is made."""
        ...

    def report(self, completion: Completion, problem: str = "") -> None:
        """As `LLM.report`, of a reply that this backend gave. Raises UserError when going on makes no sense."""

    def disown(self, completions: Sequence[Completion], problem: str) -> None:
        """As `LLM.disown`, of replies that this backend gave. Raises UserError when going on makes no sense."""

    def expect(self, n: int) -> None:
        """Told, as conversations are begun: how many more are still to come, besides those that ask already."""

    def idle(self) -> None:
        """Told when nothing more is asked before a reply is given, and all that were given are on disk."""

    def in_flight(self) -> int | None:
        """How many requests are at servers now, and not waiting for their turn; None: all that it was asked."""
        return None

    async def close(self) -> None:
        """Give up what is held. It may be asked again, in another event loop."""


# About one thing: an `async` function that asks an LLM as often as it likes, and returns what it learned.
Conversation = Coroutine[Any, Any, R]
