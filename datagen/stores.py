"""Where an address is kept, by fsspec: on this machine's disk, or in an object store. What a store says when it refuses
becomes a sentence with the way on.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from datagen.errors import UserError, reason

CLIENTS = {"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google"}  # packages with errors that are no OSError
BLOCK = 4 << 20  # bytes
EXTRAS = {"s3": "s3", "s3a": "s3"}  # our extra that brings what a protocol needs


def find(path: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of an address, and its name there. Raises UserError for what is no address."""
    try:
        path.encode()
        if "::" in path:
            raise ValueError("'::' would chain file systems")
        # A listing that was kept would not tell of what another process has written since.
        return fsspec.core.url_to_fs(path, use_listings_cache=False)
    except (ValueError, ImportError) as e:  # UnicodeEncodeError among them: a name that is not UTF-8
        if isinstance(e, ImportError) and (extra := EXTRAS.get(path.partition("://")[0])):
            raise UserError(f"{path} needs another package: pip install 'longrlvr-data[{extra}]'") from e
        why = "its name is not UTF-8" if isinstance(e, UnicodeEncodeError) else e
        raise UserError(f"{path}: not an address that can be used: {why}. Choose another --output-dir") from e


def is_local(path: str) -> bool:
    """Whether an address is on this machine's disk."""
    return isinstance(find(path)[0], LocalFileSystem)


def refuses(e: BaseException) -> bool:
    """Whether an error is the system's or the store's: it says nothing against what is kept there."""
    if isinstance(e, OSError):
        return bool(e.errno) or isinstance(e, (PermissionError, TimeoutError, ConnectionError))
    return type(e).__module__.partition(".")[0] in CLIENTS


@contextmanager
def reached(path: str) -> Iterator[None]:
    """Turn what a store refuses into a UserError. What a disk says, and that a file is not there, stays as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as e:
        if not refuses(e) or is_local(path):
            raise
        raise refused(path, e) from e


def ls(folder: str) -> list[str]:
    """The names, at a store, of what is right in a folder. One that is not there holds nothing."""
    fs, name = find(folder)
    with reached(folder):
        try:
            return [found for found in fs.ls(name, detail=False) if found.rstrip("/") != name.rstrip("/")]
        except FileNotFoundError:
            return []


def opened(fs: fsspec.AbstractFileSystem, name: str) -> Any:
    """An object to be read here and there: by blocks, and a small one, as shards are, at once."""
    return fs.open(name, "rb", block_size=BLOCK, cache_type="blockcache")


def fetch(path: str, to: Path) -> None:
    """Copy an object to this machine's disk. Raises UserError for what the store refuses."""
    fs, name = find(path)
    with reached(path):
        fs.get_file(name, str(to))


def read_all(paths: list[str]) -> list[bytes]:
    """What some objects of one store hold, read at once. Raises FileNotFoundError where one is not there."""
    if not paths:
        return []
    fs, nothing = find(paths[0])[0], [None] * len(paths)
    with reached(paths[0]):
        return fs.cat_ranges([find(path)[1] for path in paths], nothing, nothing, on_error="raise")


def remove_all(paths: list[str]) -> None:
    """Remove some objects of one store. Raises UserError where it refuses."""
    if paths:
        with reached(paths[0]):
            find(paths[0])[0].rm([find(path)[1] for path in paths])


def move(source: str, target: str) -> None:
    """Move a folder in a store, object by object, those right in it last: they tell what the others are. Of a move that
    was killed, none of them is there. Raises what the store does.
    """
    fs, name = find(source)
    there = find(target)[1]
    inner = [path[len(name) :] for path in fs.find(name)]
    for path in sorted(inner, key=lambda path: (-path.strip("/").count("/"), path)):
        fs.cp_file(name + path, there + path)
    fs.rm(name, recursive=True)


def refused(path: str, e: Exception) -> UserError:
    """What a store refused, as a sentence with the way on."""
    bucket = "/".join(path.split("/")[:3])
    again = "run the same command again: what is finished is kept"
    if "Credential" in type(e).__name__:
        how = ", such as\n  export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…\nor AWS_PROFILE" * bucket.startswith(
            "s3"
        )
        return UserError(f"{path}: no credentials for the store ({reason(e)}). Set them{how}, and {again}")
    if isinstance(e, FileNotFoundError):
        made = f": aws s3 mb {shlex.quote(bucket)}" if bucket.startswith("s3") else ""
        return UserError(f"{path}: cannot be written: {reason(e)}. Check the name, or make {bucket}{made}")
    if isinstance(e, PermissionError):
        return UserError(
            f"{path}: the store denies access: {reason(e)}. Give these credentials the right to list, read, write and "
            f"delete in {bucket}, and {again}"
        )
    return UserError(f"{path}: the store does not do as asked: {reason(e)}. Once it does, {again}")
