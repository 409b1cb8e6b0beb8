"""What is left of a run that was killed: its processes, its files, what it said."""

from __future__ import annotations

import re
import time
from pathlib import Path

from datagen.stages import STAGES

NAMES = [s.name for s in STAGES]
LOCK_OF_A_JOB = re.compile(r"\.lock-\d+-of-\d+(-owner)?")
BOOKKEEPING = {".lock", ".lock-owner", ".fingerprints.json"}


def said(run: Path) -> str:
    return Path(f"{run}.err").read_text()


def results(run: Path) -> dict[str, bytes]:
    """Every table of every stage, and every file of the dataset."""
    files = [p for p in run.rglob("*") if p.is_file() and (p.suffix == ".parquet" or "dataset" in p.parts)]
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(files)}


def leftovers(run: Path) -> list[str]:
    return [p.name for p in run.rglob(".*") if p.name not in BOOKKEEPING and not LOCK_OF_A_JOB.fullmatch(p.name)]


def family(session: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its_session = stat.read_text().rsplit(")", 1)[1].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def gone(session: int, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while family(session) and time.monotonic() < end:
        time.sleep(0.05)
    return not family(session)
