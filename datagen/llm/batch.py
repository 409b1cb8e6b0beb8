"""OpenAI's batch API: half the price, within a day.

What is in a batch is on disk before the batch is created, and until the last of its answers is in a journal. So an
interrupt leaves the batches running at the server, paid for, and the same command finds them again, though the kill
came before the server's reply: each is looked for by the key in its metadata. To call a batch off,
cancel it at the server; what it had not done is submitted again by the next run.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from openai.types import Batch

from datagen import shards
from datagen.config.llm import EngineConfig
from datagen.errors import ConfigError, EngineError
from datagen.llm import http_errors
from datagen.llm.base import Account, Backend, Completion, Request, Stream
from datagen.llm.batch_api import BatchAPI
from datagen.llm.batch_job import BatchJob, Draft
from datagen.llm.endpoint import payload
from datagen.llm.http_errors import Failure

MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000  # in a batch, as OpenAI has it
MOST_BATCHES = 16  # on their way at once: their prompts are kept in memory, to be sent again if need be
POLLS = (5.0, 60.0)  # seconds: the first and the longest pause between two looks; it grows by half each time
SETTLED = 60.0  # seconds until a created batch is in the server's list for certain
KEPT = 30 * 86_400.0  # seconds that results stay at the server
ENOUGH = 20  # requests until their error rate tells something
ENDED = {"completed", "failed", "expired", "cancelled"}
CROWDED = "token_limit_exceeded"  # too much is in batches already: no room until one of them ends
NOBODYS_FAULT = {"model_not_found", "insufficient_quota", "billing_hard_limit_reached"}  # no batch will fare better


class BatchBackend(Backend):
    """Raises ConfigError at once for a missing key or more than one endpoint.

    The other arguments are limits and seconds, as the constants say.
    """

    def __init__(
        self,
        settings: EngineConfig,
        folder: str,
        others: Sequence[EngineConfig] = (),
        *,
        most_requests: int = MOST_REQUESTS,
        most_bytes: int = MOST_BYTES,
        most_batches: int = MOST_BATCHES,
        polls: tuple[float, float] = POLLS,
        settled: float = SETTLED,
    ) -> None:
        self.settings = settings
        self.folder = shards.join(folder, "batches")
        self.most_requests, self.most_bytes, self.most_batches = most_requests, most_bytes, most_batches
        self.polls, self.settled = polls, settled
        self.room = most_requests * most_batches
        self.api = BatchAPI(settings, self.pause)
        self._closed = threading.Event()
        self._new: list[Request] = []
        self._futures: dict[str, asyncio.Future[Completion]] = {}  # by request key
        self._idle = asyncio.Event()  # nothing more comes before a reply is given
        self._safe = True  # all that were given are on disk
        self._worker: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._session: _Session | None = None

    async def complete(
        self, request: Request, stream: Stream | None = None, account: Account | None = None
    ) -> Completion:
        """The reply, some time within a day. Raises ConfigError for a `stream`, EngineError as `BatchAPI` does, when a
        batch is unknown, or when most requests fail.
        """
        if stream:
            raise ConfigError("engine.kind openai-batch writes no reply piece by piece: set engine.kind to openai")
        future = self._futures[request.key] = asyncio.get_running_loop().create_future()
        self._new.append(request)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        try:
            return await future
        finally:
            self._safe = False

    def idle(self) -> None:
        """Nothing more is asked before a reply is given: the batch may be sent."""
        self._safe = True
        self._idle.set()

    async def close(self) -> None:
        """Leave the batches running at the server. Raises EngineError when most requests failed."""
        self._closed.set()
        if self._worker:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        thread, session = self._thread, self._session
        self._thread = self._session = self._worker = None
        self._idle, self._new, self._futures = asyncio.Event(), [], {}
        if thread:
            try:
                if session and self._safe:
                    await asyncio.get_running_loop().run_in_executor(thread, session.settle)
            finally:
                thread.shutdown()

    def pause(self, seconds: float) -> None:
        """Wait in the thread of the batches. Raises _Closed, which ends their work, once the backend is closed."""
        if self._closed.wait(seconds):
            raise _Closed

    async def _work(self) -> None:
        """Send what was asked and hand over what is answered, turn by turn, in a thread."""
        self._closed.clear()
        loop = asyncio.get_running_loop()
        thread = self._thread = self._thread or ThreadPoolExecutor(1, "batch")
        try:
            session = await loop.run_in_executor(thread, _Session, self)
            self._session = session
            done: list[Completion] = []
            while True:
                if done or not session.busy:
                    await self._idle.wait()
                self._idle.clear()
                new, self._new = self._new, []
                done = await loop.run_in_executor(thread, session.turn, new)
                if done:
                    self._safe = False
                    self._idle.clear()
                for completion in done:
                    future = self._futures.pop(completion.key)
                    if not future.done():
                        future.set_result(completion)
        except Exception as e:
            for future in self._futures.values():
                if not future.done():
                    future.set_exception(e)
            self._futures.clear()
            self._worker = None


class _Closed(Exception):
    """Whoever asked has gone."""


class _Session:
    """`waiting` has the jobs on their way, each with the requests that somebody waits for."""

    def __init__(self, engine: BatchBackend) -> None:
        self.engine, self.api, self.settings, self.folder = engine, engine.api, engine.settings, engine.folder
        self.waiting: dict[str, tuple[BatchJob, dict[str, Request]]] = {}  # by the job's key
        self.queue: deque[Request] = deque()  # for which there was no room yet
        self.drafts: dict[str, Draft] = {}  # by model: a batch has one
        self.again: list[tuple[Request, int]] = []  # with the attempt that it will be
        self.opened: list[tuple[BatchJob, set[str]]] = []  # with the request keys that are done with
        self.lacks: set[str] = set()  # what of the API the server does not take, as it turned out
        self.proven: set[str] = set()
        self.crowded = self.refused = False
        self.outcomes: Counter[str] = Counter()  # errors, "" for a reply
        self.last_error = ""
        self.fatal = ""
        self.known = self._remembered()  # request key → job

    @property
    def busy(self) -> bool:
        """Whether anything is on its way, or to be sent again."""
        return bool(self.waiting or self.again or self.drafts or self.queue)

    def turn(self, requests: list[Request]) -> list[Completion]:
        """Take requests, send what there is room for, and wait until a batch has ended. What it returned before
        is on disk. Nothing comes of batches that are all sent again.
        """
        self.settle()
        self.queue.extend(requests)
        while self.queue and len(self.waiting) < self.engine.most_batches:
            request = self.queue.popleft()
            if job := self.known.get(request.key):
                self.waiting.setdefault(job.key, (job, {}))[1][request.key] = request
            else:
                self._pack(request, 1)
        self.send()
        done = self.collect() if self.waiting else []
        if not done:
            self.settle()
        return done

    def send(self) -> None:
        """Submit all that is to be sent, unless there is no room for it yet."""
        if self.waiting and (self.crowded or len(self.waiting) >= self.engine.most_batches):
            return
        if self.refused and self.again:
            self.engine.pause(self.engine.polls[1])
        self.crowded = self.refused = False
        again, self.again = self.again, []
        for request, attempt in again:
            self._pack(request, attempt)
        for model in list(self.drafts):
            self._submit(self.drafts.pop(model))

    def collect(self) -> list[Completion]:
        """Wait until a batch has ended, and open all that have. Nothing comes of one that is all sent again."""
        pause, longest = self.engine.polls
        while True:
            done: list[Completion] = []
            ended: set[str] = set()
            for job, wanted in list(self.waiting.values()):
                batch = self.api.retrieve(job.batch)
                if batch is None:
                    raise EngineError(
                        f"{self.api.url} knows nothing of {job.batch}, which has {len(wanted):,} of the requests. "
                        f"Was it sent with another key? Delete {job.path(self.folder)} to submit it anew"
                    )
                if batch.status in ENDED:
                    ended.add(batch.status)
                    del self.waiting[job.key]
                    done += self._open(job, wanted, batch)
            if ended:
                self.crowded &= ended == {"failed"}
                return done
            self.engine.pause(pause)
            pause = min(pause * 1.5, longest)

    def settle(self) -> None:
        """What was collected has been taken. Raises EngineError when there is no point in going on."""
        for job, done in self.opened:
            self._strike(job, done)
        self.opened = []
        n, failed = self.outcomes.total(), self.outcomes.total() - self.outcomes[""]
        if not self.fatal and n >= ENOUGH and failed > self.settings.max_error_rate * n:
            self.fatal = (
                f"{failed:,} of {n:,} requests failed (engine.max_error_rate is {self.settings.max_error_rate}). "
                f"The last: {self.last_error}\n"
                "What was answered is kept: put it right and run the same command again."
            )
        if self.fatal:
            raise EngineError(self.fatal)

    def _open(self, job: BatchJob, wanted: dict[str, Request], batch: Batch) -> list[Completion]:
        done: dict[str, Completion] = {}
        failures = dict.fromkeys(wanted, self._why_missing(batch))
        seconds = max(0, (batch.completed_at or batch.created_at) - batch.created_at)
        for file in filter(None, (batch.output_file_id, batch.error_file_id)):
            for row in self.api.rows(file):
                key = str(row.get("custom_id"))
                if key not in wanted:
                    continue
                outcome = self._read(wanted[key], row, batch, job.attempts[key], seconds)
                if isinstance(outcome, Completion):
                    done[key] = outcome
                    if wanted[key].schema and "json_schema" not in job.lacks:
                        self.proven.add("json_schema")
                else:
                    failures[key] = outcome
        self.opened.append((job, set(wanted)))
        self.outcomes.update(completion.error for completion in done.values())
        if batch.status == "failed":
            self._refuse(batch)
        left = [(wanted[key], failure) for key, failure in failures.items() if key not in done]
        failed = [found for request, failure in left if (found := self._fail(job, request, failure))]
        self.outcomes.update(completion.error for completion in failed)
        return [*done.values(), *failed]

    def _read(
        self, request: Request, row: dict[str, Any], batch: Batch, attempts: int, seconds: float
    ) -> Completion | Failure:
        response, error = row.get("response"), row.get("error")
        if not isinstance(response, dict):
            code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else ("", error)
            reason = f"batch {batch.status}" if batch.status != "completed" else "server error"
            return Failure(reason, http_errors.clipped(f"{code}: {message}"), retryable=True)
        status, body = response.get("status_code"), response.get("body")
        try:
            if isinstance(status, int) and (status := http_errors.meant(status, body)) >= 400:
                failure = http_errors.failure(status, body)
                return replace(failure, detail=self.api.clean(failure.detail))
            return http_errors.completion(request, body, endpoint=self.api.url, attempts=attempts, seconds=seconds)
        except http_errors.Unusable as e:
            if e.completion is None:
                return Failure(e.reason, self.api.clean(str(e)), retryable=True)
            lost = e.completion.prompt_tokens, e.completion.completion_tokens  # billed; a batch has no elsewhere
            known: dict[str, Any] = {
                "lost_prompt_tokens": lost[0],
                "lost_completion_tokens": lost[1],
                "attempts": attempts,
            }
            return Completion(request.key, error=e.reason, detail=self.api.clean(str(e)), **known)

    def _fail(self, job: BatchJob, request: Request, failure: Failure) -> Completion | None:
        """A request that got no reply: it is sent again, or this is its completion, or none will fare better."""
        attempts = job.attempts[request.key]
        if failure.about_endpoint and (failure.reason == http_errors.NO_QUOTA or not self.outcomes[""]):
            self.fatal = f"{self.api.url} refuses every request: {failure.detail}"
        elif failure.lacks and failure.lacks not in {*job.lacks, *self.proven}:
            self.lacks.add(failure.lacks)
            self.again.append((request, attempts))
        elif failure.reason == CROWDED:
            self.again.append((request, attempts))
        elif failure.retryable and attempts < self.settings.max_attempts:
            self.again.append((request, attempts + 1))
        else:
            self.last_error = f"{failure.reason}: {failure.detail}"
            return Completion(request.key, error=failure.reason, detail=failure.detail, attempts=attempts)
        return None

    def _refuse(self, batch: Batch) -> None:
        """A batch that was not even begun: the next should not follow at once."""
        codes = _codes(batch)
        self.refused = True
        self.crowded |= CROWDED in codes and bool(self.waiting)
        if codes & NOBODYS_FAULT:
            self.fatal = f"{self.api.url} refuses every batch: {self._why_missing(batch).detail}"

    def _why_missing(self, batch: Batch) -> Failure:
        if batch.status == "failed":
            if CROWDED in _codes(batch) and self.waiting:
                return Failure(CROWDED, "", retryable=True)
            errors = (batch.errors.data if batch.errors else None) or []
            said = "; ".join(f"{e.code}: {e.message}" for e in errors[:3])
            return Failure("batch failed", http_errors.clipped(self.api.clean(said)), retryable=True)
        detail = f"{batch.id} holds no answer"
        return Failure("no reply" if batch.status == "completed" else f"batch {batch.status}", detail, retryable=True)

    def _pack(self, request: Request, attempt: int) -> None:
        body = payload(request, self.lacks)
        line = {"custom_id": request.key, "method": "POST", "url": "/v1/chat/completions", "body": body}
        data = json.dumps(line).encode() + b"\n"
        draft = self.drafts.setdefault(request.model, Draft())
        if draft.wanted and (
            len(draft.wanted) >= self.engine.most_requests or draft.size + len(data) > self.engine.most_bytes
        ):
            self._submit(draft)
            draft = self.drafts[request.model] = Draft()
        draft.lines.write(data)
        draft.size += len(data)
        draft.wanted[request.key] = request
        draft.attempts[request.key] = attempt

    def _submit(self, draft: Draft) -> None:
        self.api.greet()
        job = BatchJob(uuid.uuid4().hex, self.api.url, time.time(), draft.attempts, sorted(self.lacks))
        job.save(self.folder)
        with draft.lines:
            job.file = self.api.upload(draft.lines)
        job.sent = time.time()
        job.save(self.folder)
        job.batch = self.api.create(job.file, job.key)
        job.save(self.folder)
        self.waiting[job.key] = job, draft.wanted
        self.known |= dict.fromkeys(draft.wanted, job)

    def _remembered(self) -> dict[str, BatchJob]:
        """The request keys in jobs of earlier runs, and where they are. Later jobs have what was sent again."""
        names = [name for name in shards.listing(self.folder) if name.endswith(".json")]
        stored = [BatchJob.load(shards.join(self.folder, name)) for name in names]
        here = sorted((job for job in stored if job.url == self.api.url), key=lambda job: job.sent)
        unsure: dict[str, BatchJob] = {}
        began = time.monotonic()  # a clock that was put back since would make the others look as if not sent yet
        for job in here:
            if not job.file or time.time() - job.sent > KEPT:
                shards.remove(job.path(self.folder))
            elif not job.batch:
                unsure[job.key] = job
        while unsure:
            for key, id in self.api.find(set(unsure)).items():
                job = unsure.pop(key)
                job.batch = id
                job.save(self.folder)
            waited = time.monotonic() - began
            for key in [k for k, job in unsure.items() if max(waited, time.time() - job.sent) >= self.engine.settled]:
                shards.remove(unsure.pop(key).path(self.folder))
            if unsure:
                self.engine.pause(self.engine.polls[0])
        self.lacks.update(*(job.lacks for job in here))
        found = [job for job in here if job.batch and time.time() - job.sent <= KEPT]
        return {key: job for job in found for key in job.attempts}

    def _strike(self, job: BatchJob, done: set[str]) -> None:
        """Strike out requests, and the job with its last: others may still be asked for under other settings."""
        for key in done & job.attempts.keys():
            del job.attempts[key]
            if self.known.get(key) is job:
                del self.known[key]
        if job.attempts:
            job.save(self.folder)
        else:
            shards.remove(job.path(self.folder))


def _codes(batch: Batch) -> set[str]:
    return {error.code or "" for error in (batch.errors.data if batch.errors else None) or []}
