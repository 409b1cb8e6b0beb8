"""A file that only grows, in a store whose objects can't be appended to.

It is one object, and beside it, in the folder PATH.parts, an object for everything appended since, named by the byte at
which it goes on. Those are written only where there is none yet, never changed, and hold whole lines. `fold` makes one
object of all: it is written before they are removed, and a part of it that is still there begins before its end and
counts for nothing. So whoever reads at any instant finds everything that was acknowledged, each line once, where one
process appends. One that was not heard of for a minute and was taken over (`run/lease.py`) may believe for another ten
seconds that a line of its own counts, although what it goes on from was folded.
"""

from __future__ import annotations

import re
from typing import Any

from datagen import shards, stores
from datagen.errors import RunLocked

PARTS = ".parts"  # ends the name of the folder
_PART = re.compile(r"(.+)\.parts/([0-9]{15})")


def sizes(folder: str) -> dict[str, int]:
    """The files in a folder of such files, in order, each with its length, parts and all."""
    fs, name = stores.find(folder)
    with stores.reached(folder):
        try:
            found: dict[str, Any] = dict(fs.find(name, detail=True))
        except FileNotFoundError:
            return {}
    ends: dict[str, int] = {}
    for path, info in found.items():
        inner = path[len(name.rstrip("/")) + 1 :]
        part = _PART.fullmatch(inner)
        whole, start = (part[1], int(part[2])) if part else (inner, 0)
        ends[whole] = max(ends.get(whole, 0), start + info["size"])
    return {whole: ends[whole] for whole in sorted(ends) if "/" not in whole}


def read(path: str) -> bytes:
    """All that the file holds; b"" where there is none. Bytes that are missing between parts are a line of zeros."""
    return _snapshot(path)[1]


def append(path: str, at: int, data: bytes) -> None:
    """Add whole lines to a file of `at` bytes, durably. Raises RunLocked where another process has gone on from there,
    UserError for what the store refuses: what became of the lines is not known then, but by `read`.
    """
    part = _part(path, at)
    try:
        shards.create(part, data)
    except FileExistsError as e:
        if shards.read_bytes(part) != data:  # else it was written, and its acknowledgement lost
            raise RunLocked(
                f"{path} is written by another process, too: wait for it, or end it, and run the same command again"
            ) from e


def fold(path: str) -> int:
    """Make one object of a file, without what stands after its last line; returns its length. Killed in between, it is
    what it was before.
    """
    starts, data = _snapshot(path)
    lines = data[: data.rfind(b"\n") + 1]
    if starts or len(lines) < len(data):
        shards.write_bytes(path, lines)
        stores.remove_all([_part(path, start) for start in starts])
    return len(lines)


def _part(path: str, start: int) -> str:
    return f"{path}{PARTS}/{start:015d}"


def _snapshot(path: str) -> tuple[list[int], bytes]:
    """Where the parts begin, and all that the file holds."""
    while True:
        starts = sorted(map(int, shards.listing(path + PARTS)))  # before the whole: a part that is gone then is in that
        whole = _whole(path)
        found = _after(path, starts, len(whole))
        if found is not None:
            return starts, whole + found


def _whole(path: str) -> bytes:
    try:
        return shards.read_bytes(path)
    except FileNotFoundError:
        return b""


def _after(path: str, starts: list[int], at: int) -> bytes | None:
    """What the parts hold that begin at a byte, or after it; None where one is gone meanwhile."""
    later = [start for start in starts if start >= at]
    try:
        found = stores.read_all([_part(path, start) for start in later])
    except FileNotFoundError:
        return None
    pieces: list[bytes] = []
    for start, data in zip(later, found, strict=True):
        if start > at:
            pieces.append(b"\0" * (start - at - 1) + b"\n")
        pieces.append(data)
        at = start + len(data)
    return b"".join(pieces)
