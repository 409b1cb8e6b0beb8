"""A server in front of a loopback upstream, and a scripted model that tells whose request it answers."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from datagen import grounded
from datagen.config.model import Config
from datagen.grounding import tags
from datagen.serve.app import Service, app
from datagen.serve.upstream import Upstream

FORM = grounded.form(Config(chunk={"max_tokens": 64}))  # pyright: ignore[reportArgumentType]
WORDS = "river stone harbour lantern orchard winter market letter bridge copper meadow sailor".split()  # noqa: SIM905


def document(seed: int, paragraphs: int = 24) -> str:
    """A text of some thousand characters, with one fact of its own, which is in one paragraph."""
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=24)).capitalize() + "." for _ in range(paragraphs)]
    texts[draw.randrange(paragraphs)] += f" The keeper's code is {code(seed)}."
    return "\n\n".join(texts)


def code(seed: int) -> str:
    return f"K{seed:05d}-{random.Random(seed).randrange(10**6):06d}"


def prompt_of(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def finder(body: dict[str, Any]) -> str:
    """What a trained model would say: the code that stands in the prompt, and the chunk that holds it."""
    if "<CHUNK_0>" not in prompt_of(body):
        return f"You said: {prompt_of(body)}"
    chunks = tags.read_context(prompt_of(body))
    for i, chunk in enumerate(chunks):
        if found := re.search(r"code is (K\d+-\d+)", chunk):
            return tags.render_response([i], found[1], f"Chunk {i} speaks of the keeper.")
    return tags.render_response([0], "not stated", "Nothing is said of it.")


@contextmanager
def serving(upstream: str, model: str = "scripted", timeout: float = 20.0, **given: Any) -> Iterator[str]:
    """The address of a server in front of an upstream, in a thread of its own."""
    behind = Upstream(upstream, model, given.pop("upstream_key", None), timeout)
    with listening(app(Service(FORM, behind, **given))) as url:
        yield url


@contextmanager
def upstream_of(handle: Any) -> Iterator[str]:
    """The address of an upstream with one handler."""
    made = web.Application(client_max_size=1 << 30)
    made.router.add_post("/v1/chat/completions", handle)
    with listening(made) as url:
        yield url


@contextmanager
def listening(application: web.Application) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)

    async def start() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/v1"

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
