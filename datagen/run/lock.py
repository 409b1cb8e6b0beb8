"""One process at a time on a run directory."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from datagen import shards
from datagen.errors import RunLocked, UserError
from datagen.run import lease


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """Hold a run directory, and clear away what a killed process left half-written. Raises RunLocked naming the process
    that holds it, UserError where no folder can be made.
    """
    if not shards.is_local(folder):
        with lease.held(folder):
            yield
        return
    root = Path(folder.removeprefix("file://"))
    lock, owner = FileLock(root / ".lock", timeout=0), root / ".lock-owner"
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as e:
        who = owner.read_text() if owner.exists() else "another process"
        raise RunLocked(f"{folder} is in use by {who}: wait for it, or choose another --output-dir") from e
    except OSError as e:
        if root.is_dir() and os.path.lexists(root / ".lock") and not (root / ".lock").is_file():
            raise UserError(f"{root / '.lock'}: is no file, as a lock must be: remove it, and run again") from e
        if root.is_dir() or e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise shards.refused(str(root / ".lock"), e) from e
        why = f"cannot be made a run directory: {e.strerror or e}"
        raise UserError(f"{folder}: {why}; choose another --output-dir") from e
    try:
        shards.write_bytes(str(owner), f"process {os.getpid()} on {socket.gethostname()}".encode())
        shards.sweep(folder)
        yield
    finally:
        lock.release()
