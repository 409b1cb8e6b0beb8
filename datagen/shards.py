"""Read and atomically write the files of a run directory, local or any fsspec address (s3://, gs://, memory://).

A file is there whole or not at all: local writes go to a temporary name, are fsynced and renamed; object stores publish
an object only once its upload is complete. So "the shard file exists" is all that "the shard is done" means.
"""

from __future__ import annotations

import errno
import io
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from datagen import records, seal, signals, stores
from datagen.errors import DamagedFile, UserError, reason
from datagen.stores import is_local as is_local

SUFFIX = ".parquet"
UNFINISHED = ".longrlvr-tmp"  # ends the names of what is being written; `sweep` removes it after a kill
_LEDGER, _ORIGIN = "longrlvr.ledger", "longrlvr.origin"


@dataclass(frozen=True)
class Footer:
    """What a shard's footer says: how many rows it has, its ledger, and its origin, the identity that it was written
    under and its place in the run. An earlier version wrote no origin.
    """

    n_rows: int
    ledger: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)


def join(*parts: str) -> str:
    """One address of folder and file names, for local paths and fsspec addresses alike."""
    return "/".join(part.rstrip("/") if i == 0 and part != "/" else part.strip("/") for i, part in enumerate(parts))


def exists(path: str) -> bool:
    """Whether a file or folder is there; a link that leads nowhere is, and can't be read."""
    fs, name = stores.find(path)
    if isinstance(fs, LocalFileSystem):
        return os.path.lexists(name)
    with stores.reached(path):
        return fs.exists(name)


def names(folder: str) -> list[str]:
    """The shards of a folder, in order, without the suffix. A folder that is not there holds none."""
    return [name.removesuffix(SUFFIX) for name in listing(folder) if name.endswith(SUFFIX)]


def listing(folder: str) -> list[str]:
    """The names of the finished files right in a folder, sorted."""
    fs, name = stores.find(folder)
    if isinstance(fs, LocalFileSystem):
        found = [str(path) for path in fs.ls(name, detail=False)] if fs.isdir(name) else []
    else:
        found = stores.ls(folder)
    return sorted(n for n in (p.rstrip("/").rsplit("/", 1)[-1] for p in found) if not n.startswith("."))


def remove(path: str) -> None:
    """Remove a file or a whole folder, if it is there. On a local disk it is gone at once, never half of it.

    Raises UserError where it may not be removed.
    """
    fs, name = stores.find(path)
    if not exists(path):
        return
    if not isinstance(fs, LocalFileSystem):
        with stores.reached(path):
            fs.rm(name, recursive=True)
        return
    doomed = _beside(Path(name))
    try:
        os.replace(name, doomed)
        _delete(doomed)
    except FileNotFoundError:
        return  # another process removed it first
    except OSError as e:
        raise refused(path, e, what="removed") from e


def replace_folder(source: str, target: str) -> None:
    """Put a finished folder in another's place. Killed in between, there is none, never half of one.

    Raises UserError where the disk refuses.
    """
    remove(target)
    fs, name = stores.find(source)
    with writing(target):
        if isinstance(fs, LocalFileSystem):
            os.replace(name, stores.find(target)[1])
        else:
            stores.move(source, target)


