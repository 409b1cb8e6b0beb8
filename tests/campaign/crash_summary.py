"""A pytest plugin: the crash campaign's draws in one line of JSON at the end, from whichever process they ran in."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

PROPERTY = "crash"
SUMS = ("rows_lost", "rows_duplicated", "wrong_bytes", "redone", "asked_twice_beyond_in_flight")
SUMS += ("in_flight_given_twice", "leftovers")


def summary(draws: list[dict[str, Any]]) -> dict[str, Any]:
    """Of draws: {"signal", "stage", "backend", "hit", "survived", "recovery_s"} and the counts in `SUMS`."""
    hits = [draw for draw in draws if draw["hit"]]
    by = {f"by_{name}": dict(sorted(Counter(draw[name] for draw in hits).items())) for name in ("signal", "stage")}
    by |= {f"by_{name}": dict(sorted(Counter(draw[name] for draw in hits).items())) for name in ("backend", "target")}
    survived = sum(draw["survived"] for draw in hits)
    sums = {name: sum(draw.get(name, 0) for draw in draws) for name in SUMS}
    worst = max((draw["recovery_s"] for draw in hits), default=0.0)
    return {"kills": len(hits), **by, "survived": survived, **sums, "worst_recovery_s": round(worst, 1)}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the line if any draw was made."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, ())]
    draws = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
    if draws:
        terminalreporter.write_line(f"crashes: {json.dumps(summary(draws))}")
