"""What disks do to runs: every kind of damage to every kind of file. `disks` has those that have no room.

A cell of `TABLE` says what is expected of a damage to a file:

    .  a plain run ends at the same bytes: nothing was lost, or it was made again
    s  the run says so, with the file's name and a command; `doctor --repair` and a rerun bring back the same bytes
    d  the run has no need of it, and goes on; `doctor` finds it, `--repair` and a rerun bring back the same bytes
    p  the run says so, and only a person can put it right: put back from a copy, the run ends at the same bytes
    -  it can't be done, is none, or is not promised to be noticed
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from datagen import shards
from tests.campaign import runs
from tests.campaign.runs import Outcome, Reference

FILES = {
    "chunk": "chunk/shard-00001.parquet",
    "chunk-dropped": "chunk/dropped/shard-00001.parquet",
    "documents": "chunk/documents/shard-00001.parquet",
    "embed": "embed/shard-00001.parquet",
    "cluster": "cluster/shard-00001.parquet",
    "cluster-dropped": "cluster/dropped/shard-00001.parquet",
    "generate": "generate/shard-00001.parquet",
    "generate-dropped": "generate/dropped/shard-00001.parquet",
    "judge": "judge/shard-00001.parquet",
    "judge-dropped": "judge/dropped/shard-00001.parquet",
    "select": "select/shard-00001.parquet",
    "layout": "chunk/shards.json",
    "chunk-identity": "chunk/stage.json",
    "judge-identity": "judge/stage.json",
    "select-identity": "select/stage.json",
    "chunk-ledger": "chunk/ledger.json",
    "judge-ledger": "judge/ledger.json",
    "settings": "config.yaml",
    "hashes": ".fingerprints.json",
    "generate-journal": "journal/generate/shard-00001.jsonl",
    "judge-journal": "journal/judge/shard-00001.jsonl",
    "train": "dataset/data/train-00000-of-00001.parquet",
    "validation": "dataset/data/validation-00000-of-00001.parquet",
    "provenance": "dataset/provenance.json",
    "lock": ".lock",
}
DAMAGE = ("cut", "early-bit", "late-bit", "zeros", "emptied", "grown", "other-run", "deleted", "folder", "dangling")
TABLE = """
chunk             s d s s s s s . s s
chunk-dropped     s s s s s s d . s s
documents         s d s s s s d . s s
embed             s d s s s s s . s s
cluster           s s s s s s s . s s
cluster-dropped   d d d d d d d . d d
generate          s d s s s s s . s s
generate-dropped  d d d d d d d . d d
judge             s s s s s s s . s s
judge-dropped     d d d d d d d . d d
select            s s s s s s s . s s
layout            s s s s s s . . s s
chunk-identity    s - - s s s - . s s
judge-identity    s - - s s s - . s s
select-identity   s - - s s s - . s s
chunk-ledger      s - - s s s d . s s
judge-ledger      s - - s s s d . s s
settings          - - - p - p - - p p
hashes            . . . . . . . . . .
generate-journal  . d d . . d . . - -
judge-journal     . d d . . d . . - -
train             s d s s s s - . s s
validation        d d d d d d - . d d
provenance        s - - s s s . . s s
lock              - - - - - . - . p p
"""


def listed() -> Iterator[tuple[str, str, str]]:
    """(file, damage, what is expected)"""
    for line in TABLE.strip().splitlines():
        file, *cells = line.split()
        yield from ((file, damage, cell) for damage, cell in zip(DAMAGE, cells, strict=True) if cell != "-")


def damage(what: str, path: Path, other: Path) -> None:
    """Do it to a file; `other` is the same one in a run of other settings."""
    data = bytearray(path.read_bytes())
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "dangling":
        os.symlink("/nowhere/at/all", path)
    elif what != "deleted":
        if what.endswith("-bit") and data:
            data[int((0.3 if what == "early-bit" else 0.97) * len(data))] ^= 4
        changed = {
            "cut": data[: len(data) // 2],
            "zeros": bytes(len(data)),
            "emptied": b"",
            "grown": data + b"\0what is left of another file\n",
            "other-run": other.read_bytes() if what == "other-run" else b"",
        }
        path.write_bytes(changed.get(what, data))


def damaged(reference: Reference, place: Path, file: str, what: str) -> Outcome:
    """Damage a file of a finished run, and recover."""
    run = place / "run"
    shutil.copytree(reference.run, run)
    damage(what, run / FILES[file], reference.root / "other" / FILES[file])
    return recovered(reference, run, FILES[file])


def recovered(reference: Reference, run: Path, file: str) -> Outcome:
    """Do what a person would: run again; follow the advice; else put the file back from a copy."""
    began, paid = time.monotonic(), runs.paid(reference.server)
    lost = len(set(runs.answers(reference.run)) - set(runs.answers(run)))
    first = runs.call("run", "-o", run)
    outcome = Outcome(".", told=first.err)
    if first.code or runs.content(run) != runs.content(reference.run) or runs.call("doctor", run).code:
        outcome.letter = "s" if first.code else "d"
        if first.code:
            assert first.code in (1, 2)
            assert file in first.err or str(Path(file).parent) in first.err, first.err
        runs.call("doctor", run, "--repair")
        second = runs.call("run", "-o", run)
        if second.code or runs.call("doctor", run).code:
            outcome.letter, outcome.told = "p" if first.code else "?", second.err
            shards.remove(str(run / file))
            shutil.copy(reference.run / file, run / file)
            last = runs.call("run", "-o", run)
            assert last.code == 0, last.err
        elif first.code:
            assert "longrlvr-data" in first.err, "it names no command"
    outcome.seconds = time.monotonic() - began
    outcome.paid_twice = max(0, runs.paid(reference.server) - paid - lost)
    runs.balanced(run)
    return runs.compared(outcome, run, reference.run)
