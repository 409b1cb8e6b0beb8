"""One process at a time on a run directory, or several jobs that each have a share of its shards."""

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
from datagen.run.share import WHOLE, Share

LOCK = ".lock"
# Seconds for which a lock that is taken may only be looked at, which takes it for a moment: by all jobs that begin
# together, if it is the whole run's.
PROBED, PROBED_BY_MANY = 1.0, 10.0


@contextmanager
def locked(folder: str, share: Share = WHOLE) -> Iterator[None]:
    """Hold a run directory, and clear away what a killed process left half-written; as a job, hold a share of it,
    beside the other jobs of the same array. Raises RunLocked naming the process that holds it, UserError where no
    folder can be made.
    """
    if not shards.is_local(folder):
        with lease.held(folder, share):
            yield
        return
    root = Path(folder.removeprefix("file://"))
    own = root / share.named(LOCK)
    lock = FileLock(own, timeout=0)
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as e:
        raise _in_use(folder, own) from e
    except OSError as e:
        if root.is_dir() and os.path.lexists(own) and not own.is_file():
            raise UserError(f"{own}: is no file, as a lock must be: remove it, and run again") from e
        if root.is_dir() or e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise shards.refused(str(own), e) from e
        why = f"cannot be made a run directory: {e.strerror or e}"
        raise UserError(f"{folder}: {why}; choose another --output-dir") from e
    try:
        shards.write_bytes(str(_owner(own)), f"process {os.getpid()} on {socket.gethostname()}".encode())
        # Each takes its own lock before it looks at the others': of two that exclude each other, both may give up, but
        # never both go on.
        for other in _excluded(root, share):
            if _held(other):
                raise _in_use(folder, other)
        if share.is_whole:
            shards.sweep(folder)
        yield
    finally:
        lock.release()


def _excluded(root: Path, share: Share) -> list[Path]:
    """The locks that nobody else may hold: all of them beside the whole run; beside a job, that, and those of jobs that
    deal the shards out otherwise.
    """
    jobs = sorted(path for path in root.glob(f"{LOCK}-*-of-*") if not path.name.endswith("-owner"))
    if share.is_whole:
        return jobs
    return [root / LOCK, *(path for path in jobs if not path.name.endswith(f"-of-{share.count}"))]


def _held(path: Path) -> bool:
    """Whether a process holds this lock."""
    try:
        with FileLock(path, timeout=PROBED_BY_MANY if path.name == LOCK else PROBED):
            return False
    except Timeout:
        return True


def _owner(lock: Path) -> Path:
    return lock.with_name(f"{lock.name}-owner")


def _in_use(folder: str, lock: Path) -> RunLocked:
    owner = _owner(lock)
    try:
        who = owner.read_text()
    except FileNotFoundError:
        who = "another process"
    job = lock.name.removeprefix(LOCK).strip("-").replace("-of-", " of ")
    return RunLocked(
        f"{folder} is in use by {who}{f', as job {job}' if job else ''}: wait for it, or choose another --output-dir"
    )
