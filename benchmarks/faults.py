"""How much of its throughput our engine keeps while a server fails: with 1, 10 and 30 % of the attempts at fault.

    python benchmarks/faults.py [--quick] [--requests N]

The server (`tests/servers`), in a process of its own, fails in the ways that pass: error statuses, connections that are
reset or cut, pages that are no replies, empty replies. The share is that of the requests a second, against the same
requests to the same server without faults, run just before. Of a server that fails a share p of the attempts after as
long as an answer takes, 1 - p can be kept: each request needs 1 / (1 - p) attempts. One that refuses at once
costs less.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from benchmarks.engine import LATENCY, SLOTS, SPREAD, Prompts, fresh, serving

RATES = (0.01, 0.1, 0.3)
PASSING = ("408", "500", "502 html body", "503", "429 bare", "reset", "cut", "garbage", "null content", "abort")
REQUESTS, QUICK = 20_000, 2_000


def run(total: int, rate: float) -> dict[str, Any]:
    faults = {"faults": ",".join(PASSING), "fault_rate": rate} if rate else {}
    with serving(slots=SLOTS, latency=LATENCY, spread=SPREAD, **faults) as server:
        return fresh([server.url], Prompts(total))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    parser.add_argument("--requests", type=int, help="so many instead")
    args = parser.parse_args()
    total = args.requests or (QUICK if args.quick else REQUESTS)
    ideal = run(total, 0.0)
    found: dict[str, dict[str, Any]] = {}
    print(f"{'faults':>8} {'seconds':>9} {'a second':>9} {'attempts':>9} {'share':>7} {'in reach':>9} {'lost':>5}")
    print(f"{'none':>8} {ideal['seconds']:>9.1f} {ideal['per_second']:>9.1f} {ideal['attempts']:>9}", flush=True)
    for rate in RATES:
        row = run(total, rate)
        share, lost = row["per_second"] / ideal["per_second"], sum(row["errors"].values())
        found[f"{rate:g}"] = {
            "share": round(share, 3),
            "of_what_is_in_reach": round(share / (1 - rate), 3),
            "seconds": round(row["seconds"], 2),
            "attempts": row["attempts"],
            "errors": row["errors"],
        }
        line = f"{rate:>8.0%} {row['seconds']:>9.1f} {row['per_second']:>9.1f} {row['attempts']:>9}"
        print(f"{line} {share:>7.3f} {1 - rate:>9.2f} {lost:>5}", flush=True)
    whole = {"benchmark": "faults", "requests": total, "share": {rate: row["share"] for rate, row in found.items()}}
    print(json.dumps(whole | {"rates": found, "slots": SLOTS, "latency": LATENCY, "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
