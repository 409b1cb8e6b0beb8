"""Checksums of the files in a folder, beside them, as `sha256sum` writes and checks them.

A folder without any, which an earlier version wrote, is taken as it is; so are files that are not named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FILE = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


def write(folder: Path) -> None:
    """Write down the checksums of all files in a folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    with ThreadPoolExecutor() as threads:
        lines = [f"{is_now}  {path.name}\n" for path, is_now in zip(files, threads.map(digest, files), strict=True)]
    (folder / FILE).write_text("".join(lines), encoding="utf-8")


def check(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file that checksums were written down of, and what is wrong with it, or nothing; first their own file."""
    place = folder / FILE
    if not place.exists():
        return
    *whole, rest = place.read_bytes().decode(errors="replace").split("\n")
    lines = [_LINE.fullmatch(line) for line in whole]
    yield place, "" if lines and all(lines) and not rest else "it does not hold what was written to it"
    listed = [(folder / line[2], line[1]) for line in lines if line]
    with ThreadPoolExecutor() as threads:
        found = threads.map(lambda pair: digest(pair[0]) if pair[0].is_file() else None, listed)
        for (path, wanted), is_now in zip(listed, found, strict=True):
            wrong = "some of its bytes have changed since it was written" if is_now else "it is missing"
            yield path, "" if is_now == wanted else wrong


def digest(path: Path) -> str:
    """The checksum of a file."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
