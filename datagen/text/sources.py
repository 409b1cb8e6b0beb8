"""Where raw documents come from: finding the files, opening them, and a hash of what they hold.

A file's `name` is its path below the folder that was asked for, with `/` between the parts, so that the ids and hashes
made from it are the same on every machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from datagen.config.data import InputConfig
from datagen.errors import InputError, reason
from datagen.extras import require
from datagen.text import folders, kinds
from datagen.text.files import File, PassedOver, printable, said
from datagen.text.passed import by_kind

if TYPE_CHECKING:
    from datasets import Dataset

Stream = io.BufferedReader | gzip.GzipFile
HF = "hf://"
DAMAGE = (EOFError, zlib.error, OSError)  # what gzip, zlib and arrow raise over a stream that is torn or cut off
BLOCK = 1 << 20  # bytes read at a time


def find(path: str, settings: InputConfig | None = None) -> tuple[list[File], list[PassedOver]]:
    """The input files behind a file, a folder or `hf://owner/name`, sorted by name, and those passed over.

    A folder is searched to its depths, through links (`folders`); with `input.folder_is_document` it is one file, of
    parts. `input.extensions` holds for a folder. `hf:///a/folder` is a dataset on this machine's disk.

    Raises InputError, naming the path, when it is missing, unreadable, empty, of a kind that cannot be read, a run
    directory itself, or without any file to read; MissingExtra where a package is needed to read the one file.
    """
    settings = settings or InputConfig()
    if path.startswith(HF):
        name = path.removeprefix(HF).removeprefix("datasets/").rstrip("/")
        if not name:
            raise InputError(f"{path}: no dataset is named; write hf://owner/name")
        return [File(HF + name, os.path.basename(name) if name.startswith("/") else name, "hf", None)], []
    if not path:
        raise InputError("No input is given: name a file, a folder, '-' for standard input, or hf://owner/name")
    full = os.path.abspath(os.path.expanduser(path))
    passed: list[PassedOver] = []
    with said(path):
        os.stat(full)  # a folder that cannot be entered is no folder to isdir()
        if os.path.isdir(full):
            if _saved_to_disk(full):
                raise InputError(f"{path}: a dataset that save_to_disk wrote: give it as hf://{full}")
            if folders.is_run(full):
                raise InputError(f"{path}: a run directory, which holds no documents: give the folder that they are in")
            files, passed = folders.files(full, settings)
        else:
            if not os.path.isfile(full):
                raise InputError(f"{path}: no file, but a device, a pipe or a socket: copy what it gives into a file")
            files = [_one(path, full)]
    if not files:
        others = f" ({len(passed)} other files, such as {passed[0]})" if passed else ""
        only = f" (input.extensions has {', '.join(settings.extensions)})" if settings.extensions else ""
        known = "".join(f"; not read: {each}" for each in by_kind(passed))
        raise InputError(f"{path}: the folder holds no file to read{others}{only}{known}; known are {kinds.KNOWN}")
    if not any(size(each) for file in files for each in file.parts or (file,)):
        what = "the file is empty" if os.path.isfile(full) else "every file in the folder is empty"
        raise InputError(f"{path}: {what}; there is nothing to read")
    return files, passed


def _one(path: str, full: str) -> File:
    """The one file that is given."""
    file = folders.classified(full, printable(os.path.basename(full)), InputConfig(), alone=True)
    if isinstance(file, File) and file.kind != "foreign":
        return file
    if isinstance(file, PassedOver) and (needed := kinds.missing(kinds.EXTRACTED.get(file.extension, ""))):
        require(path, "documents", *needed)
    what = file.what if isinstance(file, File) else "this kind of file" if file.extension else ""
    if what:
        how = f": {file.help}" if file.help else ""
        raise InputError(f"{path}: {what} is known, and cannot be read{how}")
    raise InputError(f"{path}: this kind of file is not known; known are {kinds.KNOWN}")


@contextmanager
def opened(file: File) -> Iterator[Stream]:
    """The file's bytes, unpacked. Raises InputError when it cannot be opened; `DAMAGE` may come from any read.

    Whatever can be unpacked before a damaged place is given first (of zstd, but for a few kilobytes): so no larger
    buffer is put around these streams.
    """
    with said(file.path):
        raw = open(file.path, "rb")  # noqa: SIM115 — closed below, where its errors are no longer those of opening
    with raw:
        if file.compression == "gzip":
            yield gzip.GzipFile(fileobj=raw)
        elif file.compression == "zstd":
            import pyarrow as pa  # the zstandard package ends quietly where a file was cut off; arrow raises

            yield io.BufferedReader(pa.CompressedInputStream(raw, "zstd"))  # pyright: ignore[reportArgumentType]
        else:
            yield raw


def fingerprint(files: list[File], cache: dict[str, Any], settings: InputConfig | None = None) -> str:
    """A sha256 over each file's name, kind and content, in order.

    `cache` maps a path to {size, mtime_ns, ctime_ns, sha256} and is brought up to date in place: a file of the same
    size and times as noted there is not read again. It takes some 400 bytes a file. An hf:// dataset needs `settings`
    and counts by its own fingerprint, which changes with its revision, subset and split. Raises InputError for a file
    that cannot be read, and ValueError for an hf:// dataset without `settings`.
    """
    total = hashlib.sha256()
    for file in [each for whole in files for each in (whole, *whole.parts)]:
        if file.kind == "folder":
            content = str(len(file.parts))
        elif file.kind != "hf":
            content = _sha256(file, cache)
        elif settings is None:
            raise ValueError("the fingerprint of an hf:// dataset depends on the input settings")
        else:
            content = load_hf(file, settings)._fingerprint
        unsaid = [file.compression] if file.compression and not kinds.ending(file.name)[1] else []
        total.update(json.dumps([file.name, file.kind, content, *unsaid]).encode() + b"\n")
    return total.hexdigest()


def load_hf(file: File, settings: InputConfig) -> Dataset:
    """The dataset behind an hf:// address, mapped from the disk cache of `datasets`, which downloads it if need be.

    Raises MissingExtra without the `datasets` package, InputError when it cannot load this subset, split or revision.
    """
    return _load_hf(file.path, settings.hf_subset, settings.hf_split, settings.hf_revision)


@lru_cache(maxsize=1)  # so that what is checked, fingerprinted and read is one and the same dataset
def _load_hf(path: str, subset: str | None, split: str, revision: str | None) -> Dataset:
    require(path, "hf", "datasets")
    import datasets

    folder = path.removeprefix(HF)
    try:
        if folder.startswith("/") and _saved_to_disk(folder):
            loaded = datasets.load_from_disk(folder)
            return loaded[split] if isinstance(loaded, datasets.DatasetDict) else loaded
        return datasets.load_dataset(path.removeprefix(HF), name=subset, split=split, revision=revision)
    except Exception as e:  # many kinds come out of there, each with a first line that says what is wrong
        asked = f"subset {subset or 'default'}, split {split}, revision {revision or 'newest'}"
        why = reason(e)[:300]
        raise InputError(f"{path}: cannot load {asked}: {why}") from e


def _saved_to_disk(folder: str) -> bool:
    """Whether `datasets` wrote this folder by save_to_disk, one split or several."""
    one = all(os.path.isfile(os.path.join(folder, name)) for name in ("state.json", "dataset_info.json"))
    return one or os.path.isfile(os.path.join(folder, "dataset_dict.json"))


def size(file: File) -> int:
    """The bytes of a file, packed as it is. Raises InputError where it may not be read."""
    with said(file.path), open(file.path, "rb") as stream:  # opened: a file that may not be read still has a size
        return os.fstat(stream.fileno()).st_size


def _sha256(file: File, cache: dict[str, Any]) -> str:
    with said(file.path), open(file.path, "rb") as stream:
        now = os.fstat(stream.fileno())
        seen = {"size": now.st_size, "mtime_ns": now.st_mtime_ns, "ctime_ns": now.st_ctime_ns}
        place = printable(file.path)
        known = cache.get(place)
        if not isinstance(known, dict) or known != {**seen, "sha256": known.get("sha256")}:
            cache[place] = {**seen, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
    return cache[place]["sha256"]
