"""Any server that speaks OpenAI's chat completions API, one or many, through the official client."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakSet

import openai
from openai.types.chat import ChatCompletionChunk

from datagen.config.llm import EngineConfig
from datagen.errors import EngineError
from datagen.llm import cost, http_errors
from datagen.llm.base import Account, Backend, Completion, Request, Stream
from datagen.llm.dispatch import EndpointState
from datagen.llm.endpoint import payload
from datagen.llm.http_errors import GARBLED, Failure
from datagen.llm.pool import Failed, Pool, retry_after, say
from datagen.llm.window import Counts

RECENT, ENOUGH = 100, 20  # the error rate is of so many last requests, once there are enough


class ChatBackend(Backend):
    """`others`: settings of further models that requests may name; only what concerns their endpoints counts.

    Raises ConfigError at once when a key is missing.
    """

    def __init__(self, settings: EngineConfig, folder: str = "", others: Sequence[EngineConfig] = ()) -> None:
        self.settings = settings
        models = [(endpoint, engine.model or "") for engine in (settings, *others) for endpoint in engine.servers()]
        self.pool = Pool(models, settings.timeout, settings.patience)
        self.counts = Counts(self.pool)
        self.room = 2 * sum(endpoint.max_concurrency for endpoint, _ in models)
        self.recent: deque[str] = deque(maxlen=RECENT)  # the errors of the last requests, "" for a reply
        # Conversations, each a task, that have had a reply: they go on before others begin, while a server has in its
        # cache what their next request shares with the last.
        self.begun: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.models: set[tuple[str, str]] = set()  # an endpoint, and the model that it says it is

    async def complete(
        self, request: Request, stream: Stream | None = None, account: Account | None = None
    ) -> Completion:
        """The reply of a server. Raises EngineError when most requests fail, or nobody answers for long.

        With a `stream`, an attempt that breaks off when text was heard already is the last.
        """
        send = (lambda *where: self._send(request, *where)) if stream is None else _Streamed(self, request, stream)
        charged = _Charged(request, send, account)
        try:
            completion, _ = await self.pool.call(
                charged.attempt,
                model=request.model,
                chars=sum(len(message["content"]) for message in request.messages),
                max_attempts=lambda: self.settings.max_attempts,
                group=request.group,
                first=asyncio.current_task() in self.begun,
                before_another=charged.before_another,
            )
        except Failed as e:
            failure = e.failure
            completion = Completion(request.key, error=failure.reason, detail=failure.detail, attempts=e.attempts)
        self._count(completion.error, completion.detail)
        if task := asyncio.current_task():
            self.begun.add(task)
        return completion

    def report(self, completion: Completion, problem: str = "") -> None:
        """Count a reply that could not be read against its server."""
        for endpoint in self.pool.endpoints:
            if endpoint.name == completion.endpoint:
                self.pool.judge(endpoint, problem)

    def disown(self, completions: Sequence[Completion], problem: str) -> None:
        """Count replies that led to nothing as failed requests. Raises EngineError when most of the last failed."""
        for _ in completions:
            if "" in self.recent:
                self.recent.remove("")  # the reply's own
            self._count(problem, "")

    def expect(self, n: int) -> None:
        """Told how many requests will follow those that wait."""
        self.pool.dispatcher.still_to_come = n

    def in_flight(self) -> int:
        """How many requests are at the servers now."""
        return sum(endpoint.in_flight for endpoint in self.pool.endpoints)

    async def close(self) -> None:
        """Close the connections to the servers."""
        await self.pool.close()

    async def _send(self, request: Request, endpoint: EndpointState, attempt: int) -> tuple[Completion, int]:
        lacks = frozenset(endpoint.lacks)
        await self.counts.settle(request, endpoint, lacks, self.refusal)
        sent_at = time.monotonic()
        response = await self.pool.post(endpoint, "/chat/completions", payload(request, lacks))
        seconds = time.monotonic() - sent_at
        body = self.pool.body(response)
        if http_errors.meant(response.status_code, body) >= 300:
            raise self.refusal(endpoint, response, lacks)
        return self.read(request, endpoint, body, lacks, attempt, seconds)

    def refusal(self, endpoint: EndpointState, response: Any, lacks: frozenset[str]) -> Failed:
        """What an error status means. What the endpoint turns out to lack is left out from then on."""
        body = self.pool.body(response)
        failure = http_errors.failure(http_errors.meant(response.status_code, body), body)
        if response.status_code == 404 and not endpoint.name.endswith("/v1"):
            failure = replace(
                failure, detail=f"{failure.detail}. Most servers' addresses end in /v1: {endpoint.name}/v1?"
            )
        if failure.lacks and failure.lacks not in lacks | endpoint.proven:
            endpoint.lacks.add(failure.lacks)
            return Failed(replace(failure, retryable=True), counts=0, wait=0.0)
        may_be = response.status_code in {200, *http_errors.MAY_BE_BILLED} and failure.reason not in http_errors.NOT_YET
        billed = "maybe" if may_be else None
        return Failed(failure, wait=retry_after(response.headers, time.time()), billed=billed)

    def read(
        self, request: Request, endpoint: EndpointState, body: Any, lacks: frozenset[str], attempt: int, seconds: float
    ) -> tuple[Completion, int]:
        """(completion, the tokens it took) of a reply's body. Raises Failed."""
        try:
            found = http_errors.completion(request, body, endpoint=endpoint.name, attempts=attempt, seconds=seconds)
        except http_errors.Unusable as e:
            raise Failed(Failure(e.reason, str(e), retryable=True), billed=e.completion or "maybe") from e
        self._check_model(request.model, endpoint, body)
        self.counts.check(request, endpoint, found)
        if request.schema and "json_schema" not in lacks:
            endpoint.proven.add("json_schema")
        return found, found.prompt_tokens + found.completion_tokens

    def _check_model(self, asked: str, endpoint: EndpointState, body: dict[str, Any]) -> None:
        """Say, once, that another model answers than was asked: a dated name of the same is none."""
        replied = body.get("model")
        if not isinstance(replied, str) or (endpoint.name, replied) in self.models:
            return
        self.models.add((endpoint.name, replied))
        short = asked.rpartition("/")[2].casefold()
        if short not in replied.casefold() and replied.rpartition("/")[2].casefold() not in short:
            shown = http_errors.clipped(replied, 100)
            say(f"{endpoint.name} answers as {shown!r}, though {asked!r} is asked")

    def _count(self, error: str, detail: str) -> None:
        """Note a request's error, or "". Raises EngineError when most of the last requests failed."""
        self.recent.append(error)
        if not error:
            return
        errors = Counter(error for error in self.recent if error)
        if len(self.recent) >= ENOUGH and errors.total() > self.settings.max_error_rate * len(self.recent):
            self.pool.dispatcher.stop()
            reason, n = errors.most_common(1)[0]
            last = f"The last: {detail}\n" if detail else ""
            raise EngineError(
                f"{errors.total()} of the last {len(self.recent)} requests failed (engine.max_error_rate is "
                f"{self.settings.max_error_rate}), {n} of them: {reason}. {last}"
                "What was answered is kept: put it right and run the same command again."
            )


