"""The servers that share requests, for chat and embeddings alike: keys, clients, retries, and what failures teach.

Which server gets which request is `dispatch`'s; an attempt is the caller's, who posts and reads.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import openai

from datagen.config.llm import EndpointConfig
from datagen.errors import EngineError
from datagen.llm.dispatch import CLOSED, HALF_OPEN, Dispatcher, EndpointState
from datagen.llm.endpoint import client_arguments, key_cleaner
from datagen.llm.http import httpx
from datagen.llm.http_errors import NO_QUOTA, TOO_MANY, Failure

T = TypeVar("T")
PATIENCE_AT_FIRST = 30.0  # seconds, with endpoints that never answered: more likely a wrong address than a restart
REFUSALS_PER_ATTEMPT = 8  # "too many requests" says nothing against the request
CHARS_PER_TOKEN = 4  # an estimate for the tokens-per-minute limit until the reply tells
UNREACHABLE, TIMED_OUT, GARBLED = "connection failed", "timed out", "garbled reply"
BACK_OFF, LONGEST_BACK_OFF = 0.5, 30.0  # seconds before the second attempt; it doubles, with up to a second of jitter


class Failed(Exception):
    """One attempt that brought no reply."""

    def __init__(
        self, failure: Failure, counts: float = 1.0, wait: float | None = None, nobody_there: bool = False
    ) -> None:
        super().__init__(failure.detail)
        self.failure = failure
        self.counts = counts  # against the request's attempts
        self.wait = wait  # seconds, as the server asked for
        self.nobody_there = nobody_there  # so nobody saw the request
        self.attempts = 1  # that were made in all, by the last of them


class Pool:
    """Endpoints, each with the model it serves. What is learned of them stays, from event loop to event loop.

    timeout: seconds for one attempt. patience: seconds after which nobody's answering is an EngineError; None: nobody
    is waited for, and an attempt at a place where nobody is counts as one. Raises ConfigError when a key is missing.
    """

    def __init__(
        self, endpoints: Iterable[tuple[EndpointConfig, str]], timeout: float, patience: float | None = None
    ) -> None:
        self.endpoints = [EndpointState.to(endpoint, model) for endpoint, model in endpoints]
        self.clean = key_cleaner([endpoint.config for endpoint in self.endpoints])
        self.timeout, self.patience = timeout, patience
        self.answered_at: dict[str, float] = {}
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
    ) -> tuple[T, int]:
        """(what an attempt brought, how many it took). Retried, elsewhere if there is another place.

        attempt: of an endpoint and the attempt's number; returns a value and the tokens that it took, if known.
        chars: of the request, for the rate limit of tokens. Raises Failed when the attempts are used up or the failure
        is final, EngineError when there is no point in going on, and whatever else an attempt raises.
        """
        spent, attempts = 0.0, 0
        failed_at: set[EndpointState] = set()
        if not self.clients:  # all at once: it takes a while, which would count as a server's latency
            self.clients = {endpoint: self._client(endpoint) for endpoint in self.endpoints}
            self.answered_at = dict.fromkeys((endpoint.model for endpoint in self.endpoints), time.monotonic())
        while True:
            attempts += 1
            try:
                return await self._try(attempt, model, group, chars / CHARS_PER_TOKEN, attempts, failed_at), attempts
            except Failed as e:
                spent += e.counts
                if not e.failure.retryable or spent > max_attempts() - 0.01:  # a sum of fractions
                    e.attempts = attempts
                    raise
                wait = back_off(attempts) if e.wait is None else e.wait
            except Exception:  # it ends the run: nothing more is sent
                self.dispatcher.stop()
                raise
            await asyncio.sleep(wait)

    async def _try(
        self,
        attempt: Callable[[EndpointState, int], Awaitable[tuple[T, int]]],
        model: str,
        group: str,
        estimate: float,
        number: int,
        failed_at: set[EndpointState],
    ) -> T:
        """One attempt, wherever there is a place first; best where it did not fail before."""
        endpoint = await self.dispatcher.acquire(model, group, estimate, number > 1, failed_at)
        probing = endpoint.breaker.state == HALF_OPEN
        sent_at = time.monotonic()
        try:
            found, tokens = await attempt(endpoint, number)
        except Failed as e:
            self._learn(endpoint, e, sent_at, probing)
            if e.failure.retryable and not e.failure.lacks and e.failure.reason != TOO_MANY:
                failed_at.add(endpoint)
            e.failure = replace(e.failure, detail=self.clean(e.failure.detail))
            raise e from None
        else:
            self.answered_at[endpoint.model] = now = time.monotonic()
            endpoint.answered(now - sent_at)
            endpoint.tokens.spend((tokens or estimate) - estimate)
            return found
        finally:
            self.dispatcher.release(endpoint)

    async def post(self, endpoint: EndpointState, path: str, body: dict[str, Any]) -> httpx.Response:
        """The reply, whatever its status. Raises Failed where there is none."""
        with self.reaching(endpoint):
            try:
                return await self.clients[endpoint].post(path, body=body, cast_to=httpx.Response)
            except openai.APIStatusError as e:
                return e.response

    def _client(self, endpoint: EndpointState) -> openai.AsyncOpenAI:
        """The pure-Python transport of httpx takes twice the processor time of aiohttp's for the same request."""
        limits = httpx.Limits(max_connections=endpoint.config.max_concurrency)
        timeout = openai.Timeout(self.timeout, connect=min(30.0, self.timeout), pool=None)
        return openai.AsyncOpenAI(
            **client_arguments(endpoint.config),
            timeout=timeout,
            http_client=openai.DefaultAioHttpClient(limits=limits, timeout=timeout),
        )

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
                detail = f"{endpoint.name}: no reply in {self.timeout:g} s"
                raise Failed(Failure(TIMED_OUT, detail, retryable=True)) from e
            nobody_there = isinstance(cause, (ConnectionRefusedError, socket.gaierror))
            failure = Failure(UNREACHABLE, f"{endpoint.name}: {str(cause) or type(cause).__name__}", retryable=True)
            counts = 0 if nobody_there and self.patience is not None else 1
            raise Failed(failure, counts, nobody_there=nobody_there) from e

    def _learn(self, endpoint: EndpointState, failed: Failed, sent_at: float, probing: bool) -> None:
        """Slow down at a server that is asked too much, leave one alone that fails.

        Raises EngineError when there is no point in going on.
        """
        failure, now = failed.failure, time.monotonic()
        if failure.about_endpoint and (failure.reason == NO_QUOTA or not endpoint.breaker.ever):
            endpoint.retired = failure.detail
            if failure.reason != NO_QUOTA or all(other.retired for other in self._beside(endpoint)):
                raise EngineError(self.clean(f"{endpoint.name} refuses every request: {failure.detail}")) from None
            failed.failure = replace(failure, retryable=True, about_endpoint=False)  # elsewhere
        elif failure.reason == TOO_MANY:
            if endpoint.concurrency.refused(now, sent_at):
                endpoint.pause = max(endpoint.pause, now + (failed.wait or 0.0))
            endpoint.breaker.succeeded()  # it is there
            failed.counts = 1 / REFUSALS_PER_ATTEMPT
        elif failure.retryable and not failure.lacks:
            if failure.reason == TIMED_OUT or failed.wait is not None:
                endpoint.concurrency.refused(now, sent_at)
            endpoint.breaker.failed(now, failed.nobody_there)
            if self.patience is not None:
                if probing:
                    failed.counts = 0  # it was sent to see whether anyone is there
                self._check_patience(endpoint, failure, now, self.patience)
        else:
            endpoint.breaker.succeeded()

    def _beside(self, endpoint: EndpointState) -> list[EndpointState]:
        return [other for other in self.endpoints if other.model == endpoint.model]

    def _check_patience(self, failed_at: EndpointState, last: Failure, now: float, patience: float) -> None:
        endpoints = [endpoint for endpoint in self._beside(failed_at) if not endpoint.retired]
        silent = now - self.answered_at[failed_at.model]
        if not any(endpoint.breaker.ever for endpoint in endpoints):
            patience = min(patience, PATIENCE_AT_FIRST)
        if silent > patience and all(endpoint.breaker.state != CLOSED for endpoint in endpoints):
            raise EngineError(
                self.clean(f"no endpoint has answered for {silent:.0f} s. The last: {last.reason}: {last.detail}\n")
                + "What was answered is kept: run the same command again once it does."
            ) from None


def back_off(attempts: int) -> float:
    """Seconds until the next attempt, after so many."""
    return min(LONGEST_BACK_OFF, BACK_OFF * 2.0 ** (attempts - 1) + random.uniform(0, 1))


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


def json_or_text(content: str | bytes) -> Any:
    """A body as read from JSON, else as text."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content if isinstance(content, str) else content.decode(errors="replace")
