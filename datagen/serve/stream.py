"""A streamed reply: reasoning as it is written, the answer once the response is whole.

Only a whole response tells whether its answer is one: a second section would make it unreadable.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp

from datagen.grounding.prose import Prose
from datagen.serve import reply
from datagen.serve.errors import Refused, bad_gateway
from datagen.serve.prepare import Prepared
from datagen.serve.upstream import MOST_BYTES, Upstream

KEEP_ALIVE = 10.0  # seconds without anything sent, after which a comment is
DONE = b"data: [DONE]\n\n"
STILL_HERE = b": keep-alive\n\n"


class Reasoning:
    """A response as it comes, of which the text before the first section can be told at once."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.apart: list[str] = []  # the thinking, where the upstream sends it by itself
        self.prose, self.blank, self.told = Prose(), "", False

    def add(self, text: str) -> str:
        """What is certain to be reasoning, and was not told before; white space around it belongs to nothing."""
        self.parts.append(text)
        return self._told(self.prose(text))

    def end(self) -> str:
        """What is left to tell when the response has ended: what might have begun a tag, and did not."""
        return self._told(self.prose.end())

    def _told(self, said: str) -> str:
        said = self.blank + said
        said = said if self.told else said.lstrip()
        end = len(said.rstrip())
        said, self.blank = said[:end], said[end:]
        said = f"\n\n{said}" if said and self.apart and not self.told else said
        self.told = self.told or bool(said)
        return said

    @property
    def text(self) -> str:
        """The whole so far."""
        return "".join(self.parts)


async def events(response: aiohttp.ClientResponse) -> AsyncGenerator[dict[str, Any], None]:
    """The chunks of an upstream's stream, until it says that it is done. Raises Refused if it breaks off before."""
    buffered, size = b"", 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MOST_BYTES:
            raise bad_gateway(f"the reply of the model's server is longer than {MOST_BYTES >> 20} MiB")
        *lines, buffered = (buffered + part).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            try:
                found = json.loads(data)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                raise bad_gateway("the model's server sent a chunk that is no JSON")
            yield found
    raise bad_gateway("the model's server broke off its reply")


async def chunks(
    response: aiohttp.ClientResponse, prepared: Prepared, upstream: Upstream
) -> AsyncGenerator[dict[str, Any], None]:
    """The client's chunks. Raises Refused where the upstream's reply is none, or of a prompt that was cut."""
    head: dict[str, Any] = {}
    heard: dict[int, Reasoning] = {}
    ends: dict[int, Any] = {}
    usage: Any = None

    def chunk(index: int, delta: dict[str, Any], finish: Any = None, **more: Any) -> dict[str, Any]:
        return head | {"choices": [{"index": index, "delta": delta, "finish_reason": finish, **more}]}

    async for event in events(response):
        if refused := upstream.refusal(event):
            raise refused
        head = head or {k: v for k, v in event.items() if k in ("id", "created", "model", "system_fingerprint")}
        head |= {"object": "chat.completion.chunk"}
        usage = event.get("usage") or usage
        choices = event.get("choices") or []
        for choice in choices if isinstance(choices, list) else [None]:
            if not isinstance(choice, dict) or not isinstance(index := choice.get("index", 0), int):
                raise bad_gateway("the model's server sent a choice without a number")
            if index not in heard:
                heard[index] = Reasoning()
                yield chunk(index, {"role": "assistant", "content": ""})
            delta = choice["delta"] if isinstance(choice.get("delta"), dict) else {}
            if said := reply.reasoning_of(delta):
                heard[index].apart.append(said)
            if isinstance(text := delta.get("content"), str) and text:
                said += heard[index].add(text)
            if said:
                yield chunk(index, {"reasoning_content": said})
            if choice.get("finish_reason"):
                ends[index] = choice["finish_reason"]
    if not heard or heard.keys() != ends.keys():
        raise bad_gateway("the model's server broke off its reply")
    upstream.check(prepared.asked, usage)
    for index in sorted(heard):
        if rest := heard[index].end():
            yield chunk(index, {"reasoning_content": rest})
        answer = await asyncio.to_thread(reply.read, heard[index].text, prepared, "".join(heard[index].apart))
        if text := reply.content(answer, prepared.stop):
            yield chunk(index, {"content": text})
        found = reply.told(answer)
        more = {"longrlvr": found}
        yield chunk(index, {"annotations": reply.cited(answer)}, None) | {"longrlvr": reply.about(prepared) | found}
        yield chunk(index, {}, ends[index], **more)
    if prepared.include_usage:
        yield head | {"choices": [], "usage": usage}


async def sent(made: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
    """Chunks as server-sent events, with comments while none comes. An error is the last event."""
    coming: asyncio.Future[Any] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(made, None))  # pyright: ignore[reportArgumentType]
            done, _ = await asyncio.wait({coming}, timeout=KEEP_ALIVE)
            if not done:
                yield STILL_HERE
                continue
            found, coming = coming.result(), None
            if found is None:
                break
            yield _event(found)
        yield DONE
    except Refused as e:
        yield _event(e.body)
    finally:
        if coming:
            coming.cancel()
            await asyncio.wait({coming})  # only then can what makes the chunks be closed


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()
