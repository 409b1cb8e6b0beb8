"""The files of a folder: which are read and how, which are passed over; and a folder that is one document."""

from __future__ import annotations

import errno
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from datagen.config.data import InputConfig
from datagen.errors import InputError
from datagen.run import identity, lock
from datagen.run.tables import TABLES
from datagen.text import kinds, sniff
from datagen.text.files import File, PassedOver, printable, said
from datagen.text.kinds import How

_NO_EXTENSION = re.compile(
    r"\.\d*|\..*\s.*"
)  # of "notes 1.2" and "Vol. one": what stands behind the dot is a name's end
_TOLD = frozenset({"pdf", "docx", "epub", "parquet", "foreign"})  # what first bytes tell for certain


@dataclass(slots=True)
class _Found:
    files: list[File] = field(default_factory=list)
    passed: list[PassedOver] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def files(folder: str, settings: InputConfig) -> tuple[list[File], list[PassedOver]]:
    """The files of a folder, sorted by name, and those passed over; with `input.folder_is_document` one, which has them
    as its parts.

    It is searched to its depths, through links. Hidden files and folders are skipped without a word; passed over are
    files of an unknown kind, of one that cannot be read, what systems and editors leave behind, run directories, and
    what may not be read, be it a file or a folder. Raises InputError where the folder itself cannot be read.
    """
    found = _Found()
    for path, name, what in _walk(folder):
        if what == "run":
            found.passed.append(PassedOver(printable(name), remark="/ (a run directory)"))
        elif what in ("locked", "too long"):
            found.passed.append(_refused(what, path, f"{printable(name)}/"))
        elif what == "other":
            gone = "" if os.path.exists(path) else " (a link to nothing)"
            found.passed.append(PassedOver(printable(name), remark=gone))
        else:
            try:
                _add(found, path, printable(name), settings)
            except InputError as e:
                if not (why := _refusal(e)):
                    raise
                found.passed.append(_refused(why, path, printable(name)))
    found.files.sort(key=lambda file: file.name)
    found.passed.sort(key=str)
    if settings.folder_is_document and found.files:
        name = printable(os.path.basename(folder) or "folder")
        left_out = tuple(sorted(found.left_out.items()))
        whole = File(folder, name, "folder", None, parts=tuple(found.files), left_out=left_out)
        return [whole], found.passed
    return found.files, found.passed


def is_run(folder: str) -> bool:
    """Whether it is a run directory, be it that of the run that is asking."""
    if any(os.path.isfile(os.path.join(folder, stage, identity.FILE)) for stage in TABLES):
        return True
    with suppress(OSError), os.scandir(folder) as entries:  # one that was begun, and has no stage yet
        return any(entry.name.startswith(lock.LOCK) and entry.name.endswith("-owner") for entry in entries)
    return False


def classified(path: str, name: str, settings: InputConfig, alone: bool = False) -> File | PassedOver:
    """What a file is: by its name, unless its first bytes say otherwise.

    alone: it was given by itself, so it counts whatever it is called. Raises InputError where it cannot be opened.
    """
    extension, compression = kinds.ending(name)
    extension = "" if _NO_EXTENSION.fullmatch(extension) else extension
    if kinds.is_junk(name) and not alone:
        return PassedOver(name)
    if settings.extensions and extension not in settings.extensions:
        return PassedOver(name)
    how = kinds.how(name)
    if how is None and (settings.extensions and extension not in kinds.UNREADABLE):
        how = "text"
    with said(path), open(path, "rb") as stream:
        seen = sniff.sniff(stream, compression)
        if how is None and not extension and not seen.how:
            stream.seek(0)
            how = "text" if _is_text(stream, seen.compression or compression, settings.encoding) else None
    return _settled(path, name, extension, how, seen, compression)


def _add(found: _Found, path: str, name: str, settings: InputConfig) -> None:
    """Add a file to what is read, or to what is passed over. Raises InputError where it cannot be opened."""
    if settings.folder_is_document:
        _add_part(found, path, name, settings)
        return
    file = classified(path, name, settings)
    if isinstance(file, File):
        found.files.append(file)
    else:
        found.passed.append(file)


def _refusal(e: InputError) -> str:
    """Why the file system refuses one path alone: it is "locked" or "too long"; "" where it is another fault, such as
    a disk that fails.
    """
    if isinstance(e.__cause__, PermissionError):
        return "locked"
    return "too long" if isinstance(e.__cause__, OSError) and e.__cause__.errno == errno.ENAMETOOLONG else ""


