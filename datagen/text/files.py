"""An input file, one that is passed over, and what is said when the file system refuses one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from datagen.errors import InputError
from datagen.text.kinds import Compression, How


@dataclass(frozen=True, slots=True)
class File:
    """An input file, or what stands for one: a dataset, or a folder that is one document."""

    path: str  # absolute: what is opened (or the hf:// address)
    name: str  # what rows are named after; the same on every machine
    kind: How
    compression: Compression | None
    what: str = ""  # of a foreign one, in words: what it is, whatever its name says
    help: str = ""  # of a foreign one: what would make it readable
    parts: tuple[File, ...] = ()  # of a folder: its files, in the order of their names
    left_out: tuple[tuple[str, int], ...] = ()  # of a folder: why files are no part of it, and how many


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file of a folder that is not read, or a folder in it, whose name ends in "/". extension: of a kind that is
    known and cannot be read; "locked" of what may not be read; else "". help: what would make it readable, a command.
    remark: what is to be said behind its name.
    """

    name: str
    extension: str = ""
    help: str = ""
    remark: str = ""

    def __str__(self) -> str:
        return self.name + self.remark


def printable(name: str) -> str:
    """A name that can be written as UTF-8, whatever bytes the file system holds."""
    return os.fsencode(name).decode("utf-8", "backslashreplace").replace(os.sep, "/")


@contextmanager
def said(path: str) -> Iterator[None]:
    """Turn what the file system refuses into a sentence: what is wrong with which path, and what to do."""
    shown = path if len(path) <= 200 else f"{path[:200]}…"
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as e:
        raise InputError(f"{shown}: there is no such file or folder; check the path") from e
    except PermissionError as e:
        raise InputError(f"{shown}: permission to read it is denied; change its permissions, or the user") from e
    except (OSError, ValueError) as e:  # ValueError: a NUL character in the path
        raise InputError(f"{shown}: cannot be read: {getattr(e, 'strerror', None) or e}; check the path") from e
