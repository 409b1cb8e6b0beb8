"""Carries on many conversations at once, each reply on disk before it is used.

One event loop, in a thread of its own, runs them as tasks. A conversation asks through `complete`, which answers from
its shard's journal if it can; only what was never answered is sent. Shards are opened as the backend has room, and
handed to the caller as their last conversation ends, in any order: however busy the caller is, replies are journalled
as they come. Only a caller that is slower for long holds up the opening of more shards: what waits for it is bounded.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from datagen.errors import UserError
from datagen.figures import dollars
from datagen.llm import files
from datagen.llm.askers import Askers, end_others
from datagen.llm.base import LLM, Account, Backend, Completion, Conversation, Request, Stream
from datagen.llm.cost import Budget
from datagen.llm.journal import GroupCommit, Journal
from datagen.llm.traffic import Traffic

GIVEN_UP = "given up"  # the error of a request that was on its way as the run ended
MOST_UNTAKEN = 64  # finished shards that the caller has not taken, above which no more are opened


@dataclass
class ShardJob:
    """The conversations about one shard, begun by `begin` in a worker thread. `results` is aligned with them."""

    name: str
    journal: str | Path
    begin: Callable[[LLM], list[Conversation[Any]]]
    results: list[Any] = field(default_factory=list)


class OverBudget(UserError):
    """The budget does not cover the next request."""


def drive(
    jobs: Iterator[ShardJob],
    backend: Backend,
    budget: Budget,
    expected: int,
    on_end: Callable[[int], None] = lambda n: None,
    traffic: Traffic | None = None,
) -> Generator[ShardJob, None, None]:
    """Yield each job once all its conversations have ended.

    expected: how many conversations there will be in all. on_end: told as conversations end, in another thread.
    traffic: counts what goes to and from the backend.
    Raises EngineError, OverBudget, and whatever a conversation or the making of jobs raised.
    """
    files.allow_many()
    done: queue.SimpleQueue[ShardJob | BaseException | None] = queue.SimpleQueue()
    loop = asyncio.new_event_loop()
    run = _Run(backend, budget, expected, on_end, done.put, traffic or Traffic())
    task = loop.create_task(run.run(jobs))

    def work() -> None:
        try:
            loop.run_until_complete(task)
            done.put(None)
        except BaseException as e:
            done.put(e)
        loop.run_until_complete(end_others())
        loop.run_until_complete(loop.shutdown_default_executor())
        run.discard()

    thread = threading.Thread(target=work, name="conversations", daemon=True)
    thread.start()
    try:
        while (item := done.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            loop.call_soon_threadsafe(run.taken)
            yield item
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def replay(job: ShardJob) -> ShardJob:
    """Fill in a job's results from its journal alone; what failed fails again. Raises UserError if it holds less."""
    conversations = job.begin(_Replayed(Journal(job.journal).recorded()))
    missing = asyncio.run(_collect(conversations, job.results))
    if missing:
        raise UserError(
            f"{job.journal} has no answer for {missing:,} of {len(conversations):,} conversations of "
            f"{job.name}: without --offline they are asked"
        )
    return job


def unasked(begin: Callable[[LLM], list[Conversation[Any]]]) -> list[Any]:
    """The results of conversations that ask nothing. Raises RuntimeError if one asks."""
    results: list[Any] = []
    if asyncio.run(_collect(begin(_Replayed({})), results)):
        raise RuntimeError("a conversation asks a language model, and its stage names none")
    return results


def first_requests(begin: Callable[[LLM], list[Conversation[Any]]], n: int) -> list[Request | None]:
    """What each of the first `n` conversations would ask first; None where it asks nothing."""
    asked = _Asked()
    conversations = begin(asked)
    for conversation in conversations[n:]:
        conversation.close()
    return asyncio.run(_first_of(conversations[:n], asked))


class _Unanswered(Exception):
    """There is nobody to ask."""


@dataclass
class _Replayed(LLM):
    known: dict[str, Completion]

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        if (completion := self.known.get(request.key)) is None:
            raise _Unanswered
        return completion


@dataclass
class _Asked(LLM):
    request: Request | None = None

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        self.request = self.request or request
        raise _Unanswered