def _refused(why: str, path: str, name: str) -> PassedOver:
    """A file, or a folder, whose name ends in "/", that may not be read, with the command that allows it."""
    if why == "too long":
        return PassedOver(name, remark=" (its path is too long)")
    if not hasattr(os, "geteuid"):  # on Windows
        return PassedOver(name, why, "change its permissions, or the user")
    mine = False
    with suppress(OSError):
        mine = os.stat(path).st_uid == os.geteuid()
    return PassedOver(name, why, f"{'chmod -R u+rX' if mine else 'sudo chmod -R a+rX'} {_quoted(path)}")


def _quoted(path: str) -> str:
    """A path for a shell; one whose bytes are no UTF-8, by these bytes, as `$'…'` has them."""
    try:
        path.encode()
    except UnicodeEncodeError:
        plain = (chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in os.fsencode(path))
        return f"$'{''.join(plain)}'"
    return shlex.quote(path)


def _settled(
    path: str, name: str, extension: str, how: How | None, seen: sniff.Seen, compression: kinds.Compression | None
) -> File | PassedOver:
    compression = seen.compression or compression
    known = extension in kinds.UNREADABLE
    if how is None and known and seen.how in (None, "foreign"):
        return PassedOver(name, extension, kinds.help_for(name, extension) or "")
    if how is None and not known and extension:
        return PassedOver(name)
    tells = seen.how in _TOLD or (seen.how == "json" and how == "jsonl" and extension == ".json")
    tells = tells or (seen.how == "html" and (how is None or how in _TOLD))
    if seen.how and tells and not (how == "docx" and seen.extension == ".doc"):
        how = seen.how
    if how is None:
        return PassedOver(name)
    if how == "foreign":
        if not extension and not kinds.of_name(name):
            return PassedOver(name, seen.extension, kinds.help_for(name, seen.extension) or "")
        return File(path, name, "foreign", None, seen.what, kinds.help_for(name, seen.extension) or "")
    if how == "parquet" and compression:
        return PassedOver(name)
    if kinds.missing(how):
        return PassedOver(name, f".{how}", "pip install 'longrlvr-data[documents]'")
    return File(path, name, how, compression)


def _is_text(stream: BinaryIO, compression: kinds.Compression | None, encoding: str | None) -> bool:
    """Whether a file without an extension is text. A packed one says what it is by its name."""
    return compression is None and sniff.is_text(stream, encoding)


def _add_part(found: _Found, path: str, name: str, settings: InputConfig) -> None:
    """Add a file to a folder that is one document, or count why it is no part of it."""
    folders, base = name.lower().split("/")[:-1], os.path.basename(name).lower()
    if any(folder in kinds.VENDORED for folder in folders):
        found.left_out["vendored or built"] += 1
        return
    if kinds.is_junk(base):
        found.left_out["generated"] += 1
        return
    extension, _ = kinds.ending(name)
    if settings.extensions and extension not in settings.extensions:
        found.left_out["not among input.extensions"] += 1
        return
    file = classified(path, name, settings)
    if isinstance(file, PassedOver) and file.extension in {f".{how}" for how in kinds.NEEDS}:
        found.passed.append(file)
        return
    if isinstance(file, PassedOver) or file.kind in ("foreign", "parquet", "jsonl", "json"):
        with said(path), open(path, "rb") as stream:
            if extension in kinds.UNREADABLE or file_is_packed(file) or not sniff.is_text(stream, settings.encoding):
                found.left_out["binary"] += 1
                return
        file = File(path, name, "text", None)
    found.files.append(file)


def file_is_packed(file: File | PassedOver) -> bool:
    """Whether a file is one that has to be unpacked first."""
    return isinstance(file, File) and file.compression is not None


def _walk(top: str) -> Iterator[tuple[str, str, str]]:
    """The path and the name of what is below a folder, and what it is: a "file", a "run" (not entered), a folder that
    is "locked" or whose path is "too long", or "other". Raises InputError where the folder itself cannot be read.
    """
    pending: list[tuple[str, str, tuple[tuple[int, int], ...]]] = [(top, "", ())]
    while pending:
        folder, name, above = pending.pop()
        try:
            with said(folder):
                found = os.stat(os.path.join(folder, "."))  # refused where it can be listed, and not entered
                with os.scandir(folder) as entries:
                    below = [entry for entry in entries if not entry.name.startswith(".")]
        except InputError as e:
            if not name or not (why := _refusal(e)):
                raise
            yield folder, name, why
            continue
        here = found.st_dev, found.st_ino
        if here in above:  # a link to a folder above would never end
            continue
        for entry in below:
            its_name = f"{name}/{entry.name}" if name else entry.name
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:  # a link that leads in a circle, or through a folder that may not be entered
                is_folder = is_file = False
            if not is_folder:
                yield entry.path, its_name, "file" if is_file else "other"
            elif is_run(entry.path):  # what it holds was made of documents, maybe of these
                yield entry.path, its_name, "run"
            else:
                pending.append((entry.path, its_name, (*above, here)))
