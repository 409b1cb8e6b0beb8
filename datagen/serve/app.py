"""The server: who may ask it, what it has, and the way of a request.

A web page may be made to send requests to this machine, under a name that leads here (DNS rebinding) or from another
site. So a server on loopback answers to the names of this machine alone; every request has to be JSON, which no page
can send elsewhere without being allowed to; and nothing is ever allowed (no CORS headers).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError, web

from datagen.grounded import Form
from datagen.serve import reply, stream, upstream
from datagen.serve import request as requests
from datagen.serve.errors import TOO_LONG, Refused, bad_gateway
from datagen.serve.prepare import Prepared, Spans, prepare
from datagen.serve.upstream import Upstream

MOST_BYTES = 64 << 20  # of a request
MOST_HELD = 256 << 20  # bytes of the requests that are being read and made ready; others wait
SLOW = 120.0  # seconds that a request has to come in, since it holds room that others wait for
GONE = 499  # the status, in the log, of a client that went away
EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
THREADS = 2  # that cut documents: more would hold up the event loop
Answer = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
Noted = dict[str, Any]  # what the log says of a request: chunks, tokens, error


@dataclass(frozen=True)
class Service:
    """What is served: a form to ask in, a server behind, and who may ask.

    host: the name or address that is listened at. key: what clients have to send; None: nothing. log: is given a line a
    request, without what it says.
    """

    form: Form
    upstream: Upstream
    host: str = "127.0.0.1"
    key: str | None = None
    max_response_tokens: int = 4096
    markers: tuple[str, ...] = requests.MARKERS
    log: Callable[[str], None] = lambda line: None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def app(service: Service) -> web.Application:
    """The server's application; it opens and closes the connections to the upstream itself."""
    made = web.Application()
    server = _Server(service)
    for method, path, answer in (
        ("POST", "/v1/chat/completions", server.complete),
        ("GET", "/v1/models", server.models),
        ("GET", "/health", server.health),
        ("*", "/{other:.*}", server.nothing),
    ):
        made.router.add_route(method, path, _guarded(service, answer))
    made.cleanup_ctx.append(server.running)
    return made


class Room:
    """Room for so many bytes, given in turn: who waits for much is not passed by those who want little."""

    def __init__(self, most: int) -> None:
        self.most = self.free = most
        self._turn, self._freed = asyncio.Lock(), asyncio.Event()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        """Hold room for `size` bytes, once there is; for all bytes if it is more."""
        size = min(size, self.most)
        async with self._turn:
            while self.free < size:
                self._freed.clear()
                await self._freed.wait()
            self.free -= size
        try:
            yield
        finally:
            self.free += size
            self._freed.set()


class _Server:
    def __init__(self, service: Service) -> None:
        self.service, self.spans = service, Spans(service.form)
        self.room = Room(MOST_HELD)
        self.threads = ThreadPoolExecutor(THREADS, "prepare")
        self.begun = int(time.time())

    async def running(self, _: web.Application) -> AsyncIterator[None]:
        async with self.service.upstream:
            yield
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def nothing(self, *_: Any) -> web.StreamResponse:
        what = "there are POST /v1/chat/completions, GET /v1/models and GET /health, and nothing else"
        raise Refused(404, what, code="unknown_url")

    async def health(self, *_: Any) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def models(self, *_: Any) -> web.StreamResponse:
        behind = self.service.upstream
        await behind.look()
        model: dict[str, Any] = {"id": behind.model, "object": "model", "created": self.begun}
        model |= {"owned_by": "longrlvr-data"} | ({"max_model_len": behind.window} if behind.window else {})
        return web.json_response({"object": "list", "data": [model]})

    async def complete(self, request: web.Request, noted: Noted) -> web.StreamResponse:
        if request.content_type != "application/json":
            raise Refused(415, "the request has to be sent as `Content-Type: application/json`")
        if (request.content_length or 0) > MOST_BYTES:
            raise _too_large()
        service = self.service
        await service.upstream.look_again()
        async with self.room.of(_size(request)):
            found = await self._prepared(await _body(request))
        noted["chunks"] = len(found.spans)
        async with service.upstream.request("POST", "/chat/completions", found.payload) as response:
            if found.stream:
                return await self._stream(request, found, response, noted)
            body = await upstream.whole(response)
        read = await asyncio.get_running_loop().run_in_executor(self.threads, self._read, body, found)
        if isinstance(usage := read.get("usage"), dict):
            noted["tokens"] = usage.get("prompt_tokens")
        return web.json_response(read)

    async def _prepared(self, raw: bytes) -> Prepared:
        """A request made ready. One that does not fit the window is looked at again if the upstream has another by now:
        it may have been started anew.
        """
        service, behind = self.service, self.service.upstream
        given = raw, self.spans, behind.model, service.max_response_tokens
        loop, window = asyncio.get_running_loop(), behind.window
        try:
            return await loop.run_in_executor(self.threads, prepare, *given, window, service.markers)
        except Refused as e:
            if e.code != TOO_LONG:
                raise
            await behind.look_again(anyway=True)
            if behind.window == window:
                raise
        return await loop.run_in_executor(self.threads, prepare, *given, behind.window, service.markers)

    def _read(self, raw: bytes, found: Prepared) -> dict[str, Any]:
        body = upstream.completion(raw)
        if refused := self.service.upstream.refusal(body):
            raise refused
        if not found.spans:
            return body
        self.service.upstream.check(found.asked, body.get("usage"))
        return reply.completion(body, found)

    async def _stream(self, request: web.Request, found: Prepared, response: Any, noted: Noted) -> web.StreamResponse:
        if response.content_type != "text/event-stream":
            body = upstream.completion(await upstream.whole(response))
            raise self.service.upstream.refusal(body) or bad_gateway("the model's server does not stream")
        out = web.StreamResponse(headers=EVENTS)
        await out.prepare(request)
        made = stream.chunks(response, found, self.service.upstream) if found.spans else stream.events(response)
        try:
            async with aclosing(made), aclosing(stream.sent(self._noting(made, noted))) as parts:
                async for part in parts:
                    await out.write(part)
            await out.write_eof()
        except ConnectionError:
            noted["error"] = GONE  # of the client: what fails behind is among the parts
        return out

    async def _noting(self, made: AsyncIterator[dict[str, Any]], noted: Noted) -> AsyncIterator[dict[str, Any]]:
        """The chunks; what goes wrong among them, with the upstream's connection, too, is a refusal."""
        try:
            async for chunk in made:
                if isinstance(usage := chunk.get("usage"), dict):
                    noted["tokens"] = usage.get("prompt_tokens")
                yield chunk
        except Refused as e:
            noted["error"] = e.status
            raise
        except (OSError, ClientError) as e:
            noted["error"] = 502
            raise bad_gateway(f"the model's server broke off its reply: {e or type(e).__name__}") from e


