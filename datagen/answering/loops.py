"""Running a coroutine from code that may itself be run by an event loop, as a notebook's is, and may be interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What a coroutine returns or raises. It has an event loop in a thread of its own: one may run in this thread
    already, and an interrupt, which is raised wherever this thread is, would end up in a callback of a library's. Here
    it cancels the coroutine, and is raised once that has cleared up.
    """
    done: Future[T] = Future()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []

    async def noted() -> T:
        running.append((asyncio.get_running_loop(), asyncio.current_task()))
        return await work()

    def in_thread() -> None:
        try:
            done.set_result(asyncio.run(noted()))
        except BaseException as e:
            done.set_exception(e)

    thread = Thread(target=in_thread, name="asking", daemon=True)
    thread.start()
    try:
        return done.result()
    except KeyboardInterrupt:
        for loop, task in running:
            if task and not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        thread.join()
