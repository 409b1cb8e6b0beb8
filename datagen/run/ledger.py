"""The ledger: in = kept + rejected(by reason) + failed(by reason) + pending, for every stage and kind of row.

A shard's ledger is checked as sets of ids when the shard is written, and stands in the footer of its parquet file, so
that counts and rows can never part. `status` reads footers only.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from datagen import records
from datagen.errors import LedgerError
from datagen.records import Dropped

Ledger = dict[str, dict[str, Any]]  # unit → {"in", "kept", "rejected": {reason: n}, "failed": {reason: n}}


def account(
    stage: str, input_unit: str, output_unit: str, came_in: set[str], rows: list[Any], dropped: list[Dropped]
) -> Ledger:
    """The ledger of one shard. Raises LedgerError if a row appeared or left without a reason."""
    ledger: Ledger = {}
    if strange := {d.unit for d in dropped} - {input_unit, output_unit}:
        raise LedgerError(
            f"{stage}: it takes {input_unit} rows and makes {output_unit} rows, but drops {sorted(strange)[0]} rows"
        )
    for unit in dict.fromkeys((input_unit, output_unit)):
        made = records.unit_keys(unit, rows)
        kept = set(made)
        left = [d for d in dropped if d.unit == unit]
        left_ids = {d.row_id for d in left}
        found = came_in if unit == input_unit else kept | left_ids
        problems = {
            "made twice": _twice(made) if unit == output_unit else [],
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
    """The sum of some ledgers, reasons sorted."""
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
    """Rows that failed, of all units and for all reasons."""
    return sum(sum(entry["failed"].values()) for entry in ledger.values())