def _guarded(service: Service, answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A handler that asks who may ask, tells what goes wrong as OpenAI does, and logs a line a request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        began, noted = time.monotonic(), Noted()
        status = GONE
        try:
            response = await _answered(service, request, answer, noted)
            status = noted.get("error", response.status)
            return response
        finally:
            _log(service, request, status, time.monotonic() - began, noted)

    return handle


async def _answered(service: Service, request: web.Request, answer: Answer, noted: Noted) -> web.StreamResponse:
    try:
        _admit(service, request)
        return await answer(request, noted)
    except Refused as e:
        refused = e
    except ConnectionError:
        raise  # the client's: nobody is left to be told
    except web.RequestPayloadError as e:
        refused = Refused(400, f"the body cannot be read: {e}")
    except Exception as e:
        logging.getLogger(__name__).exception("a request could not be answered")
        refused = Refused(500, f"this server failed: {type(e).__name__}", type="server_error")
    return web.json_response(refused.body, status=refused.status, headers=refused.headers)


def _size(request: web.Request) -> int:
    """Bytes that a request's body has, or may have where its length is not said, or is that of a compressed one."""
    said = None if "Content-Encoding" in request.headers else request.content_length
    return MOST_BYTES if said is None else said


async def _body(request: web.Request) -> bytes:
    """A request's body; unlike `request.read`, which has the request keep it, it leaves it to the caller alone."""
    read = bytearray()
    try:
        async with asyncio.timeout(SLOW):
            async for part in request.content.iter_any():
                read += part
                if len(read) > MOST_BYTES:
                    raise _too_large()
    except TimeoutError:
        raise Refused(408, f"the request did not come in whole within {SLOW:g} s") from None
    return bytes(read)


def _too_large() -> Refused:
    return Refused(413, f"the request is larger than {MOST_BYTES >> 20} MiB")


def _admit(service: Service, request: web.Request) -> None:
    """Raise Refused for who may not ask."""
    if is_loopback(service.host):
        name = request.headers.get("Host", "").rsplit("@", 1)[-1]
        name = name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]
        if name.lower() not in ("localhost", "127.0.0.1", "[::1]", service.host.lower(), f"[{service.host}]"):
            raise Refused(403, "this server answers to the names of its own machine alone, such as localhost")
    if service.key is None or request.path == "/health":
        return
    given = request.headers.get("Authorization", "")
    wanted = f"Bearer {service.key}"
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode()):
        what = "the key is not that of this server: send it as `Authorization: Bearer KEY`"
        raise Refused(401, what, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _log(service: Service, request: web.Request, status: int, seconds: float, noted: dict[str, Any]) -> None:
    parts = [f"{request.method[:16]} {request.path[:60]} {status} {1000 * seconds:,.0f} ms"]
    parts += [f"{noted['chunks']:,} chunks"] if noted.get("chunks") else []
    tokens = noted.get("tokens")
    parts += [f"{tokens:,} prompt tokens"] if isinstance(tokens, int) else []
    service.log(", ".join(parts))
