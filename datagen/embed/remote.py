"""Vectors from servers with OpenAI's /v1/embeddings, one or many, which share the work.

Requests go out together, as many as each server bears (`engines.dispatch`); one that fails is tried again, elsewhere if
there is another server. What no repeating will put right ends the run with a sentence: a vector is never made up.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import lru_cache
from typing import Any

import numpy as np
import openai
import tenacity

from datagen.config.data import EmbedConfig
from datagen.config.llm import EndpointConfig
from datagen.embed.vectors import BadVectors, read
from datagen.errors import ConfigError, EngineError, UserError
from datagen.llm import http_errors as replies
from datagen.llm.dispatch import Dispatcher, Lane
from datagen.llm.endpoint import NO_KEY, api_key, client_arguments
from datagen.llm.http import httpx
from datagen.llm.http_errors import Failure
from datagen.llm.openai import BACK_OFF, CHARS_PER_TOKEN, REFUSALS_PER_ATTEMPT, Failed, retry_after

TEXTS, CHARS = 16, 200_000  # in a request, at most: few enough for any server, and for a shard to keep several busy
ATTEMPTS, ATTEMPTS_AT_FIRST = 8, 5  # fewer where no server has ever answered: more likely a wrong address
TIMEOUT = 600.0  # seconds, for one attempt


def vectors(texts: Sequence[str], settings: EmbedConfig, done: Callable[[Sequence[int]], None]) -> np.ndarray:
    """A vector for every text, (n, dim) float32, as the servers send it. `done` hears which texts are.

    Raises ConfigError for a missing or wrong key, address or model, EngineError when no server answers, and UserError
    for a text that is too long and for vectors that can't be right.
    """
    return asyncio.run(_Session(settings).run(texts, done))


@lru_cache(maxsize=1)
def _lanes(endpoints: tuple[EndpointConfig, ...], model: str) -> list[Lane]:
    """What was learned of the servers lasts from shard to shard."""
    return [Lane.to(endpoint, model) for endpoint in endpoints]


class _Session:
    def __init__(self, settings: EmbedConfig) -> None:
        self.settings = settings
        self.keys = [api_key(endpoint) for endpoint in settings.endpoints]
        self.lanes = _lanes(settings.endpoints, settings.model)
        self.dispatcher = Dispatcher(self.lanes, time.monotonic)
        self.dispatcher.still_to_come = 0
        self.clients: dict[Lane, openai.AsyncOpenAI] = {}
        self.sizes: dict[int, str] = {}  # the dimensions that were seen, and where

    async def run(self, texts: Sequence[str], done: Callable[[Sequence[int]], None]) -> np.ndarray:
        async with AsyncExitStack() as stack:
            for lane in self.lanes:
                self.clients[lane] = await stack.enter_async_context(_client(lane.endpoint))

            async def settle(batch: range) -> np.ndarray:
                found = await self._ask(list(texts[batch.start : batch.stop]))
                done(batch)
                return found

            tasks = [asyncio.create_task(settle(batch)) for batch in batches(texts)]
            try:
                return np.concatenate(await asyncio.gather(*tasks))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self.dispatcher.stop()

    async def _ask(self, texts: list[str]) -> np.ndarray:
        spent = 0.0
        failed_at: set[Lane] = set()

        def is_enough(state: tenacity.RetryCallState) -> bool:
            known = any(lane.breaker.ever for lane in self.lanes)
            return spent > (ATTEMPTS if known else ATTEMPTS_AT_FIRST) - 0.01  # a sum of fractions

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, Failed)),
            stop=is_enough,
            wait=_wait,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    try:
                        return await self._try(texts, failed_at)
                    except Failed as e:
                        spent += e.counts
                        raise
        except Failed as e:
            raise EngineError(
                self._clean(f"embed.endpoints: no vectors can be had. The last attempt: {e.failure.detail}\n")
                + "The shards that are finished are kept: run the same command again once the server answers."
            ) from None
        raise AssertionError("retrying ends with vectors or a failure")

    async def _try(self, texts: list[str], failed_at: set[Lane]) -> np.ndarray:
        estimate = sum(map(len, texts)) / CHARS_PER_TOKEN
        lane = await self.dispatcher.place(self.settings.model, "", estimate, bool(failed_at), failed_at)
        sent_at, plain = time.monotonic(), "base64" in lane.lacks
        try:
            body = {"model": self.settings.model, "input": texts}
            response = await self._post(lane, body if plain else body | {"encoding_format": "base64"})
            if response.status_code >= 400:
                raise self._refusal(lane, response, plain)
            found, tokens = self._read(lane, response, len(texts))
        except Failed as e:
            _learn(lane, e, sent_at)
            if e.counts and e.failure.reason != replies.TOO_MANY:
                failed_at.add(lane)
            raise
        else:
            lane.answered(time.monotonic() - sent_at)
            lane.tokens.spend((tokens or estimate) - estimate)
            return found
        finally:
            self.dispatcher.leave(lane)

    async def _post(self, lane: Lane, body: dict[str, Any]) -> httpx.Response:
        try:
            return await self.clients[lane].post("/embeddings", body=body, cast_to=httpx.Response)
        except openai.APIStatusError as e:
            return e.response
        except (openai.APIConnectionError, httpx.HTTPError) as e:
            cause: BaseException = e
            while cause.__cause__:
                cause = cause.__cause__
            what = (
                f"no reply in {TIMEOUT:g} s" if isinstance(cause, TimeoutError) else str(cause) or type(cause).__name__
            )
            raise Failed(Failure("connection failed", f"{lane.name}: {what}", retryable=True)) from e

    def _refusal(self, lane: Lane, response: httpx.Response, plain: bool) -> Exception:
        """What an error status calls for: trying again, or a person."""
        failure = replies.failure(response.status_code, _body(response))
        detail = self._clean(f"{lane.name}: {failure.detail}")
        if failure.retryable:
            wait = retry_after(response.headers, time.time())
            return Failed(Failure(failure.reason, detail, retryable=True), wait=wait)
        if failure.reason == replies.TOO_LONG:
            return UserError(
                f"embed.endpoints: {detail}\nA text is longer than embed.model {self.settings.model!r} takes there: "
                "lower chunk.max_tokens, or choose a model with a longer window"
            )
        if not plain and "encoding_format" in response.text:
            lane.lacks.add("base64")
            return Failed(Failure(failure.reason, detail, retryable=True), counts=0, wait=0.0)
        if failure.reason == replies.NO_QUOTA:
            return ConfigError(f"embed.endpoints: {detail}\nThe account has no quota left")
        if response.status_code in (401, 403):
            return ConfigError(
                f"embed.endpoints: {detail}\nThe key is refused: set api_key_env to the name of the environment "
                "variable that holds the right one"
            )
        if response.status_code == 404:
            return ConfigError(
                f"embed.endpoints: {detail}\nCheck base_url, which most often ends in /v1, and embed.model "
                f"{self.settings.model!r}, which must be the name that the server knows"
            )
        return UserError(f"embed.endpoints: {detail}\nThe server refuses to embed with {self.settings.model!r}")

    def _read(self, lane: Lane, response: httpx.Response, n: int) -> tuple[np.ndarray, int]:
        """(vectors, the tokens they took if the server says)"""
        body = _body(response)
        try:
            found = read(body, n)
        except replies.Unusable as e:
            raise Failed(Failure("garbled reply", self._clean(f"{lane.name}: {e}"), retryable=True)) from e
        except BadVectors as e:
            raise UserError(
                f"embed.endpoints: {lane.name} {e}. Check that embed.model {self.settings.model!r} embeds text there"
            ) from e
        self.sizes.setdefault(found.shape[1], lane.name)
        if len(self.sizes) > 1:
            seen = " and ".join(f"{size} ({name})" for size, name in self.sizes.items())
            raise UserError(
                f"embed.endpoints: the vectors of {self.settings.model!r} have changing dimensions: {seen}. "
                "All endpoints must serve the same embed.model"
            )
        usage = body.get("usage")
        tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
        return found, tokens if isinstance(tokens, int) else 0

    def _clean(self, text: str) -> str:
        """Servers like to repeat the key that they refuse."""
        for key in self.keys:
            if key != NO_KEY:
                text = text.replace(key, "…")
        return text


def batches(texts: Sequence[str]) -> list[range]:
    """Neighbours, up to `TEXTS` and `CHARS`; one text over that is alone."""
    found: list[range] = []
    chars = 0
    for i, text in enumerate(texts):
        chars += len(text)
        if found and len(found[-1]) < TEXTS and chars <= CHARS:
            found[-1] = range(found[-1].start, i + 1)
        else:
            found.append(range(i, i + 1))
            chars = len(text)
    return found


def _client(endpoint: EndpointConfig) -> openai.AsyncOpenAI:
    limits = httpx.Limits(max_connections=endpoint.max_concurrency)
    timeout = openai.Timeout(TIMEOUT, connect=30.0, pool=None)
    transport = openai.DefaultAioHttpClient(limits=limits, timeout=timeout)
    return openai.AsyncOpenAI(**client_arguments(endpoint), timeout=timeout, http_client=transport)


def _learn(lane: Lane, failed: Failed, sent_at: float) -> None:
    """Slow down at a server that is asked too much, leave one alone that fails."""
    now = time.monotonic()
    if failed.failure.reason == replies.TOO_MANY:
        if lane.window.refused(now, sent_at):
            lane.pause = max(lane.pause, now + (failed.wait or 0.0))
        lane.breaker.succeeded()  # it is there
        failed.counts = 1 / REFUSALS_PER_ATTEMPT
    elif failed.counts:
        if failed.wait is not None:
            lane.window.refused(now, sent_at)
        cause = failed.__cause__
        while cause and cause.__cause__:
            cause = cause.__cause__
        lane.breaker.failed(now, nobody_there=isinstance(cause, (ConnectionRefusedError, socket.gaierror)))


def _wait(state: tenacity.RetryCallState) -> float:
    """Seconds until the next attempt: what the server asked for, else a jittered back-off."""
    failed: Any = state.outcome.exception() if state.outcome else None
    return failed.wait if failed.wait is not None else BACK_OFF(state)


def _body(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return response.text
