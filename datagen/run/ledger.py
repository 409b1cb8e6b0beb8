"""The ledger: in = kept + rejected(by reason) + failed(by reason) + pending, for every stage and kind of row.

A shard's ledger is checked as sets of ids when the shard is written, and stands in the footer of its parquet file, so
that counts and rows can never part. `status` reads footers only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from datagen import records, shards
from datagen.errors import LedgerError
from datagen.records import Dropped

Ledger = dict[str, dict[str, Any]]  # unit → {"in", "kept", "rejected": {reason: n}, "failed": {reason: n}}


def account(stage: str, takes: str, makes: str, came_in: set[str], rows: list[Any], dropped: list[Dropped]) -> Ledger:
    """The ledger of one shard. Raises LedgerError if a row appeared or left without a reason."""
    ledger: Ledger = {}
    if strange := {d.unit for d in dropped} - {takes, makes}:
        raise LedgerError(f"{stage}: it takes {takes} rows and makes {makes} rows, but drops {sorted(strange)[0]} rows")
    for unit in dict.fromkeys((takes, makes)):
        made = records.unit_keys(unit, rows)
        kept = set(made)
        left = [d for d in dropped if d.unit == unit]
        left_ids = {d.row_id for d in left}
        found = came_in if unit == takes else kept | left_ids
        problems = {
            "made twice": _twice(made) if unit == makes else [],
            "dropped twice": _twice([d.row_id for d in left]),
            "both kept and dropped": kept & left_ids,
            "gone without a reason": found - kept - left_ids,
            "from nowhere": (kept | left_ids) - found,
        }
        for problem, ids in problems.items():
            if ids:
                raise LedgerError(f"{stage}: {len(ids)} {unit} rows {problem}, such as {sorted(ids)[0]!r}")
        ledger[unit] = {
            "in": len(found),
            "kept": len(kept),
            "rejected": dict(Counter(d.reason for d in left if d.status == "rejected")),
            "failed": dict(Counter(d.reason for d in left if d.status == "failed")),
        }
    return ledger


def _twice(ids: list[str]) -> list[str]:
    return [row_id for row_id, n in Counter(ids).items() if n > 1]


def add(ledgers: list[Ledger]) -> Ledger:
    total: Ledger = {}
    for ledger in ledgers:
        for unit, entry in ledger.items():
            sums = total.setdefault(unit, {"in": 0, "kept": 0, "rejected": {}, "failed": {}})
            sums["in"] += entry["in"]
            sums["kept"] += entry["kept"]
            for status in ("rejected", "failed"):
                sums[status] = dict(sorted((Counter(sums[status]) + Counter(entry[status])).items()))
    return total


def failures(ledger: Ledger) -> int:
    return sum(sum(entry["failed"].values()) for entry in ledger.values())


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is: its ledger over the finished shards, and what of its first unit is still pending."""

    name: str
    shards_done: int
    shards_total: int | None  # None until chunk has seen the end of the input
    rows: int
    ledger: Ledger
    pending: int | None
    seconds: float | None
    mixed: bool


def stage_status(run: str, name: str, takes: str, primary: str | None) -> StageStatus:
    """Read a stage's state from its shards. `primary` is the stage whose rows it works on (None for chunk)."""
    folder = shards.join(run, name)
    done, rows, ledger = shards.names(folder), 0, Ledger()
    for shard in done:
        n, entry = shards.read_ledger(shards.join(folder, shard + shards.SUFFIX))
        rows, ledger = rows + n, add([ledger, entry])
    layout = shards.read_json(shards.join(run, "chunk", "shards.json"))
    total = None if layout is None else len(layout)
    pending: int | None = None
    if primary is None:
        pending = 0 if layout is not None and total == len(done) else None
    elif shards.exists(folder) or shards.exists(shards.join(run, primary)):
        upstream = shards.join(run, primary)
        todo = sorted(set(shards.names(upstream)) - set(done))
        pending = sum(shards.read_ledger(shards.join(upstream, s + shards.SUFFIX))[1][takes]["kept"] for s in todo)
    summary = shards.read_json(shards.join(folder, "ledger.json")) or {}
    state = shards.read_json(shards.join(folder, "stage.json")) or {}
    return StageStatus(
        name=name,
        shards_done=len(done),
        shards_total=total,
        rows=rows,
        ledger=ledger,
        pending=pending,
        seconds=summary.get("seconds"),
        mixed=bool(state.get("mixed")),
    )
