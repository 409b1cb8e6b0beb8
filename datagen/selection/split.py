"""Which documents are held out for validation: whole documents, whose rows come closest to a share of all rows.

The documents stand in an order drawn by the seed. From its start they are taken while many rows are missing; the rest
is subset sum, by dynamic programming over what sums of rows the following documents can make up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

REST = 1000  # missing rows from which on the sum is exact: it bounds time and memory


def validation_documents(rows: Mapping[str, int], fraction: float, seed: int) -> set[str]:
    """The ids of the documents held out.

    Args:
        rows: how many rows each document has, at least one; the order does not matter.
        fraction: the share of all rows that is aimed at, 0 to 1. At least one document is held out, and one is not,
            where there are two; none is at 0.
        seed: draws which of the documents that would do.
    """
    if fraction == 0 or len(rows) < 2:
        return set()
    drawn = sorted(rows, key=lambda d: hashlib.sha256(f"{seed}:split:{d}".encode()).digest())
    total = sum(rows.values())
    missing = min(fraction * total, total - 1)
    taken = 0
    while missing - rows[drawn[taken]] > REST:
        missing -= rows[drawn[taken]]
        taken += 1
    left = drawn[taken:]
    chosen = _closest([rows[d] for d in left], missing, may_be_none=taken > 0)
    return {*drawn[:taken], *(left[i] for i in chosen)}


def off_share(train: int, validation: int, fraction: float) -> str | None:
    """A sentence where the validation rows are far from their share (by more than half of it), else None."""
    rows = train + validation
    if abs(validation - fraction * rows) <= max(fraction * rows / 2, 1):
        return None
    return (
        f"{validation:,} of {rows:,} rows ({validation / rows:.0%}) are for validation, and "
        f"select.validation_fraction asks for {fraction:.0%}: whole documents go to one split, and no other choice of "
        "them comes closer. More documents would"
    )


def _closest(counts: Sequence[int], wanted: float, may_be_none: bool) -> list[int]:
    """The positions of some of the counts, not of all, whose sum is closest to `wanted`; the first that are found."""
    bound = min(int(wanted) + max(int(wanted), *counts) + 1, sum(counts) - 1)
    reached_by = np.full(bound + 1, -1, np.int64)  # by the first count with which the sum can be made up
    reached_by[0] = len(counts)
    targets = {int(wanted), int(wanted) + 1} if wanted % 1 == 0.5 else {round(wanted)}
    for i, count in enumerate(counts):
        if count <= bound:
            new = (reached_by[:-count] >= 0) & (reached_by[count:] < 0)
            reached_by[count:][new] = i
        if any(0 < target <= bound and reached_by[target] >= 0 for target in targets):
            break
    sums = np.flatnonzero(reached_by >= 0)[0 if may_be_none else 1 :]
    rest = int(sums[np.argmin(np.abs(sums - wanted))])
    chosen: list[int] = []
    while rest:
        chosen.append(int(reached_by[rest]))
        rest -= counts[chosen[-1]]
    return chosen
