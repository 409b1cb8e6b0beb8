"""What goes to and from a language model while a stage asks it: replies, how fast they come, how many are still needed.

Replies that a journal holds are steps of their conversations, but neither received nor in any rate.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise

from datagen.llm.base import Completion

BEAT = 1.0  # seconds between two looks at what is in flight
RECENT = 256  # replies that a rate is of, the last ones: a server may be slower than it was an hour ago
ENOUGH = 5  # of anything tell something: of replies the time that is left, but never before each slot gave one
UNKNOWN = 0.1  # share of the open conversations that may outlast all that have ended, above which nobody knows


@dataclass(eq=False)
class Talk:
    """An open conversation: the replies that it asked for, and how many of them it has."""

    asked: int = 0
    heard: int = 0


_TALK: ContextVar[Talk] = ContextVar("talk")  # which conversation it is that asks, from the tasks within it as well


class Traffic:
    """`received` replies, the `tokens` in them (None: a server did not say), `failed` requests, and how many are
    `in_flight`. `told` hears of it, about once a second, in the thread of the conversations.
    """

    def __init__(self, told: Callable[[Traffic], None] = lambda traffic: None) -> None:
        self.told = told
        self.received = self.failed = self.sent = self.in_flight = self.most_in_flight = 0
        self.tokens: int | None = 0
        self.begin(0)

    def begin(self, expected: int) -> None:
        """So many conversations are to come; how others went, and how fast, says nothing about these."""
        self.expected = expected
        self.talks: set[Talk] = set()
        self.ended: Counter[int] = Counter()  # conversations, by the replies that they took
        self.since: float | None = None  # the first request, or the last reply that is no longer a recent one
        self.recent: deque[tuple[float, int | None]] = deque()  # when a reply came, and its tokens if they are known

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Within, a conversation goes on; what it asks, in this task or one that it starts, is its own."""
        talk = Talk()
        _TALK.set(talk)
        self.talks.add(talk)
        yield
        self.talks.discard(talk)
        self.ended[talk.heard] += 1

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within, the conversation waits for a reply, from the journal or from the model."""
        talk = _TALK.get()
        talk.asked += 1
        yield
        talk.heard += 1

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Within, a request is the backend's."""
        self.since = self.since or time.monotonic()
        self.sent += 1
        try:
            yield
        finally:
            self.sent -= 1

    def brought(self, completion: Completion) -> None:
        """Count what came of a request."""
        if completion.error:
            self.failed += 1
            return
        self.received += 1
        tokens = None if completion.estimated else completion.completion_tokens
        self.tokens = None if self.tokens is None or tokens is None else self.tokens + tokens
        self.recent.append((time.monotonic(), tokens))
        if len(self.recent) > RECENT:
            self.since, _ = self.recent.popleft()

    @asynccontextmanager
    async def looked_on(self, in_flight: Callable[[], int | None]) -> AsyncIterator[None]:
        """Within, it is told again and again how it stands, with what is `in_flight` then; None: all that was sent.

        Raises, in the end, what went wrong in telling, if nothing else did.
        """
        looking = asyncio.create_task(self._look_on(in_flight))
        try:
            yield
        except BaseException:
            looking.cancel()
            raise
        if not looking.cancel():  # it has ended
            looking.result()

    async def _look_on(self, in_flight: Callable[[], int | None]) -> None:
        while True:
            at_servers = in_flight()
            self.in_flight = self.sent if at_servers is None else at_servers
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.told(self)
            await asyncio.sleep(BEAT)

    def rates(self) -> tuple[float, float]:
        """Replies and their tokens a second, lately; 0 where none came, or nobody said how many tokens they have.

        Up to the last reply, as long as the wait for the next is no longer than any before: else it would fall and rise
        with each.
        """
        if not self.recent or self.since is None:
            return 0.0, 0.0
        times, tokens = [self.since, *(at for at, _ in self.recent)], [n for _, n in self.recent]
        longest, now = max(after - before for before, after in pairwise(times)), time.monotonic()
        seconds = max((now if now - times[-1] > longest else times[-1]) - self.since, 1e-9)
        return len(tokens) / seconds, 0.0 if None in tokens else sum(n or 0 for n in tokens) / seconds

    def seconds_left(self) -> float | None:
        """Until the last conversation ends, as likely as not; None while too little is known."""
        replies, (per_second, _) = self.replies_left(), self.rates()
        if replies is None or len(self.recent) < min(max(ENOUGH, self.most_in_flight), RECENT):
            return None
        return replies / per_second

    def replies_left(self) -> float | None:
        """How many replies the conversations that have not ended will need, by how many the others took.

        Source: Kaplan and Meier, 1958: of the conversations that had k replies and went on or ended, the share that
        went on. So those that are still open count for as far as they got, and neither the first that end, which are
        the short ones, nor what is rejected without any reply makes the others short. None: nobody knows.
        """
        reached = Counter(talk.asked for talk in self.talks)
        unbegun = max(0, self.expected - len(self.talks) - self.ended.total())
        left = float(sum(talk.asked - talk.heard for talk in self.talks))
        more, unknown, beyond = 0.0, 1.0, 0  # on average, after k replies; the chance to outlast all; that went on
        outlasting = 0.0
        for k in range(max((*reached, *self.ended), default=0), -1, -1):
            if known := beyond + self.ended[k]:
                goes_on = beyond / known
                more, unknown = goes_on * (1 + more), goes_on * unknown
            if known < min(ENOUGH, reached[k] + unbegun):  # the first few say little of the many that come here
                unknown = 1.0
            left += reached[k] * more
            outlasting += reached[k] * unknown
            beyond += reached[k] + self.ended[k]
        left, outlasting = left + unbegun * more, outlasting + unbegun * unknown
        return left if outlasting <= UNKNOWN * (len(self.talks) + unbegun) else None
