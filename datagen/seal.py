"""The seal of a parquet file: checksums of its data and of its footer, in the footer itself.

Both are blake2b, in hex. The second is of the footer with zeros in its own place. A file without a seal, which an
earlier version wrote, is taken as it is.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, BinaryIO

_HEX = 32
_SEAL = re.compile(rb"longrlvr-seal=(.{32})(.{32})", re.DOTALL)
_BLOCK = 1 << 20
_KEY = "longrlvr.seal"
UNSEALED = {_KEY: f"longrlvr-seal={'0' * 2 * _HEX}"}  # what a writer puts into the footer


def seal(file: BinaryIO) -> None:
    """Seal a whole parquet file that is open for reading and writing."""
    start, footer = _footer(file)
    match = _found(footer)
    assert match, "the writer put no room for a seal into the footer"
    footer = footer[: match.start(1)] + _digest_to(file, start) + b"0" * _HEX + footer[match.end() :]
    footer = footer[: match.start(2)] + _digest(footer) + footer[match.end() :]
    file.seek(start)
    file.write(footer)
    file.seek(0, 2)


def check(file: Any, whole: bool) -> None:
    """Check the seal of a file open for reading, if it has one: that of its footer, and if `whole`, of its data.

    Raises ValueError where bytes have changed, and where it is no parquet file.
    """
    start, footer = _footer(file)
    match = _found(footer)
    if match:
        blank = footer[: match.start(2)] + b"0" * _HEX + footer[match.end() :]
        if _digest(blank) != match[2] or (whole and _digest_to(file, start) != match[1]):
            raise ValueError("some of its bytes have changed since it was written")
    file.seek(0)


def _footer(file: Any) -> tuple[int, bytes]:
    """Where the footer begins, and its bytes, to the end of the file."""
    size = file.seek(0, 2)
    size = file.tell() if size is None else size
    if size < 12:
        raise ValueError(f"it has {size} bytes")
    file.seek(size - 8)
    tail = bytes(file.read(8))
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - 12:
        raise ValueError("it is no parquet file, or not whole")
    file.seek(size - 8 - length)
    return size - 8 - length, bytes(file.read(length + 8))


def _found(footer: bytes) -> re.Match[bytes] | None:
    """The last one: a text among the statistics may look like it. None in a file that was never sealed."""
    found = max(_SEAL.finditer(footer), key=re.Match.start, default=None)
    if found is None and _KEY.encode() in footer:
        raise ValueError("its seal is broken")
    return found


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_HEX // 2).hexdigest().encode()


def _digest_to(file: Any, end: int) -> bytes:
    """The digest of the first `end` bytes."""
    digest = hashlib.blake2b(digest_size=_HEX // 2)
    file.seek(0)
    while end > 0:
        block = file.read(min(_BLOCK, end))
        if not block:
            raise ValueError("it is not whole")
        digest.update(block)
        end -= len(block)
    return digest.hexdigest().encode()
