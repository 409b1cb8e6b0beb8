"""Any server that speaks OpenAI's chat completions API, one or many, through the official client.

The event loop runs in a thread of its own: the caller is free to write files while answers come in.
"""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from operator import length_hint
from typing import Any

import openai
import tenacity

from datagen.config.llm import EngineConfig
from datagen.errors import EngineError
from datagen.llm import http_errors as replies
from datagen.llm.base import Closed, Completion, Request, draw
from datagen.llm.dispatch import CLOSED, HALF_OPEN, Dispatcher, Lane
from datagen.llm.endpoint import NO_KEY, api_key, client_arguments, payload
from datagen.llm.http import httpx
from datagen.llm.http_errors import Failure

GATHER = 0.005  # seconds: what comes in meanwhile is handed over, and written to disk, at once
RECENT, ENOUGH = 100, 20  # the error rate is of so many last requests, once there are enough
PATIENCE_AT_FIRST = 30.0  # seconds, with endpoints that never answered: more likely a wrong address than a restart
REFUSALS_PER_ATTEMPT = 8  # "too many requests" says nothing against the request
CHARS_PER_TOKEN = 4  # an estimate for the tokens-per-minute limit until the reply tells
UNREACHABLE, TIMED_OUT, GARBLED = "connection failed", "timed out", "garbled reply"
BACK_OFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=30, jitter=1)


class Failed(Exception):
    """One attempt that brought no reply."""

    def __init__(self, failure: Failure, counts: float = 1.0, wait: float | None = None) -> None:
        super().__init__(failure.detail)
        self.failure = failure
        self.counts = counts  # against the request's attempts
        self.wait = wait  # seconds, as the server asked for


class OpenAIEngine:
    """`others`: settings of further models that requests may name; only what concerns their endpoints counts.

    Raises ConfigError at once when a key is missing.
    """

    def __init__(self, settings: EngineConfig, others: Sequence[EngineConfig] = ()) -> None:
        self.settings = settings
        places = [(endpoint, engine.model or "") for engine in (settings, *others) for endpoint in engine.endpoints]
        self.keys = [api_key(endpoint) for endpoint, _ in places]
        self.lanes = [Lane.to(endpoint, model) for endpoint, model in places]  # what was learned of them stays
        self.sessions: list[_Session] = []

    def ask(self, requests: Iterator[Request | None]) -> Generator[list[Completion], None, None]:
        session = _Session(self)
        self.sessions.append(session)
        room = 2 * sum(lane.endpoint.max_concurrency for lane in self.lanes)
        waiting, ended = 0, False
        try:
            while True:
                drawn, ended = ([], True) if ended else draw(requests, room - waiting)
                waiting += len(drawn)
                session.send(drawn, 0 if ended else length_hint(requests, -1))
                if not waiting and ended:
                    return
                done = session.receive() if waiting else []
                waiting -= len(done)
                yield done
                if session.ended_by:
                    raise session.ended_by
        finally:
            self.sessions.remove(session)
            session.end()

    def close(self) -> None:
        for session in self.sessions:
            session.done.put(Closed())


