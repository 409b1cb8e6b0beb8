"""The endpoint in a thread of this process, in front of the loopback server; and a scripted model that cites."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from datagen import grounded
from datagen.config import model as configs
from datagen.grounding import tags
from datagen.serve import app
from datagen.serve.upstream import Upstream

FORM = grounded.form(configs.load(None, {"chunk.max_tokens": 32}))
_ASKED = re.compile(r"Here is a question about this document:\n\n(.*?)\n\nStart by thinking", re.DOTALL)


class Endpoint:
    """Where it is, and the lines that it logged."""

    def __init__(self) -> None:
        self.url, self.log = "", []


def cites(body: dict[str, Any]) -> str:
    """Answers with the secret that the document holds, and cites the chunk that holds it."""
    content = body["messages"][-1]["content"]
    chunks = tags.read_context(content)
    at = next(i for i, chunk in enumerate(chunks) if "secret is" in chunk)
    found = re.search(r"secret is (\S+?)\.", chunks[at])
    assert found
    return tags.render_response([at], found[1], "I looked for the secret.")


def asked(body: dict[str, Any]) -> str:
    """The question that the model was asked."""
    found = _ASKED.search(body["messages"][-1]["content"])
    assert found
    return found[1]


def document(secret: str) -> str:
    lines = [f"Line {i} of the book says that nothing of any note took place here." for i in range(20)]
    lines[13] = f"But the secret is {secret}."
    return "\n\n".join(lines)


def chat(secret: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"{document(secret)}\n\nWhat is the secret?"}], **more}


@contextmanager
def serving(
    upstream: str,
    *,
    marker: str | None = None,
    key: str | None = None,
    room: int = 4096,
    timeout: float = 30,
    look: bool = False,
    wrap: Callable[[app.Service], None] = lambda service: None,
) -> Iterator[Endpoint]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="endpoint", daemon=True)
    thread.start()
    endpoint = Endpoint()

    async def start() -> web.AppRunner:
        behind = Upstream(upstream, "scripted", None, timeout)
        if look:
            await behind.look()
        settings = app.Settings(marker, room, key, app.hosts("127.0.0.1"))
        service = app.Service(settings, FORM, behind, endpoint.log.append)
        wrap(service)
        runner = web.AppRunner(service.application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield endpoint
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
