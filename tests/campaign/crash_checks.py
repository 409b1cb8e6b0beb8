"""What has to be true of a run that was killed, and of the same run once it has gone on to its end."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from filelock import FileLock

from datagen.run.run import Run
from datagen.run.status import statuses
from tests.campaign.crashing import CONCURRENCY, FAILED_ROWS, SIGNALS, Draw
from tests.killed import NAMES, leftovers, results, said
from tests.servers.openai_server import Server

WORKER_KILLED = "error: a worker process was killed, most often for lack of memory: try fewer --workers."


@dataclass
class Found:
    """What was found wrong with a draw, and how often: all that is counted is to be 0."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def wrong(self, what: str, count: str = "", n: int = 1) -> None:
        """Note something, and count it."""
        self.problems.append(what)
        if count:
            self.counts[count] += n


def journalled(run: Path) -> Counter[str]:
    """The answers on disk by request key: whole lines, without those of requests that got none."""
    found: Counter[str] = Counter()
    for file in (run / "journal").rglob("*.jsonl"):
        lines = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
        found.update(line["key"] for line in lines if not line.get("error"))
    return found


def finished(run: Path) -> dict[str, int]:
    """The finished shards of all stages, and when they were written."""
    files = [file for name in NAMES for file in (run / name).glob("*.parquet")]
    return {str(file.relative_to(run)): file.stat().st_mtime_ns for file in files}


def ends_as_asked(number: int, twice: bool, code: int, words: str) -> bool:
    """Whether this is how a process ends at a signal: killed by it, or, if it was a polite one, with a sentence and the
    exit code 130. A polite one kills where nothing has begun yet, in silence, or where it is the second.
    """
    if code == -number:
        return number == signal.SIGKILL or twice or not re.search("^error", words, re.M)
    return number != signal.SIGKILL and code == 130 and words.count("interrupted; ") == 1


def check_end(found: Found, draw: Draw, run: Path, code: int) -> None:
    """How the process ended, and what it said. The signal may have come too late."""
    words = said(run)
    if "Traceback" in words or "Exception ignored" in words:
        found.wrong(f"it printed a traceback: {words}")
    complete = code == FAILED_ROWS and (run / "dataset" / "provenance.json").exists()
    if draw.target == "worker":
        right = complete or (code == 1 and WORKER_KILLED in words)
    else:
        right = complete or ends_as_asked(SIGNALS[draw.signal], draw.twice is not None, code, words)
    if not right:
        found.wrong(f"it ended with {code} and said: {words}")
    if draw.signal != "KILL" and draw.target != "worker" and draw.twice is None and (left := temporary(run)):
        found.wrong(f"left over after a polite end: {left}", "leftovers", len(left))


def temporary(run: Path) -> list[str]:
    """Files that nothing needs any more."""
    return leftovers(run) + [str(p) for p in Path(f"{run}.tmp").rglob("*")]


def check_whole(found: Found, run: Path, reference: Path, expected: dict[str, bytes], before: dict[str, int]) -> None:
    """The run as it is at the end. `before`: the shards that were finished at the kill."""
    there = results(run)
    if wrong := [name for name in {*there, *expected} if there.get(name) != expected.get(name)]:
        found.wrong(f"other bytes: {wrong}", "wrong_bytes", len(wrong))
        for name in filter(lambda name: name.endswith(".parquet"), wrong):
            ours, theirs = _rows(run / name), _rows(reference / name)
            found.counts["rows_lost"] += (theirs - ours).total()
            found.counts["rows_duplicated"] += (ours - theirs).total()
    for name in ("chunk/shards.json", *(f"{stage}/stage.json" for stage in NAMES)):
        if (run / name).read_bytes() != (reference / name).read_bytes():
            found.wrong(f"another {name}", "wrong_bytes")
    after = finished(run)
    if again := [name for name, at in before.items() if after.get(name) != at]:
        found.wrong(f"finished at the kill and made again: {again}", "redone", len(again))
    if left := temporary(run):
        found.wrong(f"left over: {left}", "leftovers", len(left))
    with FileLock(run / ".lock", timeout=0):
        _check_ledger(found, run, reference)


def _check_ledger(found: Found, run: Path, reference: Path) -> None:
    for status in statuses(Run(str(run)))[:-1]:
        for unit, entry in status.ledger.items():
            out = entry["kept"] + sum(entry["rejected"].values()) + sum(entry["failed"].values())
            if entry["in"] != out or status.pending:
                found.wrong(f"{status.name}: the ledger of {unit} rows does not add up: {entry}, {status.pending}")
        ours, theirs = (json.loads((root / status.name / "ledger.json").read_text()) for root in (run, reference))
        if ours["units"] != theirs["units"] or _replies(ours) != _replies(theirs):
            found.wrong(f"{status.name}: another ledger: {ours} instead of {theirs}")


def _replies(ledger: dict[str, Any]) -> Any:
    usage = ledger.get("usage")
    return usage and {name: usage[name] for name in ("requests", "prompt_tokens", "completion_tokens")}


def lost(run: Path, reference: Path, draw: Draw, server: Server) -> int:
    """The answers that the server has given and no journal has: as yet, or for good."""
    return server.stats.answered.total() - (journalled(run).total() - len(_started_with(reference, draw)))


def check_asked(found: Found, draw: Draw, run: Path, reference: Path, in_flight: int, server: Server) -> int:
    """What was asked in all. `in_flight`: the answers that were lost with the kill. Returns how many came twice."""
    final, wanted = journalled(run), journalled(reference)
    if final != wanted:
        found.wrong(f"{len(final)} answers in the journals instead of {len(wanted)}", "rows_lost")
    if draw.backend == "batch":
        rows = server.stats.batch_rows
        if more := rows.total() - len(rows):
            found.wrong(f"{more} rows of batches were sent twice", "asked_twice_beyond_in_flight", more)
        if again := rows.keys() & _started_with(reference, draw):
            found.wrong(f"{len(again)} rows were asked though they were in a journal", "asked_twice_beyond_in_flight")
        if jobs := list((run / "journal").rglob("batches/*.json")):
            found.wrong(f"batches that are done with are remembered: {jobs}", "leftovers", len(jobs))
        return 0
    if in_flight > CONCURRENCY:
        found.wrong(f"{in_flight} answers were on no disk", "asked_twice_beyond_in_flight", in_flight - CONCURRENCY)
    twice = lost(run, reference, draw, server)
    if twice != in_flight:
        what = f"{in_flight} answers were in flight, {twice} were given twice"
        found.wrong(what, "asked_twice_beyond_in_flight", max(1, twice - in_flight))
    return twice


def _started_with(reference: Path, draw: Draw) -> set[str]:
    """The request keys that were in the journals of the run directory that the draw began with."""
    later = NAMES[NAMES.index(draw.stage) :] if draw.stage != "dataset" else []
    files = [file for name in NAMES if name not in later for file in (reference / "journal" / name).glob("*.jsonl")]
    return {json.loads(line)["key"] for file in files for line in file.read_text().splitlines()}


def _rows(file: Path) -> Counter[str]:
    return Counter(map(repr, pq.read_table(file).to_pylist())) if file.exists() else Counter()
