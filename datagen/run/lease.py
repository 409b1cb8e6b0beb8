"""One process at a time on a run directory in an object store, which has no locks, or several jobs that each have a
share of its shards.

To hold it is to have made the last of the objects .lease/000001, 000002, …: the store makes each only once, for whoever
comes first (S3 and Google's store do; where a store does not know how, keeping to one process is up to the person). The
holder writes into its own, again and again, that it is alive. One that writes nothing for `STALE` seconds, by the clock
of whoever waits, is taken for dead, and the next object is made; at once, if it can be seen from here that its process
is gone. A holder that finds a later object than its own stops: it was not heard of for too long. A job holds
.lease-I-of-N in that way, and looks then whether anybody holds what excludes it, as a process for the whole run does.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from datagen import shards, signals, stores
from datagen.errors import RunLocked, ServerWarning, UserError
from datagen.run.share import WHOLE, Share

BEAT = 10.0  # seconds between two signs of life
STALE = 60.0  # seconds without one
LEASE = ".lease"
_LEASE = re.compile(r"\.lease(-[0-9]+-of-[0-9]+)?")


@dataclass
class _Held:
    """The object that was made, and whether another process has made a later one since. `lease` is its folder."""

    lease: str
    number: int
    token: str
    beats: int = 0
    lost: bool = False

    @property
    def path(self) -> str:
        return _path(self.lease, self.number)

    def content(self, released: bool = False) -> dict[str, Any]:
        owner = f"process {os.getpid()} on {socket.gethostname()}"
        where = {"place": _place(), "pid": os.getpid()}
        return where | {"owner": owner, "token": self.token, "beats": self.beats, "released": released}


@contextmanager
def held(folder: str, share: Share = WHOLE, beat: float = BEAT, stale: float = STALE) -> Iterator[None]:
    """Hold a run directory in a store, or a job's share of it. Raises RunLocked naming the process that holds it, or
    that took it over.
    """
    mine, ended = _taken(folder, _lease(folder, share), stale), threading.Event()
    thread = threading.Thread(target=_stay, args=(mine, ended, beat), name="lease", daemon=True)
    thread.start()
    try:
        _wait(folder, _excluded(folder, share), stale)
        yield
    except KeyboardInterrupt as e:
        if mine.lost:
            raise RunLocked(
                f"{folder} was taken over by another process: this one was not heard of for {stale:.0f} seconds. What "
                "is finished is kept"
            ) from e
        raise
    finally:
        ended.set()
        thread.join()
        if not mine.lost:
            with suppress(UserError):  # of a store that does not answer: it is stale soon
                shards.write_json(mine.path, mine.content(released=True))


def _taken(folder: str, lease: str, stale: float) -> _Held:
    """Make the next object, once the last is of no process any more. Raises as `held` does."""
    while True:
        last = max(_numbers(lease), default=0)
        if last:
            _wait(folder, [_path(lease, last)], stale)
        mine = _Held(lease, last + 1, uuid.uuid4().hex)
        try:
            shards.create(mine.path, json.dumps(mine.content()).encode())
        except FileExistsError:
            found = shards.read_object(mine.path) or {}
            if found.get("token") != mine.token:  # else it was made, and its acknowledgement lost
                continue
        numbers = _numbers(lease)
        if max(numbers) > mine.number:  # it had been made before, and removed when a later one was
            stores.remove_all([mine.path])
            continue
        stores.remove_all([_path(lease, number) for number in numbers if number < mine.number])
        return mine


def _excluded(folder: str, share: Share) -> list[str]:
    """The last objects of all leases that nobody else may hold: of all jobs beside the whole run; beside a job, of the
    whole run and of jobs that deal the shards out otherwise.
    """
    names = [path.rstrip("/").rpartition("/")[2] for path in stores.ls(folder)]
    leases = [shards.join(folder, name) for name in names if _LEASE.fullmatch(name) and not _goes_with(name, share)]
    return [_path(lease, last) for lease in leases if (last := max(_numbers(lease), default=0))]


def _goes_with(name: str, share: Share) -> bool:
    """Whether who holds this lease may work beside the share, or is it itself."""
    return name == LEASE if share.is_whole else name.endswith(f"-of-{share.count}")


def _wait(folder: str, leases: list[str], stale: float) -> None:
    """Return once whoever made these objects has released them, or is dead. Raises RunLocked once one is seen alive."""
    first = {path: shards.read_object(path) or {} for path in leases}
    began, told = time.monotonic(), False
    while first:
        for path, before in list(first.items()):
            found = shards.read_object(path) or {}
            who = found.get("owner", "another process")
            if not found or found.get("released") or _is_gone(found):
                del first[path]
            elif found != before:
                raise RunLocked(f"{folder} is in use by {who}: wait for it, or choose another --output-dir")
            elif not told:
                told = True
                warnings.warn(f"{folder}: waiting up to {stale:.0f} s to see whether {who} is alive", ServerWarning, 2)
        if time.monotonic() - began >= stale:
            return
        if first:
            time.sleep(min(1.0, stale / 10))


def _stay(mine: _Held, ended: threading.Event, beat: float) -> None:
    """Show that this process is alive, until it has `ended` its work or another has taken over."""
    while not ended.wait(beat):
        try:
            if max(_numbers(mine.lease), default=0) > mine.number:
                mine.lost = True
                polite = [*signals.polite(), signal.SIGTERM]
                signal.pthread_kill(threading.main_thread().ident or 0, polite[0])  # wakes it, whatever it waits for
                return
            mine.beats += 1
            shards.write_json(mine.path, mine.content())
        except Exception:  # of whichever client
            continue  # the store does not answer: the work finds that out, too, and others can't take over meanwhile


def _lease(folder: str, share: Share) -> str:
    return shards.join(folder, share.named(LEASE))


def _numbers(lease: str) -> list[int]:
    return [int(name) for name in shards.listing(lease) if name.isdigit()]


def _path(lease: str, number: int) -> str:
    return shards.join(lease, f"{number:06d}")


def _place() -> str:
    """Among which processes a number means one of them: those of this boot of a machine, or of a container in it. Empty
    where that can't be told.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id") as f:
            return f"{socket.gethostname()} {f.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _is_gone(found: dict[str, Any]) -> bool:
    """Whether it can be seen from here that a holder's process has ended."""
    if not found.get("place") or found["place"] != _place():
        return False
    try:
        os.kill(found["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is another user's
        return False
    return False