async def _first_of(conversations: list[Conversation[Any]], asked: _Asked) -> list[Request | None]:
    found: list[Request | None] = []
    for conversation in conversations:
        asked.request = None
        await _collect([conversation], [])
        found.append(asked.request)
    return found


async def _collect(conversations: list[Conversation[Any]], results: list[Any]) -> int:
    """Append the conversations' results; how many had nobody to ask."""
    missing = 0
    for conversation in conversations:
        try:
            results.append(await conversation)
        except _Unanswered:
            missing += 1
    return missing


@dataclass
class _Open(LLM):
    """A shard that was opened: the LLM of its conversations."""

    job: ShardJob
    run: _Run
    journal: Journal
    conversations: list[Conversation[Any]] = field(default_factory=list)
    left: int = 0  # conversations that have not ended
    new: set[str] = field(default_factory=set)  # keys of requests that were sent by this run

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        with self.run.traffic.asking(), self.run.askers.asking():
            known = self.journal.answers.get(request.key)
            if known is None:
                self.new.add(request.key)
                return await self.run.ask(request, self.journal, stream)
            if stream and known.text:
                stream(known.text)
            return known

    def report(self, completion: Completion, problem: str = "") -> None:
        if completion.key in self.new:
            self.run.backend.report(completion, problem)

    async def disown(self, completions: Sequence[Completion], problem: str) -> None:
        for completion in completions:
            await self.run.disk.append(self.journal, Completion(completion.key, error=problem, check=completion.check))
        self.run.backend.disown([completion for completion in completions if completion.key in self.new], problem)


@dataclass
class _Shared:
    """A request on its way, and the journals of all who wait for its completion."""

    journals: set[Journal]
    completion: asyncio.Future[Completion]


@dataclass
class _Account(Account):
    """What the attempts at a request took that brought nothing."""

    run: _Run
    request: Request
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def lost(self, prompt_tokens: int, completion_tokens: int) -> None:
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.run.budget.lost(self.request, prompt_tokens, completion_tokens)

    async def renew(self) -> None:
        self.run._settle(self.request, None)
        await self.run._reserve(self.request)

    def noted(self, completion: Completion) -> Completion:
        """A completion of the request, with what was lost besides."""
        return replace(
            completion,
            check=self.request.check,
            lost_prompt_tokens=completion.lost_prompt_tokens + self.prompt_tokens,
            lost_completion_tokens=completion.lost_completion_tokens + self.completion_tokens,
        )


