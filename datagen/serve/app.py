"""The endpoint: `POST /v1/chat/completions`, `GET /v1/models`, `GET /health`; anything else is refused."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from datagen.errors import UserError
from datagen.grounded import Form
from datagen.grounding.prose import Prose
from datagen.serve import question, reply
from datagen.serve.documents import Documents
from datagen.serve.refusal import Refused
from datagen.serve.reply import Choice, Reader
from datagen.serve.upstream import Upstream, heard
from datagen.serve.wanted import Wanted, parsed, wanted

LARGEST = 64 << 20  # bytes of a request's body
LONG = 1 << 18  # bytes from which on a body is parsed off the event loop
ALIVE = 15.0  # seconds of silence after which a stream says that it is alive
_HERE = {"localhost", "127.0.0.1", "::1"}


@dataclass
class Noted:
    """What the log says of a request besides."""

    chunks: int = 0
    broke_off: bool = False


Handler = Callable[[web.Request, Noted], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Settings:
    """marker: what a question begins with, besides the usual. room: the most tokens of a response, reasoning included.
    key: what clients have to show; None: nothing. hosts: the names under which it is to be reached; None: any.
    """

    marker: str | None
    room: int
    key: str | None
    hosts: frozenset[str] | None


def hosts(host: str) -> frozenset[str] | None:
    """The names by which a server that listens there is to be reached: those of this machine, so that no page in a
    browser reaches it by a name of its own; None: any, if others are to reach it.
    """
    return frozenset({*_HERE, host}) if host in _HERE or host.startswith("127.") else None


@dataclass
class Service:
    """What answers requests. log: is given a line for each."""

    settings: Settings
    form: Form
    upstream: Upstream
    log: Callable[[str], None]

    def application(self) -> web.Application:
        """The routes, behind what every request has to pass."""
        self.documents = Documents(self.form)
        app = web.Application(client_max_size=LARGEST)
        app.router.add_post("/v1/chat/completions", self._guarded(self.complete))
        app.router.add_get("/v1/models", self._guarded(self.models))
        app.router.add_get("/health", self._guarded(self.health))
        app.router.add_route("*", "/{rest:.*}", self._guarded(self.unknown))

        async def closed(_: web.Application) -> None:
            self.documents.close()
            await self.upstream.close()

        app.on_cleanup.append(closed)
        return app

    async def unknown(self, request: web.Request, _: Noted) -> web.Response:
        """Say what there is instead."""
        there = "POST /v1/chat/completions, GET /v1/models and GET /health"
        raise Refused(404, f"{request.method} {request.path[:200]}: there are {there}")

    async def health(self, request: web.Request, _: Noted) -> web.Response:
        """Say that it is there, whatever the server behind does."""
        return web.json_response({"status": "ok"})

    async def models(self, request: web.Request, _: Noted) -> web.Response:
        """List the one model, and its window if it is known."""
        model = {"id": self.upstream.model, "object": "model", "created": 0, "owned_by": "longrlvr-data"}
        if self.upstream.window:
            model["max_model_len"] = self.upstream.window
        return web.json_response({"object": "list", "data": [model]})

    async def complete(self, request: web.Request, noted: Noted) -> web.StreamResponse:
        """Answer a chat."""
        raw = await request.read()
        body = await asyncio.to_thread(parsed, raw) if len(raw) > LONG else parsed(raw)
        want = wanted(body, self.settings.room)
        posed = question.posed(body.get("messages"), self.settings.marker)
        if posed.document:
            spans = await self.documents.split(posed.document)
            render = self.form.messages, posed.document, spans, posed.question
            said = await asyncio.to_thread(*render) if len(raw) > LONG else render[0](*render[1:])
        else:
            spans, said = [], [{"role": "user", "content": posed.question}]
        noted.chunks = len(spans)
        messages = [*posed.system, *said]
        self.upstream.check(messages, want.max_tokens)
        sent = {**want.passed_on, "model": self.upstream.model, "messages": messages, "max_tokens": want.max_tokens}
        if want.n > 1:
            sent["n"] = want.n
        reader = Reader(posed, spans, want.stop)
        if want.stream:
            return await self._streamed(request, sent, want, reader, noted)
        found = await self.upstream.complete(sent)
        choices: dict[int, Choice] = {}
        heard(choices, found["choices"])
        head = self._head(found, want)
        listed = [choices[i] for i in sorted(choices)]
        return web.json_response(reply.completion(head, listed, found.get("usage"), reader))

    async def _streamed(
        self, request: web.Request, sent: dict[str, Any], want: Wanted, reader: Reader, noted: Noted
    ) -> web.StreamResponse:
        async with self.upstream.stream(sent) as pieces:
            head = self._head({}, want)
            out = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
            await out.prepare(request)
            try:
                async for event in self._events(head, pieces, sent, want, reader):
                    await out.write(b"data: " + event + b"\n\n" if event else b": still here\n\n")
            except Refused as e:  # the status is sent already
                noted.broke_off = True
                await out.write(b"data: " + json.dumps(e.body()).encode() + b"\n\n")
            await out.write_eof()
        return out

    async def _events(
        self,
        head: dict[str, Any],
        pieces: AsyncIterator[dict[str, Any]],
        sent: dict[str, Any],
        want: Wanted,
        reader: Reader,
    ) -> AsyncIterator[bytes]:
        """The events of a stream; empty ones only show that it is alive."""
        choices: dict[int, Choice] = {}
        prose: dict[int, Prose] = {}
        reasoned: set[int] = set()
        usage: Any = None
        for i in range(want.n):
            yield _dumped(reply.chunk(head, i, {"role": "assistant", "content": ""}))
        async for piece in _alive(pieces):
            if piece is None:
                yield b""
                continue
            if piece.get("error"):
                raise Refused(502, f"the server behind says: {str(piece['error'])[:500]}")
            usage = piece.get("usage") or usage
            for index, text, reasoning in heard(choices, piece.get("choices")):
                if not reader.posed.document:
                    shown = {"content": text} if text else {}
                else:
                    shown_text = reasoning + prose.setdefault(index, Prose())(text)
                    shown = {"reasoning_content": shown_text} if shown_text else {}
                    reasoned |= {index} if shown_text else set()
                if shown:
                    yield _dumped(reply.chunk(head, index, shown))
        if not choices or any(choice.finish is None for choice in choices.values()):
            raise Refused(502, "the server behind broke off in the middle of its reply")
        await self.upstream.settle(sent["messages"], usage)
        for index in sorted(choices):
            left = prose[index].end() if index in prose else ""
            if left.strip():
                reasoned.add(index)
                yield _dumped(reply.chunk(head, index, {"reasoning_content": left}))
            if reader.posed.document:
                for event in reply.last_chunks(head, index, choices[index], reader, index in reasoned):
                    yield _dumped(event)
            else:
                yield _dumped(reply.chunk(head, index, {}, choices[index].finish))
        tail = head | {"object": "chat.completion.chunk", "choices": [], "longrlvr": reader.taken()}
        yield _dumped(tail | ({"usage": usage} if want.include_usage else {}))
        yield b"[DONE]"

    def _head(self, found: dict[str, Any], want: Wanted) -> dict[str, Any]:
        made = {"id": f"chatcmpl-{time.time_ns():x}", "created": int(time.time())}
        return {name: found.get(name) or value for name, value in made.items()} | {
            "model": want.model or self.upstream.model
        }

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A handler that lets pass who may ask, says a refusal as OpenAI does, and logs."""

        async def handle(request: web.Request) -> web.StreamResponse:
            begun, noted = time.monotonic(), Noted()
            try:
                self._may_ask(request)
                response = await handler(request, noted)
            except Refused as e:
                response = _refusal(e)
            except UserError as e:  # such as a character that has more tokens than a chunk may have
                response = _refusal(Refused(400, str(e)))
            except web.HTTPRequestEntityTooLarge:
                response = _refusal(Refused(413, f"the body is over {LARGEST >> 20} MB", "request_too_large"))
            except (ConnectionResetError, asyncio.CancelledError):
                self._say(request, "gone", begun, noted)
                raise
            self._say(request, "broke off" if noted.broke_off else str(response.status), begun, noted)
            return response

        return handle

    def _may_ask(self, request: web.Request) -> None:
        allowed, host = self.settings.hosts, request.url.host
        if allowed is not None and host not in allowed:
            raise Refused(403, f"this server listens for this machine alone, and not as {str(host)[:100]!r}")
        if self.settings.key is None or request.path == "/health":
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if not hmac.compare_digest(given.encode(errors="replace"), self.settings.key.encode()):
            raise Refused(401, "the key is missing or wrong: send `Authorization: Bearer KEY`", "invalid_api_key")

    def _say(self, request: web.Request, status: str, begun: float, noted: Noted) -> None:
        chunks = f", {noted.chunks:,} chunks" if noted.chunks else ""
        took = 1000 * (time.monotonic() - begun)
        self.log(f"{request.method} {request.path[:100]} {status}, {took:,.0f} ms{chunks}")


async def _alive(pieces: AsyncIterator[dict[str, Any]]) -> AsyncIterator[dict[str, Any] | None]:
    """The pieces, and None after every while in which there was none."""
    waiting: asyncio.Future[dict[str, Any]] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(pieces))
            done, _ = await asyncio.wait([waiting], timeout=ALIVE)
            if not done:
                yield None
                continue
            try:
                piece = waiting.result()
            except StopAsyncIteration:
                return
            waiting = None
            yield piece
    finally:
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                await waiting


def _dumped(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def _refusal(e: Refused) -> web.Response:
    headers = {"Retry-After": e.retry_after} if e.retry_after else {}
    headers |= {"WWW-Authenticate": "Bearer"} if e.status == 401 else {}
    return web.json_response(e.body(), status=e.status, headers=headers)
