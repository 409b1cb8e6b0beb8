"""Vectors from servers with OpenAI's /v1/embeddings, one or many, which share the work.

Requests go out together, as many as each server bears (`llm.dispatch`); one that fails is tried again, elsewhere if
there is another server. What no repeating will put right ends the run with a sentence: a vector is never made up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from datagen.config.data import EmbedConfig
from datagen.config.llm import EndpointConfig
from datagen.embed.vectors import BadVectors, read
from datagen.errors import ConfigError, EngineError, UserError
from datagen.llm import http_errors
from datagen.llm.dispatch import EndpointState
from datagen.llm.http import httpx
from datagen.llm.http_errors import GARBLED, Failure
from datagen.llm.pool import Failed, Pool, retry_after

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
def _pool(endpoints: tuple[EndpointConfig, ...], model: str) -> Pool:
    """What was learned of the servers lasts from shard to shard."""
    return Pool([(endpoint, model) for endpoint in endpoints], TIMEOUT)


class _Session:
    def __init__(self, settings: EmbedConfig) -> None:
        self.settings = settings
        self.pool = _pool(settings.endpoints, settings.model)
        self.pool.dispatcher.still_to_come = 0
        self.sizes: dict[int, str] = {}  # the dimensions that were seen, and where

    async def run(self, texts: Sequence[str], done: Callable[[Sequence[int]], None]) -> np.ndarray:
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
            await self.pool.close()

    async def _ask(self, texts: list[str]) -> np.ndarray:
        def max_attempts() -> int:
            known = any(endpoint.breaker.ever for endpoint in self.pool.endpoints)
            return ATTEMPTS if known else ATTEMPTS_AT_FIRST

        async def attempt(endpoint: EndpointState, number: int) -> tuple[np.ndarray, int]:
            plain = "base64" in endpoint.lacks
            body = {"model": self.settings.model, "input": texts}
            response = await self.pool.post(
                endpoint, "/embeddings", body if plain else body | {"encoding_format": "base64"}
            )
            if response.status_code >= 300:
                raise self._refusal(endpoint, response, plain)
            return self._read(endpoint, response, len(texts))

        chars = sum(map(len, texts))
        try:
            found, _ = await self.pool.call(attempt, model=self.settings.model, chars=chars, max_attempts=max_attempts)
        except Failed as e:
            raise EngineError(
                f"embed.endpoints: no vectors can be had. The last attempt: {e.failure.detail}\n"
                "The shards that are finished are kept: run the same command again once the server answers."
            ) from None
        return found

    def _refusal(self, endpoint: EndpointState, response: httpx.Response, plain: bool) -> Exception:
        """What an error status calls for: trying again, or a person."""
        failure = http_errors.failure(response.status_code, self.pool.body(response))
        detail = self.pool.clean(f"{endpoint.name}: {failure.detail}")
        if failure.retryable:
            wait = retry_after(response.headers, time.time())
            return Failed(Failure(failure.reason, detail, retryable=True), wait=wait)
        if failure.reason == http_errors.TOO_LONG:
            return UserError(
                f"embed.endpoints: {detail}\nA text is longer than embed.model {self.settings.model!r} takes there: "
                "lower chunk.max_tokens, or choose a model with a longer window"
            )
        if not plain and "encoding_format" in response.text:
            endpoint.lacks.add("base64")
            return Failed(Failure(failure.reason, detail, retryable=True, lacks="base64"), counts=0, wait=0.0)
        if failure.reason == http_errors.NO_QUOTA:
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

    def _read(self, endpoint: EndpointState, response: httpx.Response, n: int) -> tuple[np.ndarray, int]:
        """(vectors, the tokens they took if the server says)"""
        body = self.pool.body(response)
        try:
            found = read(body, n)
        except http_errors.Unusable as e:
            raise Failed(Failure(GARBLED, self.pool.clean(f"{endpoint.name}: {e}"), retryable=True)) from e
        except BadVectors as e:
            raise UserError(
                f"embed.endpoints: {endpoint.name} {e}. Check that embed.model {self.settings.model!r} embeds text "
                "there"
            ) from e
        self.sizes.setdefault(found.shape[1], endpoint.name)
        if len(self.sizes) > 1:
            seen = " and ".join(f"{size} ({name})" for size, name in self.sizes.items())
            raise UserError(
                f"embed.endpoints: the vectors of {self.settings.model!r} have changing dimensions: {seen}. "
                "All endpoints must serve the same embed.model"
            )
        usage = body.get("usage")
        tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
        return found, tokens if isinstance(tokens, int) else 0


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
