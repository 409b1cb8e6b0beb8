"""The HTTP library that the installed openai speaks through: httpx up to openai 2, httpx2 from 3 on.

Both may be installed, so that what can be imported does not tell. And how large a reply may be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING or int(openai.__version__.split(".")[0]) >= 3:
    import httpx2 as httpx
else:
    import httpx

__all__ = ["TooLarge", "bounded", "httpx"]
MOST_BYTES = 64 << 20  # of a reply: far more than any reply or batch of vectors has


class TooLarge(httpx.HTTPError):
    """A reply over any size that one can have."""


async def bounded(response: httpx.Response) -> None:
    """Refuse a reply that may grow in memory beyond all bounds: one that is compressed, which nobody asked for, or that
    does not end. Raises TooLarge.
    """
    if (encoding := response.headers.get("content-encoding", "identity")) != "identity":
        raise TooLarge(f"the reply is compressed ({encoding[:40]!r}), which was not asked for")
    size = response.headers.get("content-length", "")
    if not size.isdigit():  # it may not end
        response.stream = _Bounded(response.stream)
    elif int(size) > MOST_BYTES:
        raise TooLarge(f"the reply is longer than {MOST_BYTES >> 20} MiB")


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self.stream:
            size += len(part)
            if size > MOST_BYTES:
                raise TooLarge(f"the reply is longer than {MOST_BYTES >> 20} MiB")
            yield part

    async def aclose(self) -> None:
        await self.stream.aclose()
