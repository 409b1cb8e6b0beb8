"""A loopback server that speaks OpenAI's chat completions, embeddings and batch API, with the faults of real ones.

In a test:        with serve(Settings(faults=("429", "reset"), fault_rate=0.1)) as server: … server.url, server.stats
From a shell:     python -m tests.servers.openai_server --port 0 --slots 256 --latency 2   (prints its address first)

All that is drawn (latency, faults) depends on the seed, the payload and how often it was asked before, and on nothing
else: the order in which requests arrive does not matter.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import partial
from typing import Any

from aiohttp import web

from . import embeddings, misreplies
from .batches import Batches
from .faults import ERRORS, FAULTS, MARRED, applies, marred, usage
from .settings import Body, Settings, Stats

CHARS_PER_TOKEN = 4

Make = Callable[[Body, str, int, str | None], Body]  # of a body, its hash, how often it was asked before, a fault


class Server:
    """Lives in one event loop; `serve` gives it one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stats = Stats()
        self.dead = False
        self.url = ""
        self._slots = asyncio.Semaphore(settings.slots)
        self._prefixes: OrderedDict[int, None] = OrderedDict()
        self._log = (
            os.open(settings.answered_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if settings.answered_log else -1
        )
        self._listener: asyncio.Server | None = None
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/chat/completions", self._asked(self._completion))
        app.router.add_post("/v1/embeddings", self._asked(self._embeddings))
        app.router.add_get("/v1/models", self._guarded(self._models))
        app.router.add_get("/stats", self._show_stats)
        for path, says in settings.native.items():
            app.router.add_get(path, self._guarded(partial(_said, says)))
        if settings.has_batches:
            for method, path, handler in Batches(settings, self.stats, self.row).routes():
                app.router.add_route(method, path, self._guarded(handler))
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def start(self) -> None:
        await self._runner.setup()
        server: Any = self._runner.server
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(server, "127.0.0.1", self.settings.port, backlog=4096)
        self.url = f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/v1"

    async def stop(self) -> None:
        self.die()
        await self._runner.cleanup()
        if self._log >= 0:
            os.close(self._log)

    def die(self) -> None:
        """From one moment to the next: nobody listens, and every connection is gone."""
        self.dead = True
        if self._listener:
            self._listener.close()
        for connection in list(getattr(self._runner.server, "connections", ())):
            if connection.transport:
                connection.transport.abort()

    def row(self, body: Body) -> tuple[int, Any]:
        """(status, reply) for a line of a batch."""
        key, asked, fault = self._receive(body)
        if fault in ERRORS:
            return ERRORS[fault]
        if fault and fault not in MARRED:
            return ERRORS["500"]
        self.stats.answered[key] += 1
        return 200, self._completion(body, key, asked, fault)

    def _asked(self, make: Make) -> Any:
        """A handler that replies with what is made of a request's body."""

        async def handle(request: web.Request) -> web.StreamResponse:
            stats = self.stats
            stats.requests += 1
            stats.in_flight += 1
            stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
            try:
                if refused := self._refused(request):
                    return refused
                try:
                    body = json.loads(await request.read())
                except ValueError:
                    return self._error(request, "400")
                return await self._answer(request, body, make)
            finally:
                stats.in_flight -= 1

        return handle

    async def _answer(self, request: web.Request, body: Body, make: Make) -> web.StreamResponse:
        key, asked, fault = self._receive(body)
        if fault == "hang":
            await asyncio.Event().wait()
        if fault in ERRORS:
            return self._error(request, fault)
        if self.settings.overflow == "429" and self._slots.locked():
            return self._error(request, "429")
        async with self._slots:
            self.stats.busy += 1
            self.stats.max_busy = max(self.stats.max_busy, self.stats.busy)
            try:
                if seconds := self.latency(key, asked):
                    await asyncio.sleep(seconds)
            finally:
                self.stats.busy -= 1
        if fault == "reset":
            return misreplies.hung_up(request)
        if fault == "garbage":
            return misreplies.garbage()
        if fault == "redirect":
            return web.Response(status=307, headers={"Location": self.settings.elsewhere + request.path})
        if fault in ("drip", "endless", "bomb"):
            return await misreplies.without_end(request, fault)
        made = make(body, key, asked, fault)
        if body.get("stream"):
            return await self._stream(request, key, made, breaks_off=fault == "cut")
        payload = json.dumps(made).encode()
        if fault == "cut":
            return await misreplies.cut(request, payload)
        response = web.Response(body=payload, content_type="application/json")
        await response.prepare(request)
        await response.write_eof()
        self._sent(request, key)
        return response

    async def _stream(self, request: web.Request, key: str, made: Body, breaks_off: bool) -> web.StreamResponse:
        """A completion as server-sent events, a word each; one that breaks off does so half way."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        head = {name: made[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        choice = made["choices"][0]
        words = (choice["message"].get("content") or "").split(" ")
        deltas = [{k: v} for k, v in choice["message"].items() if k.startswith("reasoning")]
        deltas += [{"content": word if i == 0 else f" {word}"} for i, word in enumerate(words)]
        if breaks_off:
            deltas = deltas[: len(deltas) // 2]
        for delta in deltas:
            await response.write(_event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
        if breaks_off:
            if request.transport:
                request.transport.close()
            return response
        end = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
        await response.write(_event(head | {"choices": [end]}))
        await response.write(_event(head | {"choices": [], "usage": made["usage"]}) + b"data: [DONE]\n\n")
        await response.write_eof()
        self._sent(request, key)
        return response

    def _sent(self, request: web.Request, key: str) -> None:
        if self.dead or request.transport is None or request.transport.is_closing():
            return
        self.stats.answered[key] += 1
        if self._log >= 0:
            os.write(self._log, f"{key}\n".encode())
        if self.settings.die_after and self.stats.answered.total() >= self.settings.die_after:
            request.transport.close()  # this one reply is on its way
            self.die()

    def _receive(self, body: Body) -> tuple[str, int, str | None]:
        """(hash, how often it was asked before, fault) of a payload."""
        key = payload_hash(body)
        asked = self.stats.received[key]
        self.stats.received[key] += 1
        fault = self.fault(body, key, asked)
        if fault:
            self.stats.faults[fault] += 1
        return key, asked, fault

    def fault(self, body: Body, key: str, asked: int) -> str | None:
        faults = self.settings.faults
        if callable(faults):
            name = faults(body, asked)
            assert name is None or name in FAULTS | embeddings.MARRED, name
        else:
            rate = self.settings.fault_rate
            at = self._draw("fault", key, asked)
            name = faults[int(at / rate * len(faults))] if faults and at < rate else None
        return name if name and applies(name, body) else None

    def latency(self, key: str, asked: int) -> float:
        """Seconds until a payload is answered."""
        mean, spread = self.settings.latency, self.settings.spread
        return mean * (1 + spread * (2 * self._draw("latency", key, asked) - 1)) if spread else mean

    def _draw(self, what: str, key: str, asked: int) -> float:
        """Uniform in [0, 1)."""
        seed = f"{self.settings.seed}:{what}:{key}:{asked}".encode()
        return (int.from_bytes(hashlib.sha256(seed).digest()[:8], "big") >> 11) / (1 << 53)  # all that a float can tell

    def _completion(self, body: Body, key: str, asked: int, fault: str | None) -> Body:
        body = self._read(body)
        text = self.settings.reply if isinstance(self.settings.reply, str) else self.settings.reply(body)
        choices = marred(fault, text)
        said = sum(len(part or "") for c in choices for k, part in c["message"].items() if k != "role")
        prompt, cached = self._prompt_tokens(body)
        if not self.settings.counts_cached:
            prompt, cached = prompt - cached, 0
        completion = said // CHARS_PER_TOKEN + 1
        return {
            "id": f"chatcmpl-{key[:16]}{asked}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self.settings.answers_as or body.get("model", self.settings.model),
            "choices": choices,
            "usage": usage(fault, prompt, cached, completion),
        }

    def _embeddings(self, body: Body, key: str, asked: int, fault: str | None) -> Body:
        return embeddings.reply(body, fault)

    def _read(self, body: Body) -> Body:
        """What the window leaves of a request."""
        window, total = self.settings.window, sum(len(m.get("content") or "") for m in body.get("messages") or [])
        if window is None or total // CHARS_PER_TOKEN + 1 <= window:
            return body
        last = body["messages"][-1]
        return body | {"messages": [last | {"content": last["content"][-(window // 2) * CHARS_PER_TOKEN :]}]}

    def _prompt_tokens(self, body: Body) -> tuple[int, int]:
        """(all, those found in the cache). The cache knows how recent prompts begin."""
        messages = body.get("messages") or []
        total = sum(len(m.get("content") or "") for m in messages) // CHARS_PER_TOKEN + 1
        first = next((m["content"] for m in messages if m.get("role") == "user"), "")
        if not isinstance(first, str) or len(first) < self.settings.prefix:
            return total, 0
        prefix = hash(first[: self.settings.prefix])
        hit = prefix in self._prefixes
        self._prefixes[prefix] = None
        self._prefixes.move_to_end(prefix)
        if len(self._prefixes) > self.settings.cached_prompts:
            self._prefixes.popitem(last=False)
        return total, self.settings.prefix // CHARS_PER_TOKEN if hit else 0

    def _refused(self, request: web.Request) -> web.Response | None:
        authorization = request.headers.get("Authorization", "")
        self.stats.authorizations[authorization] += 1
        self.stats.headers.update(request.headers.keys())
        if self.settings.api_key is None or authorization == f"Bearer {self.settings.api_key}":
            return None
        return self._error(request, "401")

    def _guarded(self, handler: Any) -> Any:
        """A handler behind what may go wrong before it: the key, and `api_faults`."""

        async def handle(request: web.Request) -> web.StreamResponse:
            resource: Any = request.match_info.route.resource
            call = f"{request.method} {resource.canonical}"
            fault = self.settings.api_faults(call, self.stats.calls[call])
            self.stats.calls[call] += 1
            if refused := self._refused(request):
                return refused
            if fault == "reset":
                return misreplies.hung_up(request)
            if fault == "garbage":
                return misreplies.garbage()
            return self._error(request, fault) if fault else await handler(request)

        return handle

    def _error(self, request: web.Request, fault: str) -> web.Response:
        status, body = ERRORS[fault]
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html")
        headers = {}
        if fault == "429":
            headers["Retry-After"] = f"{self.settings.retry_after:g}"
        elif fault == "429 date":
            headers["Retry-After"] = formatdate(time.time() + self.settings.retry_after, usegmt=True)
        elif fault == "401":  # OpenAI repeats the key, too
            key = request.headers.get("Authorization", "").removeprefix("Bearer ")
            message = f"Incorrect API key provided: {key}."
            body = {"error": body["error"] | {"message": message}}
        return web.json_response(body, status=status, headers=headers)

    async def _models(self, request: web.Request) -> web.Response:
        model = {"id": self.settings.model, "object": "model", "created": 0, "owned_by": "tests"} | self.settings.says
        return web.json_response({"object": "list", "data": [model]})

    async def _show_stats(self, request: web.Request) -> web.Response:
        answered = {"answered_total": self.stats.answered.total(), "answered_twice": self.stats.answered_twice}
        return web.json_response(vars(self.stats) | answered)


def payload_hash(body: Body) -> str:
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


async def _said(says: Body, request: web.Request) -> web.Response:
    return web.json_response(says)


def _event(chunk: Body) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


@contextmanager
def serve(settings: Settings | None = None) -> Iterator[Server]:
    """A server in a thread of this process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server", daemon=True)
    thread.start()

    def wait_for(coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)

    server = Server(settings or Settings())
    try:
        wait_for(server.start())
        yield server
    finally:
        wait_for(server.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("port", "slots", "seed", "die-after", "cached-prompts", "batch-polls"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("latency", "spread", "fault-rate", "retry-after"):
        parser.add_argument(f"--{name}", type=float)
    for name in ("overflow", "reply", "model", "answered-log", "api-key"):
        parser.add_argument(f"--{name}")
    for name in ("faults", "batch-faults"):
        parser.add_argument(f"--{name}", type=lambda text: tuple(part or None for part in text.split(",")))
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    if given.get("reply") == "scripted":
        del given["reply"]

    async def run() -> None:
        server = Server(Settings(**given))
        await server.start()
        print(server.url, flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