def copy(source: str, target: str) -> None:
    """Copy a file or folder. Raises UserError where the disk refuses."""
    fs, name = stores.find(source)
    with writing(target):
        if not isinstance(fs, LocalFileSystem):
            fs.copy(name, stores.find(target)[1], recursive=fs.isdir(name))
        elif fs.isdir(name):
            shutil.copytree(name, stores.find(target)[1], symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(name, stores.find(target)[1], follow_symlinks=False)


def read_bytes(path: str) -> bytes:
    """A file's content. Raises FileNotFoundError where there is none."""
    fs, name = stores.find(path)
    with stores.reached(path):
        data: Any = fs.cat_file(name)
    return data


def read_json(path: str) -> Any | None:
    """The JSON in a file, or None if there is no such file. Raises DamagedFile where there is none in it."""
    try:
        return json.loads(read_bytes(path))
    except (FileNotFoundError, NotADirectoryError) as e:
        if is_local(path) and exists(path):
            raise _unreadable(path, e) from e
        return None
    except (ValueError, RecursionError) as e:
        raise DamagedFile(path, str(e)) from e
    except OSError as e:
        raise _unreadable(path, e) from e


def read_object(path: str) -> dict[str, Any] | None:
    """The JSON object in a file, or None if there is no such file. Raises DamagedFile where anything else is in it."""
    found = read_json(path)
    if found is not None and not isinstance(found, dict):
        raise DamagedFile(path, "it holds no JSON object")
    return found


def write_bytes(path: str, data: bytes) -> None:
    """Write a file atomically and durably. Raises UserError when the disk is full or the place not writable."""
    fs, name = stores.find(path)
    with writing(path, len(data)), signals.held():
        if isinstance(fs, LocalFileSystem):
            with _published(Path(name)) as f:
                f.write(data)
        else:
            fs.pipe_file(name, data)


def create(path: str, data: bytes) -> None:
    """Write a file, whole, where there is none, as far as a store can tell. Raises FileExistsError, UserError."""
    fs, name = stores.find(path)
    if isinstance(fs, LocalFileSystem):
        whole = _beside(Path(name))
        write_bytes(str(whole), data)
        try:
            os.link(whole, name)  # which refuses a name that is taken
        finally:
            whole.unlink(missing_ok=True)
        return
    try:
        with signals.held():
            try:
                fs.pipe_file(name, data, mode="create")
            except (NotImplementedError, TypeError):  # it knows no such way to write
                fs.pipe_file(name, data)
    except FileExistsError:
        raise
    except Exception as e:
        raise (stores.refused(path, e) if stores.refuses(e) or isinstance(e, FileNotFoundError) else e) from e


@contextmanager
def writing(path: str, size: int | None = None) -> Iterator[None]:
    """Turn what stops a write into a sentence: UserError when the disk is full or the place not writable."""
    try:
        yield
    except Exception as e:
        if isinstance(e, OSError):
            raise refused(path, e, size) from e
        if stores.refuses(e):
            raise stores.refused(path, e) from e
        raise


def refused(path: str, e: OSError, size: int | None = None, what: str = "written") -> UserError:
    """What the file system refused, as a sentence with the way on."""
    if not is_local(path):
        return stores.refused(path, e)
    if e.errno not in (errno.ENOSPC, errno.EDQUOT):
        why, do = f"cannot be {what}: {e.strerror or e}", "Put that right"
    elif _without_inodes(path):
        why, do = "no space left for another file (the disk is out of inodes)", "Remove some files"
    else:
        why, do = "no space left" if size is None else f"no space left to write {size:,} bytes", "Free some space"
    return UserError(f"{path}: {why}. {do} and run the same command again: what is finished is kept.")


def _without_inodes(path: str) -> bool:
    """Whether a local disk can hold no more files, however small."""
    fs, name = stores.find(path)
    if not isinstance(fs, LocalFileSystem) or not hasattr(os, "statvfs"):
        return False
    there = os.statvfs(next(folder for folder in Path(name).absolute().parents if folder.exists()))
    return there.f_files > 0 == there.f_favail  # some file systems count none


def write_json(path: str, value: Any) -> None:
    """Write a value as indented JSON with sorted keys, atomically."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode())


def write_rows(
    path: str,
    record: type,
    rows: list[Any],
    ledger: dict[str, Any] | None = None,
    origin: dict[str, str] | None = None,
) -> None:
    """Write rows as parquet, with the shard's ledger and origin in the footer: they are published in one rename."""
    said = {_LEDGER: ledger, _ORIGIN: origin}
    footer = {key: json.dumps(value, sort_keys=True) for key, value in said.items() if value}
    write_table(path, records.to_table(record, rows), footer)


def write_table(path: str, table: pa.Table, footer: dict[str, str] | None = None) -> None:
    """Write a table as parquet, sealed, atomically and durably. Raises UserError where the disk refuses."""
    sink = io.BytesIO()
    _write_groups(sink, table.schema, [table] if table.num_rows else [], footer or {})
    write_bytes(path, sink.getvalue())


def write_groups(path: str, schema: pa.Schema, groups: Iterable[pa.Table], **options: Any) -> None:
    """Write tables as the row groups of one file, atomically and durably, holding one of them at a time. `options` are
    further ones of `pyarrow.parquet.ParquetWriter`.
    """
    fs, name = stores.find(path)
    with writing(path):
        if isinstance(fs, LocalFileSystem):
            with _published(Path(name)) as f:
                _write_groups(f, schema, groups, {}, **options)
        else:
            with tempfile.TemporaryDirectory() as folder:
                whole = Path(folder) / "groups"
                with open(whole, "w+b") as f:
                    _write_groups(f, schema, groups, {}, **options)
                fs.put_file(str(whole), name)


def _write_groups(
    f: BinaryIO, schema: pa.Schema, groups: Iterable[pa.Table], footer: dict[str, str], **options: Any
) -> None:
    with pq.ParquetWriter(f, schema, **encoding(schema), **options) as writer:
        for table in groups:
            writer.write_table(table, row_group_size=table.num_rows)
        writer.add_key_value_metadata(footer | seal.UNSEALED)
    f.flush()
    seal.seal(f)


def encoding(schema: pa.Schema) -> dict[str, Any]:
    """How tables are written. A dictionary pays for texts that repeat; vectors take more bytes with one, and more time
    to read.
    """
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    return {"compression": "zstd", "write_page_checksum": True, "use_dictionary": texts}


def read_table(path: str, columns: list[str] | None = None) -> pa.Table:
    """A parquet file's table, or some columns of it. Raises DamagedFile where its bytes have changed: of all of them,
    or of the footer and those columns.
    """
    with _opened(path) as f:
        return _table(f, columns)


def read_rows(path: str, record: type) -> list[Any]:
    """A parquet file's rows as records. Raises DamagedFile where its bytes have changed."""
    with _opened(path) as f:
        return records.from_table(record, _table(f, None))


def _table(f: Any, columns: list[str] | None) -> pa.Table:
    seal.check(f, whole=columns is None)
    # Not pq.read_table: it reads through arrow's thread pools, and a process that exits right after it may abort.
    return pq.ParquetFile(f, pre_buffer=False, page_checksum_verification=True).read(columns, use_threads=False)


def read_footer(path: str) -> Footer:
    """What the footer of a shard says. Raises DamagedFile where its bytes have changed."""
    with _opened(path) as f:
        seal.check(f, whole=False)
        footer = pq.read_metadata(f)
        said = [json.loads((footer.metadata or {}).get(key.encode(), b"{}")) for key in (_LEDGER, _ORIGIN)]
        return Footer(footer.num_rows, *said)


def read_ledger(path: str) -> tuple[int, dict[str, Any]]:
    """(number of rows, the ledger) of a shard, from its footer. Raises as `read_footer`."""
    footer = read_footer(path)
    return footer.n_rows, footer.ledger


def verify(path: str) -> None:
    """Raise DamagedFile where any byte of a parquet file has changed, if it was sealed."""
    with _opened(path) as f:
        seal.check(f, whole=True)


def sweep(folder: str) -> None:
    """Remove what writes that were killed left behind. Raises UserError where it may not be removed."""
    fs, name = stores.find(folder)
    if isinstance(fs, LocalFileSystem) and fs.isdir(name):
        for leftover in list(Path(name).rglob(f".*{UNFINISHED}")):
            try:
                _delete(leftover)
            except OSError as e:
                raise refused(str(leftover), e, what="removed") from e


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    fs, name = stores.find(path)
    try:
        # Arrow's own kind of file, where there is one: it calls no Python to read, and small ones take half the time.
        with pa.OSFile(name, "rb") if isinstance(fs, LocalFileSystem) else stores.opened(fs, name) as f:
            yield f
    except FileNotFoundError as e:
        if exists(path):
            raise _unreadable(path, e) from e
        raise UserError(f"{path} is missing: run its stage again") from e
    except Exception as e:
        if isinstance(e, OSError) and stores.refuses(e):  # the file may be as it was
            raise _unreadable(path, e) from e
        if stores.refuses(e):
            raise stores.refused(path, e) from e
        if not isinstance(e, (pa.ArrowException, OSError, ValueError, KeyError)):
            raise
        raise DamagedFile(path, reason(e)[:120]) from e


def _unreadable(path: str, e: OSError) -> UserError:
    """What the file system refuses says nothing against the file, but for a link that leads nowhere, or a folder in its
    place.
    """
    fs, name = stores.find(path)
    if not isinstance(fs, LocalFileSystem):
        return stores.refused(path, e)
    if os.path.isdir(name) or (os.path.islink(name) and not os.path.exists(name)):
        return DamagedFile(path, "it is a folder" if os.path.isdir(name) else "it is a link that leads nowhere")
    why = e.strerror or os.strerror(e.errno) if e.errno else e
    return UserError(f"{path} cannot be read: {why}. Put that right, and run the same command again")


@contextmanager
def _published(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which is in its place once it is whole and durable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        with open(temporary, "w+b") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)  # without this the rename itself may be lost with the power
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _beside(path: Path) -> Path:
    """A name that no other process has, on whichever machine: jobs on several may write the same file of one run."""
    return path.parent / f".{path.name}.{secrets.token_hex(8)}{UNFINISHED}"


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
