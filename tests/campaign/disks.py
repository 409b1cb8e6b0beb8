"""Disks that have no room, in every stage: small ones that fill up, ones that run out of inodes, read-only ones, and
ones that become so in the middle of a write, as a disk does whose hardware fails.

Real file systems all of them: whoever may not mount any skips these (`unshare -Ur -m` gives the right to most). What is
expected is always the same: one sentence that names the file or folder and the way on, exit 1; a run that can still be
looked at; and, where there is room again, that the same command ends at the same bytes.
"""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.campaign import runs
from tests.campaign.runs import IN_FLIGHT, STAGES, Outcome, Reference
from tests.servers.openai_server import Settings, serve

ROOM = "size=64m,nr_inodes=10000"
AMOUNTS = ("none", "half", "most")  # of what the stage takes
# Operations on files before which a disk becomes read-only, and after how many replies.
OPERATIONS = (
    "rename .lock-owner",
    "rename .fingerprints.json",
    "rename chunk/stage.json",
    "rename chunk/shard-00001.parquet",
    "rename chunk/shards.json",
    "mkdir embed",
    "rename embed/shard-00001.parquet",
    "rename cluster/dropped/shard-00001.parquet",
    "rename cluster/ledger.json",
    "open journal/generate/shard-00001.jsonl",
    "rename generate/shard-00001.parquet",
    "rename judge/shard-00001.parquet",
    "rename select/shard-00001.parquet",
    "rename .dataset/data/train-00000-of-00001.parquet",
    "rename .dataset/provenance.json",
    "rename dataset",
    "rename config.yaml",
)
REPLIES = (1, 3, 12, 20)


def stages() -> Iterator[tuple[str, str, str, str]]:
    """(stage, what there is too little of, how much there is, what is expected)"""
    for stage in (*STAGES, "dataset"):
        for what in ("room", "inodes"):
            yield from ((stage, what, amount, "e") for amount in AMOUNTS)
        yield stage, "permission", "none", "e"


def instants() -> Iterator[tuple[str, str]]:
    """(before which operation, or after which reply, what is expected)"""
    yield from ((operation, "e") for operation in OPERATIONS)
    yield from ((f"reply {n}", "e") for n in REPLIES)


