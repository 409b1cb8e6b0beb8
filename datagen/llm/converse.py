"""Carries on many conversations at once, each reply on disk before it is used.

A conversation is replayed from its shard's journal as far as that goes; only what was never answered is asked. Shards
are opened as the engine has room, and handed over as their last conversation ends, in any order.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

from datagen.errors import UserError
from datagen.llm.base import Closed, Completion, Conversation, Engine, Request
from datagen.llm.cost import Budget
from datagen.llm.journal import Journal


@dataclass
class Talk:
    """The conversations about one shard. `results` is aligned with them."""

    name: str
    conversations: list[Conversation]
    journal: Journal
    results: list[Any] = field(default_factory=list)
    open: int = 0


class OverBudget(UserError):
    """The budget does not cover the next request."""


@dataclass(frozen=True)
class _Turn:
    """A request, and the conversation that waits for its completion."""

    talk: Talk
    at: int
    request: Request


class Driver:
    """The iterator of requests that an engine draws from, and what takes its completions.

    `expected`: how many conversations there will be in all, for an engine that likes to know how many requests follow.
    """

    def __init__(
        self, talks: Iterator[Talk], budget: Budget, expected: int, on_end: Callable[[int], None] = lambda n: None
    ) -> None:
        self.talks = talks
        self.budget = budget
        self.unopened = expected
        self.on_end = on_end
        self.ready: deque[_Turn] = deque()
        self.waiting: dict[str, list[_Turn]] = {}  # by request key: two conversations may ask the very same
        self.finished: deque[Talk] = deque()
        self.drawn_all = False
        self.over_budget = False

    def __iter__(self) -> Driver:
        return self

    def __length_hint__(self) -> int:
        return len(self.ready) + self.unopened

    def __next__(self) -> Request | None:
        while self.ready:
            turn = self.ready.popleft()
            key = turn.request.key
            if (answer := turn.talk.journal.answers.get(key)) is not None:
                self._advance(turn.talk, turn.at, answer)
            elif key in self.waiting:
                self.waiting[key].append(turn)
            elif self.over_budget or not self.budget.reserve(turn.request):
                self.ready.appendleft(turn)
                self.over_budget = not self.waiting  # nothing in flight will give back what it reserved
                if self.over_budget:
                    raise StopIteration
                return None
            else:
                self.waiting[key] = [turn]
                return turn.request
        if self.drawn_all and not self.waiting:
            raise StopIteration
        if not self.drawn_all:
            self._open_next()
        return next(self) if self.ready else None

    def take(self, completions: list[Completion]) -> None:
        """Journal completions, all of them first, and go on with the conversations that waited for them."""
        taken = [(completion, self.waiting.pop(completion.key)) for completion in completions]
        turns = [(replace(completion, check=waiting[0].request.check), waiting) for completion, waiting in taken]
        by_journal: dict[int, tuple[Journal, list[Completion]]] = {}
        for completion, waiting in turns:
            for journal in {id(turn.talk.journal): turn.talk.journal for turn in waiting}.values():
                by_journal.setdefault(id(journal), (journal, []))[1].append(completion)
        for journal, found in by_journal.values():
            journal.append(found)
        for completion, waiting in turns:
            self.budget.settle(waiting[0].request, completion)
            for turn in waiting:
                self._advance(turn.talk, turn.at, completion)

    def _open_next(self) -> None:
        talk = next(self.talks, None)
        if talk is None:
            self.drawn_all = True
            self.unopened = 0
            return
        talk.results = [None] * len(talk.conversations)
        talk.open = len(talk.conversations)
        self.unopened = max(0, self.unopened - talk.open)
        if not talk.conversations:
            self._finish(talk)
        for at in range(len(talk.conversations)):
            self._advance(talk, at, None)

    def _advance(self, talk: Talk, at: int, completion: Completion | None) -> None:
        try:
            while True:
                request = talk.conversations[at].send(completion)  # pyright: ignore[reportArgumentType]  # None: begin
                completion = talk.journal.answers.get(request.key)
                if completion is None:
                    self.ready.append(_Turn(talk, at, request))
                    return
        except StopIteration as e:
            talk.results[at] = e.value
        talk.open -= 1
        self.on_end(1)
        if not talk.open:
            self._finish(talk)

    def _finish(self, talk: Talk) -> None:
        talk.journal.close()
        talk.journal.answers.clear()
        self.finished.append(talk)


def hold(driver: Driver, engine: Engine) -> Iterator[Talk]:
    """Yield each talk once all its conversations have ended.

    Runs in a thread of its own: however long the caller is busy with a talk, replies are journalled as they come.
    Raises EngineError, OverBudget, and whatever a conversation raised.
    """
    done: queue.SimpleQueue[Talk | BaseException | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            with closing(engine.ask(driver)) as answers:
                for completions in answers:
                    driver.take(completions)
                    while driver.finished:
                        done.put(driver.finished.popleft())
            while driver.finished:
                done.put(driver.finished.popleft())
            if driver.over_budget:
                raise OverBudget(
                    f"spent ${driver.budget.spent:,.2f}; the next request may cost more than what is left of max_cost "
                    f"(${driver.budget.most or 0:,.2f}). Raise it and run the same command again: answers are kept"
                )
            done.put(None)
        except Closed:
            done.put(None)
        except BaseException as e:
            done.put(e)

    thread = threading.Thread(target=work, name="conversations", daemon=True)
    thread.start()
    try:
        while (item := done.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        engine.close()
        thread.join()


def replay(talk: Talk) -> list[Any]:
    """The results of a talk from its journal alone; what failed then fails again. Raises UserError if it holds less."""
    known = talk.journal.errors | talk.journal.answers
    results, missing = [], 0
    for conversation in talk.conversations:
        completion = None
        try:
            while True:
                request = conversation.send(completion)  # pyright: ignore[reportArgumentType]  # None: begin
                completion = known.get(request.key)
                if completion is None:
                    missing += 1
                    break
        except StopIteration as e:
            results.append(e.value)
    if missing:
        raise UserError(
            f"{talk.journal.path} has no answer for {missing:,} of {len(talk.conversations):,} conversations of "
            f"{talk.name}: without --offline they are asked"
        )
    return results
