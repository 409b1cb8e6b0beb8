"""Who waits for a completion: also what a conversation began and did not wait for, which would go on asking."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Askers:
    """The tasks, of one event loop, that wait for a completion."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within, this task is one of them. Raises CancelledError once they were cancelled."""
        if self._ended:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task, "only a task can wait"
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)

    async def cancel(self) -> None:
        """Cancel those that are left, and return once they have ended. Nobody asks any more from here on."""
        self._ended = True
        while tasks := list(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def end_others() -> None:
    """Cancel all other tasks of this event loop, and return once they have ended."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
