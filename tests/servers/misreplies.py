"""Replies that are none: of another kind of server, cut, without end."""

from __future__ import annotations

import asyncio
import gzip

from aiohttp import web


def garbage() -> web.Response:
    return web.Response(text="<html>It works!</html>", content_type="text/html")


def hung_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()


async def without_end(request: web.Request, fault: str) -> web.StreamResponse:
    """A reply byte by byte, or as fast as it can, or compressed a thousandfold; until the client has enough."""
    headers = {"Content-Type": "application/json"} | ({"Content-Encoding": "gzip"} if fault == "bomb" else {})
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    part = {"drip": b" ", "endless": b" " * 1_000_000, "bomb": gzip.compress(b" " * 50_000_000)}[fault]
    while True:
        await response.write(part)
        await asyncio.sleep(0.05 if fault == "drip" else 0)


async def cut(request: web.Request, payload: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(payload))})
    await response.prepare(request)
    await response.write(payload[: len(payload) // 2])
    if request.transport:
        request.transport.close()
    return response