class _Session:
    """The event loop's thread, and the queues to and from it."""

    def __init__(self, engine: OpenAIEngine) -> None:
        self.settings, self.keys = engine.settings, engine.keys
        self.done: queue.SimpleQueue[Completion | BaseException] = queue.SimpleQueue()
        self.loop = asyncio.new_event_loop()
        self.dispatcher = Dispatcher(engine.lanes, time.monotonic)
        self.tasks: set[asyncio.Task[None]] = set()
        self.recent: deque[str] = deque(maxlen=RECENT)  # the errors of the last requests, "" for a reply
        self.answered_at = dict.fromkeys((lane.model for lane in engine.lanes), time.monotonic())
        self.clients: dict[int, openai.AsyncOpenAI] = {}
        self.ended_by: BaseException | None = None
        self.thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.thread.start()

    def send(self, requests: list[Request], still_to_come: int) -> None:
        self.loop.call_soon_threadsafe(self._start, requests, still_to_come)

    def receive(self) -> list[Completion]:
        """Wait for a completion, and take all that are there. What ends the run comes after them: they are paid for."""
        found = [self.done.get()]
        time.sleep(GATHER)
        while not self.done.empty():
            found.append(self.done.get())
        completions = [item for item in found if isinstance(item, Completion)]
        self.ended_by = next((item for item in found if not isinstance(item, Completion)), None)
        if self.ended_by and not completions:
            raise self.ended_by
        return completions

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            for task in self.tasks:
                task.cancel()
            self.dispatcher.stop()
            self.loop.run_until_complete(self._close())
        finally:
            self.loop.close()

    async def _close(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for client in self.clients.values():
            await client.close()

    def _start(self, requests: list[Request], still_to_come: int) -> None:
        self.dispatcher.still_to_come = still_to_come if still_to_come >= 0 else None
        for request in requests:
            task = self.loop.create_task(self._settle(request))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _settle(self, request: Request) -> None:
        """Exactly one completion for a request, or the exception that ends the run."""
        try:
            completion = await self._answer(request)
            self.recent.append(completion.error)
            if completion.error:
                self._check_error_rate(completion)
            self.done.put(completion)
        except asyncio.CancelledError:
            raise
        except BaseException as e:
            self.dispatcher.stop()
            self.done.put(e)

    def _check_error_rate(self, last: Completion) -> None:
        errors = Counter(error for error in self.recent if error)
        if len(self.recent) >= ENOUGH and errors.total() > self.settings.max_error_rate * len(self.recent):
            reason, n = errors.most_common(1)[0]
            raise EngineError(
                f"{errors.total()} of the last {len(self.recent)} requests failed (engine.max_error_rate is "
                f"{self.settings.max_error_rate}), {n} of them: {reason}. The last: {last.detail}\n"
                "What was answered is kept: put it right and run the same command again."
            )

    async def _answer(self, request: Request) -> Completion:
        spent, attempts = 0.0, 0
        failed_at: set[Lane] = set()
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, Failed) and e.failure.retryable),
            stop=lambda state: spent > self.settings.max_attempts - 0.01,  # a sum of fractions
            wait=_wait,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    attempts += 1
                    try:
                        return await self._try(request, attempts, failed_at)
                    except Failed as e:
                        spent += e.counts
                        raise
        except Failed as e:
            return Completion(request.key, error=e.failure.reason, detail=e.failure.detail, attempts=attempts)
        raise AssertionError("retrying ends with a reply or a failure")

    async def _try(self, request: Request, attempt: int, failed_at: set[Lane]) -> Completion:
        """One attempt, wherever there is a place first; best where it did not fail before."""
        estimate = sum(len(m["content"]) for m in request.messages) / CHARS_PER_TOKEN
        lane = await self.dispatcher.place(request.model, request.group, estimate, attempt > 1, failed_at)
        trying = lane.breaker.state == HALF_OPEN
        sent_at, lacks = time.monotonic(), frozenset(lane.lacks)
        try:
            response = await self._post(lane, payload(request, lacks))
            seconds = time.monotonic() - sent_at
            if response.status_code >= 400:
                wait = retry_after(response.headers, time.time())
                body = _body(self._clean(response.text))  # before it is clipped, maybe within a key
                raise Failed(replies.failure(response.status_code, body), wait=wait)
            try:
                completion = replies.completion(
                    request.key, _body(response.content), endpoint=lane.name, attempts=attempt, seconds=seconds
                )
            except replies.Unusable as e:
                raise Failed(Failure(GARBLED, str(e), retryable=True)) from e
        except Failed as e:
            self._failed(lane, e, sent_at, trying)
            if e.failure.retryable and e.failure.reason != replies.TOO_MANY:
                failed_at.add(lane)
            lacking = e.failure.lacks
            if lacking and lacking not in lacks | lane.proven:
                lane.lacks.add(lacking)
                e = Failed(Failure(e.failure.reason, e.failure.detail, retryable=True), counts=0, wait=0.0)
            raise self._without_keys(e) from None
        else:
            self._succeeded(lane, completion, seconds, estimate)
            if request.schema and "json_schema" not in lacks:
                lane.proven.add("json_schema")
            return completion
        finally:
            self.dispatcher.leave(lane)

    async def _post(self, lane: Lane, body: dict[str, Any]) -> httpx.Response:
        try:
            return await self._client(lane).post("/chat/completions", body=body, cast_to=httpx.Response)
        except openai.APIStatusError as e:
            return e.response
        except (openai.APIConnectionError, httpx.HTTPError) as e:
            cause: BaseException = e
            while cause.__cause__:
                cause = cause.__cause__
            if isinstance(cause, TimeoutError):  # the client's own classes call a closed connection a time-out, too
                raise Failed(Failure(TIMED_OUT, f"{lane.name}: no reply in {self.settings.timeout:g} s", True)) from e
            failure = Failure(UNREACHABLE, f"{lane.name}: {str(cause) or type(cause).__name__}", True)
            nobody_there = isinstance(cause, (ConnectionRefusedError, socket.gaierror))  # so nobody saw the request
            raise Failed(failure, counts=0 if nobody_there else 1) from e

    def _client(self, lane: Lane) -> openai.AsyncOpenAI:
        """The pure-Python transport of httpx takes twice the processor time of aiohttp's for the same request."""
        at = self.dispatcher.lanes.index(lane)
        if at not in self.clients:
            limits = httpx.Limits(max_connections=lane.endpoint.max_concurrency)
            timeout = openai.Timeout(self.settings.timeout, connect=min(30.0, self.settings.timeout), pool=None)
            self.clients[at] = openai.AsyncOpenAI(
                **client_arguments(lane.endpoint),
                timeout=timeout,
                http_client=openai.DefaultAioHttpClient(limits=limits, timeout=timeout),
            )
        return self.clients[at]

    def _succeeded(self, lane: Lane, completion: Completion, seconds: float, estimate: float) -> None:
        self.answered_at[lane.model] = time.monotonic()
        lane.answered(seconds)
        lane.tokens.spend(completion.prompt_tokens + completion.completion_tokens - estimate)

    def _failed(self, lane: Lane, failed: Failed, sent_at: float, trying: bool) -> None:
        """Learn from a failure. Raises EngineError when there is no point in going on."""
        failure, now = failed.failure, time.monotonic()
        if failure.about_endpoint and (failure.reason == replies.NO_QUOTA or not lane.breaker.ever):
            lane.retired = failure.detail
            if failure.reason != replies.NO_QUOTA or all(other.retired for other in self._beside(lane)):
                raise EngineError(self._clean(f"{lane.name} refuses every request: {failure.detail}")) from None
            failed.failure = Failure(failure.reason, failure.detail, retryable=True)  # elsewhere
        elif failure.reason == replies.TOO_MANY:
            if lane.window.refused(now, sent_at):
                lane.pause = max(lane.pause, now + (failed.wait or 0.0))
            lane.breaker.succeeded()  # it is there
            failed.counts = 1 / REFUSALS_PER_ATTEMPT
        elif failure.retryable:
            if failure.reason == TIMED_OUT or failed.wait is not None:
                lane.window.refused(now, sent_at)
            lane.breaker.failed(now, nobody_there=not failed.counts)
            if trying:
                failed.counts = 0  # it was sent to see whether anyone is there
            self._check_patience(lane, failure, now)
        else:
            lane.breaker.succeeded()

    def _beside(self, lane: Lane) -> list[Lane]:
        return [other for other in self.dispatcher.lanes if other.model == lane.model]

    def _check_patience(self, failed_at: Lane, last: Failure, now: float) -> None:
        lanes = [lane for lane in self._beside(failed_at) if not lane.retired]
        silent = now - self.answered_at[failed_at.model]
        patience = self.settings.patience
        if not any(lane.breaker.ever for lane in lanes):
            patience = min(patience, PATIENCE_AT_FIRST)
        if silent > patience and all(lane.breaker.state != CLOSED for lane in lanes):
            raise EngineError(
                self._clean(f"no endpoint has answered for {silent:.0f} s. The last: {last.reason}: {last.detail}\n")
                + "What was answered is kept: run the same command again once it does."
            ) from None

    def _without_keys(self, failed: Failed) -> Failed:
        f = failed.failure
        cleaned = Failure(f.reason, self._clean(f.detail), f.retryable, f.about_endpoint, f.lacks)
        return Failed(cleaned, failed.counts, failed.wait)

    def _clean(self, text: str) -> str:
        """Servers like to repeat the key that they refuse."""
        for key in self.keys:
            if key != NO_KEY:
                text = text.replace(key, "…")
        return text


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what the server asked for, else a jittered back-off."""
    failed: Any = state.outcome.exception() if state.outcome else None
    return failed.wait if failed.wait is not None else BACK_OFF(state)


def retry_after(headers: Any, now: float) -> float | None:
    """Seconds that a server asks to wait, from Retry-After as a number or a date (RFC 9110 10.2.3), at most an hour."""
    from email.utils import parsedate_to_datetime

    given = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if given[0] is not None:
            seconds = float(given[0]) / 1000
        elif given[1] is None:
            return None
        elif given[1].strip().replace(".", "", 1).isdigit():
            seconds = float(given[1])
        else:
            seconds = parsedate_to_datetime(given[1]).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, seconds), 3600.0)  # in this order, NaN is none


def _body(content: str | bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content if isinstance(content, str) else content.decode(errors="replace")
