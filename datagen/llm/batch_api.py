"""The calls of one server's batch API: each is tried again until it gets through, and no batch is created twice."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

import openai
import tenacity
from openai.types import Batch, FileObject

from datagen.config.llm import EngineConfig
from datagen.errors import ConfigError, EngineError
from datagen.llm import http_errors
from datagen.llm.endpoint import NO_WORD, address, client_arguments, key_cleaner
from datagen.llm.http import httpx
from datagen.llm.pool import PATIENCE_AT_FIRST, json_or_text, retry_after

T = TypeVar("T")
MARK = "longrlvr_batch"  # in a batch's metadata: what it is known by before its id is
BACK_OFF = tenacity.wait_exponential_jitter(multiplier=0.5, max=30, jitter=1)
TIMEOUT = 120.0  # seconds without a byte


class Garbled(Exception):
    """A reply, but not of the API: a proxy's page, say."""


class BatchAPI:
    """Raises ConfigError at once for more than one endpoint. Any call raises EngineError once it is refused, or nobody
    has answered for as long as the settings' patience.

    `pause` waits so many seconds; what it raises ends whatever is being tried.
    """

    def __init__(self, settings: EngineConfig, pause: Callable[[float], None]) -> None:
        endpoint, *others = settings.endpoints
        if others:
            raise ConfigError(f"engine.kind openai-batch takes one endpoint, not {len(settings.endpoints)}")
        self.settings = settings
        self.pause = pause
        self.url = address(endpoint)
        self.clean, self.clean_reply = key_cleaner([endpoint]), key_cleaner([endpoint], NO_WORD)
        self.reached = False  # it has answered once
        timeout = min(TIMEOUT, settings.timeout)
        self.client = openai.OpenAI(**client_arguments(endpoint), timeout=timeout)

    def greet(self) -> None:
        """Find out with a small request whether anyone is there who takes batches and this key."""
        if not self.reached:
            self.find(set())

    def upload(self, lines: BinaryIO) -> str:
        """The id that the server gives to a file of requests."""

        def attempt() -> str:
            lines.seek(0)
            created = self.client.files.create(
                file=("requests.jsonl", lines), purpose="batch", timeout=self.settings.timeout
            )
            return self._is_a(FileObject, created).id

        return self._call(attempt)

    def create(self, file: str, key: str) -> str:
        """The id of a new batch. If a reply was lost, look whether the batch is there before it is tried again."""
        tried = False

        def attempt() -> str:
            nonlocal tried
            if tried and (found := self._listed({key})):
                return found[key]
            tried = True
            created = self.client.batches.create(
                input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h", metadata={MARK: key}
            )
            return self._is_a(Batch, created).id

        return self._call(attempt)

    def find(self, keys: set[str]) -> dict[str, str]:
        """The ids of those batches that the server has, by the keys they were created with."""
        return self._call(lambda: self._listed(keys))

    def retrieve(self, id: str) -> Batch | None:
        """How a batch stands. None: the server knows of no such batch."""

        def attempt() -> Batch | None:
            try:
                return self._is_a(Batch, self.client.batches.retrieve(id))
            except openai.NotFoundError:
                return None

        return self._call(attempt)

    def rows(self, file: str) -> Iterator[dict[str, Any]]:
        """The lines of a result file that can be read."""
        with tempfile.TemporaryFile() as f:

            def attempt() -> None:
                f.seek(0)
                f.truncate()
                with self.client.files.with_streaming_response.content(file) as response:
                    for part in response.iter_bytes():
                        f.write(part)

            self._call(attempt)
            f.seek(0)
            for line in f:  # as bytes: a text's lines would end at every U+2028 inside a reply, too
                try:
                    row = self.clean_reply(json.loads(line))
                except (ValueError, RecursionError):
                    continue
                if isinstance(row, dict):
                    yield row

    def _is_a(self, kind: type[T], value: Any) -> T:
        if not isinstance(value, kind):
            raise Garbled(f"garbled reply: {http_errors.clipped(self.clean(str(value)))}")
        return value

    def _detail(self, e: Exception) -> str:
        """What went wrong, without keys: they are taken out before it is clipped."""
        if isinstance(e, openai.APIStatusError):
            return http_errors.failure(e.status_code, json_or_text(self.clean(e.response.text))).detail
        cause = e.__cause__ or e
        return self.clean(str(cause)) or type(cause).__name__

    def _listed(self, keys: set[str]) -> dict[str, str]:
        """Looks through all pages; for no keys at all, at one batch."""
        try:
            page = self.client.batches.list(limit=100 if keys else 1)
            marks = ((batch, (batch.metadata or {}).get(MARK)) for batch in (page if keys else page.data))
            return {mark: batch.id for batch, mark in marks if mark in keys}
        except AttributeError as e:  # the client's own, at a reply that is no JSON
            raise Garbled("garbled reply: no list of batches") from e

    def _call(self, attempt: Callable[[], T]) -> T:
        patience = self.settings.patience if self.reached else min(self.settings.patience, PATIENCE_AT_FIRST)
        self.pause(0)
        try:
            result = tenacity.Retrying(
                retry=tenacity.retry_if_exception(_is_passing),
                stop=tenacity.stop_after_delay(patience),
                wait=_wait,
                sleep=self.pause,
                reraise=True,
            )(attempt)
        except (openai.APIError, httpx.HTTPError, Garbled) as e:
            detail = self._detail(e)
            if _is_passing(e):
                raise EngineError(
                    f"{self.url} has not answered for {patience:.0f} s. The last: {detail}\n"
                    "Batches go on there: run the same command again once it does."
                ) from None
            hint = (
                ". Has it a batch API? engine.kind openai does without" if isinstance(e, openai.NotFoundError) else ""
            )
            raise EngineError(f"{self.url} refuses every request: {detail}{hint}") from None
        self.reached = True
        return result


def _is_passing(e: BaseException) -> bool:
    if isinstance(e, openai.APIStatusError):
        return http_errors.failure(e.status_code, e.body).retryable
    return isinstance(e, (openai.APIConnectionError, httpx.HTTPError, Garbled))


def _wait(state: tenacity.RetryCallState) -> float:
    e = state.outcome.exception() if state.outcome else None
    asked = retry_after(e.response.headers, time.time()) if isinstance(e, openai.APIStatusError) else None
    return max(BACK_OFF(state), asked or 0.0)
