"""Listening until the process is asked to end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from aiohttp import web

from datagen import signals
from datagen.errors import UserError
from datagen.serve.app import Service

PATIENCE = 5.0  # seconds that requests under way have when it is to end


def listen(service: Service, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests that are under way are then given a few seconds.

    started: is told the address once clients can connect. Raises UserError where it cannot listen there.
    """
    asyncio.run(_listen(service, host, port, started))


async def _listen(service: Service, host: str, port: int, started: Callable[[str], None]) -> None:
    unsaid = await service.upstream.look()
    runner = web.AppRunner(service.application(), access_log=None, handler_cancellation=True, shutdown_timeout=PATIENCE)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as e:
            raise UserError(f"{host}:{port}: cannot listen there: {e.strerror or e}. Choose another --port") from e
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in signals.polite():
            with contextlib.suppress(NotImplementedError):  # of systems without such signals
                loop.add_signal_handler(number, ended.set)
        if unsaid:
            service.log(f"{service.upstream.base_url} does not answer yet: {unsaid}")
        started(_address(runner.addresses[0]))
        await ended.wait()
    finally:
        await runner.cleanup()


def _address(name: tuple) -> str:
    host, port = name[:2]
    return f"http://{f'[{host}]' if _is_v6(host) else host}:{port}/v1"


def _is_v6(host: str) -> bool:
    with contextlib.suppress(OSError):
        socket.inet_pton(socket.AF_INET6, host)
        return True
    return False
