"""What a person names by an id or a part of it: a document, a cluster or a candidate of a run."""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from datagen import shards
from datagen.errors import UserError
from datagen.run.paths import RunPaths

UNITS = ("document", "cluster", "candidate")
NEAR = 5  # ids that are named where there is none of the name given
AROUND = 5000  # ids on either side, in order, among which similar ones are looked for
# Where ids stand: stage, table, the column of the id, and what it is of where no column says so.
TABLES = (
    ("chunk", "documents", "doc_id", "document"),
    ("chunk", "dropped", "row_id", ""),
    ("cluster", "", "cluster_id", "cluster"),
    ("cluster", "dropped", "row_id", ""),
    ("generate", "", "qa_id", "candidate"),
    ("generate", "dropped", "row_id", ""),
)


@dataclass(frozen=True)
class Place:
    """Where the rows about something stand, and what it is."""

    shard: str
    doc_id: str
    unit: str


def places(run: str) -> dict[str, Place]:
    """Every document, cluster and candidate there was, whatever became of it, by its id."""
    found: dict[str, Place] = {}
    for stage, table, key, unit in TABLES:
        for shard in RunPaths(run).names(stage):
            path = RunPaths(run).shard(stage, shard, table)
            columns = list(dict.fromkeys([key, "doc_id", *([] if unit else ["unit"])]))
            for row in shards.read_table(path, columns).to_pylist() if shards.exists(path) else []:
                of, name = unit or row["unit"], row[key]
                # A row of the input that could not be read may bear the id of a document that could.
                found.setdefault(name, Place(shard, name if of == "document" else row["doc_id"], of))
    return found


def named(option: str, wanted: str, run: str, known: dict[str, Place]) -> str:
    """The id that is meant: it is that, or the only one of its kind with that in it, documents before clusters before
    candidates. Raises UserError with ids that may be meant.
    """
    if not known:
        raise UserError(f"{option} {wanted}: {run} has no documents yet")
    if wanted in known:
        return wanted
    for unit in UNITS:
        matches = sorted(name for name, place in known.items() if place.unit == unit and wanted in name)
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UserError(f"{option} {wanted}: {len(matches):,} {unit}s have it in their id. {_such_as(matches)}")
    what = "no document, cluster or candidate of the run has that id"
    raise UserError(f"{option} {wanted}: {what}. {_such_as(_near(wanted, sorted(known)))}")


def _near(wanted: str, ids: Sequence[str]) -> list[str]:
    """Ids that are spelt much like the one wanted, else those that stand beside it in order."""
    at = bisect.bisect(ids, wanted)
    around = ids[max(at - AROUND, 0) : at + AROUND]
    start = max(min(at - NEAR // 2, len(ids) - NEAR), 0)
    return difflib.get_close_matches(wanted, around, n=NEAR) or list(ids[start : start + NEAR])


def _such_as(ids: Sequence[str]) -> str:
    return f"Such as: {', '.join(ids[:NEAR])}"