_HEARD = ("content", "reasoning_content", "reasoning", "refusal")  # the parts of a message in a stream


@dataclass
class _Charged:
    """The attempts at a request, and what those that bring nothing may cost."""

    request: Request
    send: Callable[[EndpointState, int], Awaitable[tuple[Completion, int]]]
    account: Account | None

    async def attempt(self, endpoint: EndpointState, number: int) -> tuple[Completion, int]:
        try:
            return await self.send(endpoint, number)
        except Failed as e:
            if e.billed:
                self._lose(e.billed if isinstance(e.billed, Completion) else None)
            raise
        except asyncio.CancelledError:  # by a deadline, or the run has ended: it is on its way all the same
            self._lose(None)
            raise

    async def before_another(self, failed: Failed) -> None:
        if failed.billed and self.account:
            await self.account.renew()

    def _lose(self, took: Completion | None) -> None:
        if self.account:
            known = (took.prompt_tokens, took.completion_tokens) if took else cost.most_tokens(self.request)
            self.account.lost(*known)


class _Streamed:
    """Attempts at a request whose reply is heard as it is written."""

    def __init__(self, backend: ChatBackend, request: Request, stream: Stream) -> None:
        self.backend, self.request, self.stream = backend, request, stream
        self.heard = False

    async def __call__(self, endpoint: EndpointState, attempt: int) -> tuple[Completion, int]:
        try:
            return await self._send(endpoint, attempt)
        except Failed as e:
            if self.heard:  # what was heard can't be taken back
                e.failure = replace(e.failure, retryable=False)
            raise

    async def _send(self, endpoint: EndpointState, attempt: int) -> tuple[Completion, int]:
        lacks = frozenset(endpoint.lacks)
        await self.backend.counts.settle(self.request, endpoint, lacks, self.backend.refusal)
        sent_at = time.monotonic()
        body = payload(self.request, lacks) | {"stream": True}
        if "stream_options" not in lacks:
            body["stream_options"] = {"include_usage": True}
        pool = self.backend.pool
        message: dict[str, Any] = dict.fromkeys(_HEARD, "")
        choice: dict[str, Any] = {"message": message, "finish_reason": None}
        usage: Any = None
        with pool.reaching(endpoint):
            try:
                chunks = await pool.clients[endpoint].post(
                    "/chat/completions",
                    body=body,
                    cast_to=ChatCompletionChunk,
                    stream=True,
                    stream_cls=openai.AsyncStream[ChatCompletionChunk],
                )
                async for chunk in chunks:
                    part = chunk.model_dump()
                    usage = part.get("usage") or usage
                    for one in (part.get("choices") or [])[:1]:
                        self._hear(message, one.get("delta") or {})
                        choice["finish_reason"] = one.get("finish_reason") or choice["finish_reason"]
            except openai.APIStatusError as e:
                raise self.backend.refusal(endpoint, e.response, lacks) from None
            except (openai.APIError, ValueError) as e:
                if isinstance(e, openai.APIConnectionError):
                    raise
                raise Failed(Failure(GARBLED, f"{endpoint.name}: {e}", retryable=True), billed="maybe") from e
        if choice["finish_reason"] is None:
            raise Failed(Failure(GARBLED, f"{endpoint.name}: the reply broke off", retryable=True), billed="maybe")
        whole = {"choices": [choice], "usage": usage}
        return self.backend.read(self.request, endpoint, whole, lacks, attempt, time.monotonic() - sent_at)

    def _hear(self, message: dict[str, Any], delta: dict[str, Any]) -> None:
        for name in message:
            message[name] += delta.get(name) or ""
        if text := delta.get("content"):
            self.heard = True
            self.stream(text)
