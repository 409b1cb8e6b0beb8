"""Standard input as an input file: a copy in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from datagen import shards
from datagen.errors import InputError
from datagen.text import sources
from datagen.text.files import File
from datagen.text.kinds import How

NAMES: dict[str, How] = {"stdin.jsonl": "jsonl", "stdin.txt": "text"}  # of a copy, and how it is read
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PAR1": "parquet", b"%PDF": "PDF"}  # what begins so


def spool(stream: BinaryIO, into: Path) -> File:
    """Copy standard input into the folder `into`, as `stdin.jsonl` if it starts with `{`, else `stdin.txt`.

    The file appears whole or not at all, and takes the place of one copied earlier. `find` on it gives the same File,
    so that a later run reads the copy under the same names.
    Raises InputError when there is nothing in it, it breaks off, or holds bytes of a kind that must be unpacked first;
    UserError when the copy cannot be written.
    """
    with shards.writing(str(into)):
        into.mkdir(parents=True, exist_ok=True)
    partial, head = into / f".stdin{shards.UNFINISHED}", b""
    try:
        with shards.writing(str(into)), open(partial, "wb") as out:
            for block in _blocks(stream):
                # Blanks, and what a byte order mark and UTF-16 put around the first character.
                head = head or block.lstrip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe")[:4]
                if packed := next((kind for magic, kind in PACKED.items() if head.startswith(magic)), None):
                    raise InputError(f"Standard input is {packed} data: unpack it first, or give the file's path")
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
            if not out.tell():
                raise InputError("Standard input is empty; there is nothing to read")
        name, other = NAMES if head.startswith(b"{") else reversed(NAMES)
        os.replace(partial, into / name)
        (into / other).unlink(missing_ok=True)
    finally:
        partial.unlink(missing_ok=True)
    return File(os.path.abspath(into / name), name, NAMES[name], None)


def spooled(folder: Path, path: str) -> str | None:
    """The copy of standard input in this folder, if `path` is where one was, here or before the run was moved."""
    was, here = Path(path), folder / Path(path).name
    is_one = was.name in NAMES and was.parent.name == folder.name and here.is_file()
    return os.path.abspath(here) if is_one else None


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    try:
        while block := stream.read(sources.BLOCK):
            yield block
    except OSError as e:
        raise InputError(f"Standard input broke off: {e}") from e