def starved(reference: Reference, place: Path, stage: str, what: str, amount: str) -> Outcome:
    """From this stage on, run on a disk that has so much room, or so many inodes, or is read-only."""
    pages, files = needed(reference.run, stage)
    of = {"room": pages, "inodes": files, "permission": 0}[what]
    return starved_of(reference, place, stage, what, {"none": 0, "half": of // 2, "most": of - 1}[amount])


def starved_of(reference: Reference, place: Path, stage: str, what: str, n: int) -> Outcome:
    """The same, with so many pages or inodes left."""
    with tmpfs(place / "disk") as disk:
        run = disk / "run"
        if stage != "chunk":
            runs.upto(reference, run, stage)
        there = os.statvfs(disk)
        limits = {
            "room": f"size={(there.f_blocks - there.f_bfree + n) * there.f_frsize}",
            "inodes": f"nr_inodes={there.f_files - there.f_ffree + n}",
            "permission": "ro",
        }
        _mount("-o", f"remount,{limits[what]}", str(disk))
        command = ("run", "-o", run, "-c", reference.root / "settings.yaml", "--input", reference.root / "documents")
        return _recovered(reference, run, command, lambda: _mount("-o", f"remount,rw,{ROOM}", str(disk)))


def stopped(reference: Reference, place: Path, at: str) -> Outcome:
    """Run on a disk that becomes read-only at an instant, and is mounted anew then."""
    image, disk = place / "image", place / "disk"
    run = disk / "run"

    def stop() -> None:
        _mount("-o", "remount,abort", str(disk))

    def again() -> None:
        gc.collect()  # what an error kept open
        subprocess.run(["umount", str(disk)], check=True)
        _mount("-o", "loop", str(image), str(disk))

    replies = iter(range(1, 1000))

    def counting(body: dict[str, Any], asked: int) -> None:
        if f"reply {next(replies)}" == at:
            stop()

    with ext4(image, disk), serve(Settings(reply=runs.reply, faults=counting, latency=0.05)) as server:
        settings = runs.settings(place / "s.yaml", server.url, encoder=reference.encoder.url)
        command = ("run", "-o", run, "-c", settings, "--input", reference.root / "documents")
        with before(run, at, stop):
            return _recovered(Reference(reference.root, server, reference.encoder), run, command, again)


def needed(run: Path, stage: str) -> tuple[int, int]:
    """How many pages and inodes a stage of a finished run takes, its journals' among them."""
    files = [path for folder in (run / stage, run / "journal" / stage) for path in (folder, *folder.rglob("*"))]
    there = [path for path in files if path.exists()]
    return sum(-(-path.stat().st_size // 4096) for path in there if path.is_file()), len(there)


def _recovered(reference: Reference, run: Path, command: tuple[object, ...], make_room: Callable[[], None]) -> Outcome:
    """Run on a disk without room, look at what there is, make room, run again."""
    paid = runs.paid(reference.server)
    had = len(set(runs.answers(run)))
    first = runs.call(*command)
    outcome = Outcome({0: ".", 1: "e"}.get(first.code, "?"), told=first.err)
    if first.code:
        (sentence,) = [line for line in first.err.splitlines() if line.startswith("error: ")]
        assert f"{run}" in sentence, first.err
        assert "run the same command again" in sentence, first.err
    if (run / "chunk").exists():
        assert runs.call("status", run).code == 0
        assert (looked := runs.call("doctor", run)).code == 0, looked.all
    make_room()
    began = time.monotonic()
    if first.code:
        second = runs.call(*command)
        assert second.code == 0, second.err
    outcome.seconds = time.monotonic() - began
    assert (looked := runs.call("doctor", run)).code == 0, looked.all
    asked = len(set(runs.answers(run))) - had
    # What was in flight when a write failed is lost, and what had come and waited for the disk.
    outcome.paid_twice = max(0, runs.paid(reference.server) - paid - asked - 2 * IN_FLIGHT)
    runs.balanced(run)
    return runs.compared(outcome, run, reference.run)


@contextmanager
def tmpfs(disk: Path) -> Iterator[Path]:
    """A disk with room, of which something is taken."""
    disk.mkdir()
    _mount("-t", "tmpfs", "-o", ROOM, "tmpfs", str(disk))
    try:
        (disk / "other").write_bytes(b"\0")  # a limit of nothing would be none
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@contextmanager
def ext4(image: Path, disk: Path) -> Iterator[Path]:
    """A disk in a file, that can be stopped."""
    disk.mkdir()
    with open(image, "wb") as f:
        f.truncate(16 << 20)
    _allowed("mkfs.ext4", "-q", "-F", str(image))
    _mount("-o", "loop", str(image), str(disk))
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _mount(*options: str) -> None:
    _allowed("mount", *options)


def _allowed(*command: str) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"needs {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs the right to make and mount a disk: {done.stderr.strip()}")


# What is to be done before which operation on a file. Python's audit hooks can't be taken away again.
_waiting: dict[str, Callable[[], None]] = {}


@contextmanager
def before(run: Path, operation: str, do: Callable[[], None]) -> Iterator[None]:
    """Within, do this before an operation on a file of the run, such as "rename chunk/stage.json", once."""
    if not _waiting:
        sys.addaudithook(_watch)
    kind, _, name = operation.partition(" ")
    _waiting.clear()
    _waiting[f"{kind} {run / name}"] = do
    try:
        yield
    finally:
        _waiting.clear()


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if not _waiting or event not in ("open", "os.rename", "os.mkdir"):
        return
    path = args[1 if event == "os.rename" else 0]
    if do := _waiting.pop(f"{event.removeprefix('os.')} {path}", None):
        do()
