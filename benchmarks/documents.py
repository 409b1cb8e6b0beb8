"""What becomes of real documents: a line for each, by kind and script, with its chunks, clusters and rows.

    python benchmarks/documents.py FOLDER [--quick] [--keep RUN] [--set KEY=VALUE …]

One run of all stages over the folder with `-c extractive`, as a person would start it; --keep says where it stays, to
be looked into. A document without a row has the stage where it fell out and why. --quick takes the first 20 documents.
The last line is one JSON object: documents read, set aside and with a row, rows, and the share of the documents that
have one, of those with at least one cluster's worth of chunks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from datagen.inspect import missing
from datagen.run.run import Run
from datagen.text import scripts

FEWEST = 4  # chunks that make a cluster


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run = str(args.keep or Path(temporary) / "run")
        settings = [*args.settings, *(["input.limit=20"] * args.quick)]
        command = [sys.executable, "-m", "datagen", "run", "-c", "extractive", "--input", str(args.folder), "-o", run]
        subprocess.run([*command, *(part for each in settings for part in ("--set", each))], check=False)
        print(json.dumps(table(Run(run))))


def table(run: Run) -> dict[str, float]:
    """Print a line for each document; the sums."""
    stages = [stage for stage in ("chunk", "cluster", "select") if run.names(stage)]
    counted = {stage: Counter(row.doc_id for row in run.rows(stage)) for stage in stages}
    why = {found.doc_id: found for found in missing.tell(run)}
    heads = f"{'chunks':>7}{'clusters':>9}{'rows':>6}"
    print(f"\n{'document':<60}{'kind':<11}{'script':<12}{heads}  without a row: why")
    read = long_enough = with_rows = 0
    for document in run.rows("chunk", "documents"):
        n = {stage: counted.get(stage, {}).get(document.doc_id, 0) for stage in ("chunk", "cluster", "select")}
        kind = json.loads(document.metadata).get("kind") or Path(document.source).suffix.removeprefix(".")
        found = why.pop(document.doc_id, None)
        reason = f"{found.stage}: {found.reason} ({found.detail[:60]})" if found else ""
        numbers = f"{n['chunk']:>7,}{n['cluster']:>9,}{n['select']:>6,}"
        print(f"{document.doc_id[-58:]:<60}{kind:<11}{scripts.script(document.text):<12}{numbers}  {reason}")
        read += 1
        long_enough += n["chunk"] >= FEWEST
        with_rows += bool(n["select"])
    for found in why.values():
        print(f"{found.doc_id[-58:]:<60}{'–':<11}{'–':<12}{'set aside':>22}  {found.reason}: {found.detail}")
    rows = counted.get("select", Counter()).total()
    share = round(with_rows / long_enough, 3) if long_enough else 0.0
    return {"read": read, "set_aside": len(why), "with_rows": with_rows, "rows": rows, "share_with_rows": share}


if __name__ == "__main__":
    main()
