"""The servers that share requests, for chat and embeddings alike: keys, clients, retries, and what failures teach.

Which server gets which request is `dispatch`'s; an attempt is the caller's, who posts and reads.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Literal, TypeVar

import openai

from datagen.config.llm import EndpointConfig
from datagen.errors import EngineError, ServerWarning
from datagen.llm.base import Completion
from datagen.llm.dispatch import CLOSED, HALF_OPEN, Dispatcher, EndpointState
from datagen.llm.endpoint import NO_WORD, client_arguments, key_cleaner, key_hint
from datagen.llm.http import TooLarge, bounded, httpx
from datagen.llm.http_errors import FOR_GOOD, GARBLED, LOADING, NO_KEY, NO_QUOTA, NOT_YET, TOO_MANY, UNUSABLE, Failure

T = TypeVar("T")
LONG = 20.0  # seconds of waiting that a person is told of
PATIENCE = 600.0  # seconds, with servers that are there but have no time, where no other patience is set
PATIENCE_AT_FIRST = 30.0  # seconds, with endpoints that never answered: more likely a wrong address than a restart
REFUSALS_PER_ATTEMPT = 8  # "too many requests" says nothing against the request
CHARS_PER_TOKEN = 4  # an estimate for the tokens-per-minute limit until the reply tells
USELESS = 20  # replies of no use, in a row, after which there is no point in going on
UNUSABLE_COUNTS = 2.0  # attempts: the next reply to the same prompt is likely no better
UNREACHABLE, TIMED_OUT = "connection failed", "timed out"
LOADING_WAIT = 1.0  # seconds until a server that is loading its model is asked again
SHORT = 2.0  # seconds that a request waits where a server asks for it; for longer ones the server's place is closed
BACK_OFF, LONGEST_BACK_OFF = 0.5, 30.0  # seconds before the second attempt; it doubles, with up to a second of jitter


class Failed(Exception):
    """One attempt that brought no reply."""

    def __init__(
        self,
        failure: Failure,
        counts: float = 1.0,
        wait: float | None = None,
        nobody_there: bool = False,
        billed: Completion | Literal["maybe"] | None = None,
    ) -> None:
        super().__init__(failure.detail)
        self.failure = failure
        self.counts = counts  # against the request's attempts
        self.wait = wait  # seconds, as the server asked for
        self.nobody_there = nobody_there  # so nobody saw the request
        self.billed = billed  # what it took; "maybe": the server may have done the work, nobody knows
        self.attempts = 1  # that were made in all, by the last of them
        self.in_a_row = 1  # failures of this request, or of the server where those are fewer


class Pool:
    """Endpoints, each with the model it serves. What is learned of them stays, from event loop to event loop.

    timeout: seconds for one attempt. patience: seconds after which nobody's answering is an EngineError; None: nobody
    is waited for but a server that is there and has no time, and an attempt at a place where nobody is counts as one.
    Raises ConfigError when a key is missing.
    """

    def __init__(
        self, endpoints: Iterable[tuple[EndpointConfig, str]], timeout: float, patience: float | None = None
    ) -> None:
        self.endpoints = [EndpointState.to(endpoint, model, timeout) for endpoint, model in endpoints]
        configs = [endpoint.config for endpoint in self.endpoints]
        self.clean, self.clean_reply = key_cleaner(configs), key_cleaner(configs, NO_WORD)
        self.timeout, self.patience = timeout, patience
        self.answered_at: dict[str, float] = {}
        self.said_at = -LONG
        self.calls = 0  # that wait for an answer
        self.clients: dict[EndpointState, openai.AsyncOpenAI] = {}
        self.dispatcher = Dispatcher(self.endpoints, time.monotonic)

    async def close(self) -> None:
        """Give up the connections. The pool can be used again, in another event loop."""
        self.dispatcher.stop()
        clients, self.clients, self.answered_at = self.clients, {}, {}
        for client in clients.values():
            await client.close()
        self.dispatcher = Dispatcher(self.endpoints, time.monotonic)

    async def call(
        self,
        attempt: Callable[[EndpointState, int], Awaitable[tuple[T, int]]],
        *,
        model: str,
        chars: int,
        max_attempts: Callable[[], int],
        group: str = "",
        first: bool = False,
        before_another: Callable[[Failed], Awaitable[None]] | None = None,
    ) -> tuple[T, int]:
        """(what an attempt brought, how many it took). Retried, elsewhere if there is another place.

        attempt: of an endpoint and the attempt's number; returns a value and the tokens that it took, if known.
        chars: of the request, for the rate limit of tokens. first: before the requests that wait already.
        before_another: awaited between two attempts, with what became of the first.
        Raises Failed when the attempts are used up or the failure is final, EngineError when there is no point in
        going on, and whatever else an attempt raises.
        """
        spent, attempts = 0.0, 0
        failed_at: set[EndpointState] = set()
        with self._calling():
            while True:
                attempts += 1
                ahead, tokens = first or attempts > 1, chars / CHARS_PER_TOKEN
                try:
                    return await self._try(attempt, model, group, tokens, attempts, ahead, failed_at), attempts
                except Failed as e:
                    spent += e.counts
                    if not e.failure.retryable or spent > max_attempts() - 0.01:  # a sum of fractions
                        e.attempts = attempts
                        raise
                    failed = e
                except Exception:  # it ends the run: nothing more is sent
                    self.dispatcher.stop()
                    raise
                if before_another:
                    await before_another(failed)
                await asyncio.sleep(failed.wait if failed.wait is not None else back_off(failed.in_a_row))

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Count a call. With the first, connections are made, and the time without an answer begins."""
        if not self.clients:  # all at once: it takes a while, which would count as a server's latency
            self.clients = {endpoint: self._client(endpoint) for endpoint in self.endpoints}
        if not self.calls:  # nobody had anything to answer
            self.answered_at = dict.fromkeys((endpoint.model for endpoint in self.endpoints), time.monotonic())
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1

    async def _try(
        self,
        attempt: Callable[[EndpointState, int], Awaitable[tuple[T, int]]],
        model: str,
        group: str,
        estimate: float,
        number: int,
        ahead: bool,
        failed_at: set[EndpointState],
    ) -> T:
        """One attempt, wherever there is a place first; best where it did not fail before."""
        endpoint = await self.dispatcher.acquire(model, group, estimate, ahead, failed_at)
        probing = endpoint.breaker.state == HALF_OPEN
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(self.timeout) as deadline:
                found, tokens = await attempt(endpoint, number)
        except (Failed, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not deadline.expired():
                raise
            e = error if isinstance(error, Failed) else self._timed_out(endpoint)
            self._learn(endpoint, e, sent_at, probing)
            e.in_a_row = max(1, min(number, endpoint.failures))
            e.wait = None if e.wait is None else min(e.wait, SHORT)
            if e.failure.retryable and not e.failure.lacks and e.failure.reason != TOO_MANY:
                failed_at.add(endpoint)
            e.failure = replace(e.failure, detail=self.clean(e.failure.detail))
            raise e from None
        else:
            self.answered_at[endpoint.model] = now = time.monotonic()
            endpoint.answered(now - sent_at, now)
            endpoint.tokens.spend((tokens or estimate) - estimate)
            return found
        finally:
            self.dispatcher.release(endpoint)

    def body(self, response: httpx.Response) -> Any:
        """What a reply says, as read from JSON, else as text. Without keys: servers like to repeat the one they were
        sent, and what is clipped later may end within it. What a model wrote may hold a word that serves as a key where
        none is needed: short ones stay.
        """
        clean = self.clean if response.status_code >= 300 else self.clean_reply
        return clean(json_or_text(response.content))

    async def post(self, endpoint: EndpointState, path: str, body: dict[str, Any]) -> httpx.Response:
        """The reply, whatever its status. Raises Failed where there is none."""
        with self.reaching(endpoint):
            try:
                return await self.clients[endpoint].post(path, body=body, cast_to=httpx.Response)
            except openai.APIStatusError as e:
                return e.response

    async def get(self, endpoint: EndpointState, path: str) -> httpx.Response:
        """As `post`, of a path or an address."""
        with self._calling(), self.reaching(endpoint):
            try:
                return await self.clients[endpoint].get(path, cast_to=httpx.Response)
            except openai.APIStatusError as e:
                return e.response

    def _client(self, endpoint: EndpointState) -> openai.AsyncOpenAI:
        """The pure-Python transport of httpx takes twice the processor time of aiohttp's for the same request."""
        limits = httpx.Limits(max_connections=endpoint.config.max_concurrency)
        timeout = openai.Timeout(self.timeout, connect=min(30.0, self.timeout), pool=None)
        return openai.AsyncOpenAI(
            **client_arguments(endpoint.config),
            timeout=timeout,
            http_client=openai.DefaultAioHttpClient(
                limits=limits,
                timeout=timeout,
                follow_redirects=False,  # to wherever a server says, prompts and all
                headers={"Accept-Encoding": "identity"},
                event_hooks={"response": [bounded]},
            ),
        )

    def _timed_out(self, endpoint: EndpointState) -> Failed:
        detail = f"{endpoint.name}: no whole reply in {self.timeout:g} s"
        return Failed(Failure(TIMED_OUT, detail, retryable=True), billed="maybe")

    @contextmanager
    def reaching(self, endpoint: EndpointState) -> Iterator[None]:
        """Turn what goes wrong on the way to a server into Failed."""
        try:
            yield
        except (openai.APIConnectionError, httpx.HTTPError) as e:
            cause: BaseException = e
            while cause.__cause__:
                cause = cause.__cause__
            if isinstance(cause, TimeoutError):  # the client's own classes call a closed connection a time-out, too
                raise self._timed_out(endpoint) from e
            if isinstance(cause, TooLarge):
                failure = Failure(GARBLED, f"{endpoint.name}: {cause}", retryable=True)
                raise Failed(failure, counts=UNUSABLE_COUNTS, billed="maybe") from e
            nobody_there = isinstance(cause, (ConnectionRefusedError, socket.gaierror))
            failure = Failure(UNREACHABLE, f"{endpoint.name}: {str(cause) or type(cause).__name__}", retryable=True)
            counts = 0 if nobody_there and self.patience is not None else 1
            billed = None if nobody_there else "maybe"
            raise Failed(failure, counts, nobody_there=nobody_there, billed=billed) from e

    def _learn(self, endpoint: EndpointState, failed: Failed, sent_at: float, probing: bool) -> None:
        """Slow down at a server that is asked too much, leave one alone that fails.

        Raises EngineError when there is no point in going on.
        """
        failure, now = failed.failure, time.monotonic()
        if self._retires(endpoint, failure):
            endpoint.retired = failure.detail
            hopeless = failure.reason != NO_QUOTA and not endpoint.breaker.ever  # a key, a model or an address is wrong
            if hopeless or all(other.retired for other in self._beside(endpoint)):
                detail = f"{failure.detail}{key_hint(endpoint.config) * (failure.reason == NO_KEY)}"
                raise EngineError(self.clean(f"{endpoint.name} refuses every request: {detail}")) from None
            failed.failure = replace(failure, retryable=True, about_endpoint=False)  # elsewhere
        elif failure.reason == TOO_MANY:
            congested = endpoint.refused(now, sent_at)
            if failed.wait and (congested or failed.wait > SHORT):
                self._pause(endpoint, failed.wait, now)
            endpoint.breaker.succeeded()  # it is there
            self._shun(endpoint)  # it would take from the others what it then refuses
            failed.counts = 1 / REFUSALS_PER_ATTEMPT
            self._check_patience(endpoint, failure, now)
        elif failure.reason == LOADING:
            failed.counts, failed.wait = 0, LOADING_WAIT
            endpoint.pause = max(endpoint.pause, now + LOADING_WAIT)
            endpoint.breaker.succeeded(answered=False)
            self._tell(endpoint, failure.reason, f"{endpoint.name}: {failure.detail}", now)
            self._check_patience(endpoint, failure, now)
        elif failure.reason in UNUSABLE:
            failed.counts = UNUSABLE_COUNTS
            endpoint.breaker.succeeded()
            self._check_empty(endpoint, failure)
        elif failure.about_endpoint and endpoint.breaker.ever:  # it had answered: a key that expired, a model that went
            failed.failure, failed.counts = replace(failure, retryable=True), UNUSABLE_COUNTS
            endpoint.breaker.failed(now)
        elif failure.retryable and not failure.lacks:
            if failure.reason == TIMED_OUT or failed.wait is not None:
                endpoint.concurrency.refused(now, sent_at, timed_out=failure.reason == TIMED_OUT)
            if failure.reason == TIMED_OUT:
                self._tell(endpoint, failure.reason, failure.detail, now)
            if failed.wait and failed.wait > SHORT:
                self._pause(endpoint, failed.wait, now)
            endpoint.breaker.failed(now, failed.nobody_there)
            if self.patience is not None and probing:
                failed.counts = 0  # it was sent to see whether anyone is there
            self._check_patience(endpoint, failure, now)
        else:
            endpoint.breaker.succeeded()

    def _retires(self, endpoint: EndpointState, failure: Failure) -> bool:
        """Whether nothing is to be sent there any more."""
        return failure.about_endpoint and (failure.reason in FOR_GOOD or not endpoint.breaker.ever)

    def judge(self, endpoint: EndpointState, problem: str = "") -> None:
        """A reply could be read, or had a problem: a server that gives nothing of use is left alone while others do."""
        endpoint.unread = endpoint.unread + 1 if problem else 0
        self._shun(endpoint)

    def _shun(self, endpoint: EndpointState) -> None:
        others = [other for other in self._beside(endpoint) if other is not endpoint]
        endpoint.judged(time.monotonic(), alone=not any(other.works for other in others))

    def _check_empty(self, endpoint: EndpointState, last: Failure) -> None:
        """Raise EngineError when no server of the model gives anything but empty replies any more."""
        endpoint.empty += 1
        self._shun(endpoint)
        if min(other.empty for other in self._beside(endpoint) if not other.retired) >= USELESS:
            raise EngineError(
                f"{endpoint.name}: the last {endpoint.empty} replies were of no use: {last.reason}, "
                f"{self.clean(last.detail)}\nWhat was answered is kept: put it right and run the same command again."
            ) from None

    def _pause(self, endpoint: EndpointState, seconds: float, now: float) -> None:
        """The server is left alone for as long as it asks for."""
        if seconds > LONG and endpoint.pause < now + seconds - LONG:
            say(f"{endpoint.name} asks to be left alone for {seconds:,.0f} s")
        endpoint.pause = max(endpoint.pause, now + seconds)

    def _tell(self, endpoint: EndpointState, reason: str, what: str, now: float) -> None:
        """Tell a person of a server that is slow, at once and then now and then."""
        endpoint.slow[reason] += 1
        if now > self.said_at + LONG:
            self.said_at = now
            times = f" ({endpoint.slow[reason]:,} times so far)" if endpoint.slow[reason] > 1 else ""
            allowed = f"{int(endpoint.concurrency.limit)} at a time"
            say(self.clean(f"{what}{times}; it is asked again, {allowed}"))

    def _beside(self, endpoint: EndpointState) -> list[EndpointState]:
        return [other for other in self.endpoints if other.model == endpoint.model]

    def _check_patience(self, failed_at: EndpointState, last: Failure, now: float) -> None:
        """Raise EngineError where nobody has answered for too long, or has asked to be left alone for longer."""
        busy = last.reason in NOT_YET
        if self.patience is None and not busy:
            return
        patience = self.patience or PATIENCE
        endpoints = [endpoint for endpoint in self._beside(failed_at) if not endpoint.retired]
        if last.reason != LOADING and not any(endpoint.breaker.ever for endpoint in endpoints):
            patience = min(patience, PATIENCE_AT_FIRST)
        silent = now - self.answered_at[failed_at.model]
        paused = min((endpoint.pause - now for endpoint in endpoints), default=0.0)
        failing = all(e.breaker.state != CLOSED or e.pause > now or (e is failed_at and busy) for e in endpoints)
        if paused > (self.patience or PATIENCE):
            what = f"every endpoint asks to be left alone, for {paused:,.0f} s at least"
            what += f" (engine.patience is {self.patience:g})" if self.patience else ""
        elif silent > patience and failing:
            what = f"no endpoint has answered for {silent:.0f} s"
        else:
            if silent > min(LONG, patience / 2) and failing and now > self.said_at + LONG:
                self.said_at = now
                say(self.clean(f"{failed_at.name}: {last.reason}, for {silent:.0f} s; it is tried again"))
            return
        raise EngineError(
            self.clean(f"{what}. The last: {last.reason}: {last.detail}\n")
            + "What was answered is kept: run the same command again once it does."
        ) from None


def say(message: str) -> None:
    """Tell a person something about servers that they should know while they wait."""
    warnings.warn(message, ServerWarning, stacklevel=2)


def back_off(failures: int) -> float:
    """Seconds until the next attempt, after so many failures in a row: one among a server's answers says little."""
    return min(LONGEST_BACK_OFF, BACK_OFF * 2.0 ** (failures - 1) + random.uniform(0, 1))


def retry_after(headers: Any, now: float) -> float | None:
    """Seconds that a server asks to wait, an hour at most: a number, or a date by its own clock (RFC 9110 10.2.3)."""
    from email.utils import parsedate_to_datetime

    given = headers.get("retry-after-ms"), headers.get("retry-after")
    with suppress(ValueError, TypeError, OverflowError):
        now = parsedate_to_datetime(headers.get("date") or "").timestamp()
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


def json_or_text(content: str | bytes) -> Any:
    """A body as read from JSON, else as text."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content if isinstance(content, str) else content.decode(errors="replace")
