"""Sums up the faults that were tried, as one line of JSON at the end."""

import json
from collections import Counter


def pytest_terminal_summary(terminalreporter):
    reports = [r for rs in terminalreporter.stats.values() for r in rs if getattr(r, "when", "") == "call"]
    tried = [(r, value) for r in reports for name, value in r.user_properties if name == "fault"]
    if not tried:
        return
    found = [fault for _, fault in tried]
    sums = {name: sum(f[name] for f in found) for name in ("rows_lost", "rows_duplicated", "wrong_bytes", "paid_twice")}
    summary = {
        "faults": len(found),
        "by_kind": Counter(f["kind"] for f in found),
        "by_outcome": Counter(f["letter"] for f in found),
        "survived": sum(r.passed for r, _ in tried),
        **{("paid_twice_beyond_in_flight" if k == "paid_twice" else k): n for k, n in sums.items()},
        "worst_recovery_s": round(max(f["seconds"] for f in found), 2),
    }
    terminalreporter.write_line(json.dumps(summary))