@dataclass
class _Run:
    """All that happens in the event loop."""

    backend: Backend
    budget: Budget
    expected: int
    on_end: Callable[[int], None]
    finished: Callable[[ShardJob], None]
    traffic: Traffic
    live: int = 0  # conversations that have not ended
    asking: int = 0  # of them, those that wait for the backend
    paying: set[str] = field(default_factory=set)  # keys of requests whose price is reserved
    opening: bool = True  # more conversations may come without any reply
    opened_all: bool = False
    untaken: int = 0  # finished shards that wait for the caller
    shards: dict[str, _Open] = field(default_factory=dict)  # that are open, by name
    on_the_way: dict[str, _Shared] = field(default_factory=dict)  # by request key: two may ask the very same
    askers: Askers = field(default_factory=Askers)

    async def run(self, jobs: Iterator[ShardJob]) -> None:
        self.disk, self.fund = GroupCommit(), asyncio.Lock()
        self.has_room, self.settled = asyncio.Event(), asyncio.Event()
        self.traffic.begin(self.expected)
        async with AsyncExitStack() as ending:
            for end in (self.backend.close, self.disk.close, self.askers.cancel):  # the last comes first
                ending.push_async_callback(end)
            try:
                async with self.traffic.looked_on(self.backend.in_flight), asyncio.TaskGroup() as group:
                    await self._open_shards(jobs, group)
            except BaseExceptionGroup as e:
                raise e.exceptions[0] from None

    async def ask(self, request: Request, journal: Journal, stream: Stream | None) -> Completion:
        """The completion of a request that the journal has no answer to. It is on disk."""
        if shared := self.on_the_way.get(request.key):
            shared.journals.add(journal)
            with self._waiting():
                completion = await asyncio.shield(shared.completion)
            if stream and completion.text:
                stream(completion.text)
            return completion
        shared = _Shared({journal}, asyncio.get_running_loop().create_future())
        self.on_the_way[request.key] = shared
        try:
            completion = await self._answer(request, shared.journals, stream)
        except BaseException:
            shared.completion.cancel()  # the run has ended
            raise
        finally:
            del self.on_the_way[request.key]
        shared.completion.set_result(completion)
        return completion

    async def _answer(self, request: Request, journals: set[Journal], stream: Stream | None) -> Completion:
        """The completion, sent for and in all journals, to which others may be added meanwhile."""
        account = _Account(self, request)
        reply: Completion | None = None
        try:
            with self._waiting():
                await self._reserve(request)
                with self.traffic.sending():
                    reply = await self.backend.complete(request, stream, account)
            completion = account.noted(reply)
            self.traffic.brought(completion)
            written: set[Journal] = set()
            while new := journals - written:
                for journal in new:
                    await self.disk.append(journal, completion)
                written |= new
            return completion
        finally:
            self._settle(request, reply)
            if reply is None and account.prompt_tokens:  # the run has ended, and this may be billed
                self.disk.put(next(iter(journals)), account.noted(Completion(request.key, error=GIVEN_UP)))

    async def _reserve(self, request: Request) -> None:
        """Wait until the budget covers a request. Raises OverBudget when nothing on its way will give anything back."""
        async with self.fund:
            while not self.budget.reserve(request):
                if not self.paying:
                    raise OverBudget(
                        f"spent {dollars(self.budget.spent)}; the next request may cost more than what is left of "
                        f"max_cost ({dollars(self.budget.most or 0)}). Raise it and run the same command again: "
                        "answers are kept"
                    )
                self.settled.clear()
                await self.settled.wait()
            self.paying.add(request.key)

    def _settle(self, request: Request, completion: Completion | None) -> None:
        """Give back what was reserved for a request, less what its completion cost."""
        if request.key in self.paying:
            self.paying.discard(request.key)
            self.budget.settle(request, completion)
            self.settled.set()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self.asking += 1
        self._look()
        try:
            yield
        finally:
            self.asking -= 1

    def discard(self) -> None:
        """Close the journals and conversations of a run that was given up."""
        for shard in self.shards.values():
            shard.journal.close()
            for conversation in shard.conversations:
                conversation.close()

    def _look(self) -> None:
        if self.asking >= self.live and not self.opening:
            self.backend.idle()

    async def _open_shards(self, jobs: Iterator[ShardJob], group: asyncio.TaskGroup) -> None:
        """Begin conversations, shard by shard, whenever there are fewer than there is room for."""
        while shard := await asyncio.to_thread(self._next, jobs):
            shard.left = len(shard.conversations)
            shard.job.results = [None] * shard.left
            self.live += shard.left
            self.expected = max(0, self.expected - shard.left)
            self.backend.expect(self.expected)
            if not shard.left:
                await self._finish(shard)
            for at, conversation in enumerate(shard.conversations):
                group.create_task(self._converse(shard, at, conversation))
            await asyncio.sleep(0)  # they ask, or end
            while (full := self.live >= self.backend.room) or self.untaken >= MOST_UNTAKEN:
                self.opening = not full
                self._look()
                self.has_room.clear()
                await self.has_room.wait()
        self.opening, self.opened_all = False, True
        self.backend.expect(0)
        self._look()

    def _next(self, jobs: Iterator[ShardJob]) -> _Open | None:
        job = next(jobs, None)
        if job is None:
            return None
        shard = self.shards[job.name] = _Open(job, self, Journal(job.journal))
        shard.journal.open()  # before anything is paid for
        shard.conversations = job.begin(shard)
        return shard

    async def _converse(self, shard: _Open, at: int, conversation: Conversation[Any]) -> None:
        with self.traffic.talking():
            shard.job.results[at] = await conversation
        self.live -= 1
        shard.left -= 1
        self.on_end(1)
        if not shard.left:
            await self._finish(shard)
        if self.live < self.backend.room and not self.opened_all:
            self.opening = True
            self.has_room.set()
        self._look()

    async def _finish(self, shard: _Open) -> None:
        await asyncio.to_thread(shard.journal.finish)
        shard.journal.answers.clear()
        del self.shards[shard.job.name]
        self.untaken += 1
        self.finished(shard.job)

    def taken(self) -> None:
        self.untaken -= 1
        self.has_room.set()
