"""Documents cut into chunks, off the event loop, and kept: a harness asks many questions about one."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from datagen.grounded import Form
from datagen.text.splitter import Span

KEPT = 100_000  # chunks, of all documents together: some 20 MB


class Documents:
    """The chunks of the documents that were asked about last."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.kept: OrderedDict[bytes, asyncio.Future[list[Span]]] = OrderedDict()
        self.threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="splitting")

    async def split(self, text: str) -> list[Span]:
        """The chunks of a text; one that several ask for at once is cut once. Raises as `Form.split` does."""
        loop = asyncio.get_running_loop()
        key = hashlib.sha256(text.encode()).digest()
        if key not in self.kept:
            self.kept[key] = loop.run_in_executor(self.threads, self.form.split, text)
        self.kept.move_to_end(key)
        try:
            spans = await asyncio.shield(self.kept[key])
        except Exception:
            self.kept.pop(key, None)
            raise
        self._forget()
        return spans

    def _forget(self) -> None:
        held = sum(len(each.result()) for each in self.kept.values() if _is_done(each))
        while held > KEPT and len(self.kept) > 1:
            _, oldest = self.kept.popitem(last=False)
            held -= len(oldest.result()) if _is_done(oldest) else 0

    def close(self) -> None:
        """End the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)


def _is_done(future: asyncio.Future[list[Span]]) -> bool:
    return future.done() and not future.cancelled() and not future.exception()
