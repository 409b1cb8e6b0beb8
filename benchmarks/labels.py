"""How right are the labels? Documents whose evidence is known, a model that errs at set rates, the real stages between.

    python benchmarks/labels.py [--quick] [--documents N] [--levels none moderate …] [--ablate] [--examples N]

Facts are planted in documents of 60 to 120 chunks, so that for every question all the minimal sets of chunks that
settle it are known (labels_world/). A simulated model writes candidates, rates them, answers and compares answers, each
with mistakes of its own; `generate`, `judge` and `select` run as they are. Two ways are held against each other, over
the same candidates:

published  a rating by the five criteria, then selection; what LongRLVR (arXiv 2603.02146) describes
checked    the checks that are made by default

exact      the chunks cited are the one and only minimal sufficient set, and the question can be taken in one way only
lenient    … are one of the minimal sufficient sets of a reading of the question
wrong      the answer is wrong
calls      requests of generating and judging, for every row that is kept; and for every row that is exact and whose
           answer is right

The ratio is of the calls for such a row, checked to published, at the level `moderate`. The simulated model shares no
code with the checks. `--ablate` leaves out one check after the other at that level; a rating there must be.

The encoder is a table of word vectors, so that it takes next to no time; it finds the chunk that repeats a cited one
less often than the embedded encoder does (`--encoder embedded`). For a fifth of the questions a fact is repeated, or
all is said in one sentence elsewhere: even a model without errors is not always exact.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from end_to_end import write_encoder
from labels_world import documents, runs
from labels_world.documents import World
from labels_world.measures import Outcome, label
from labels_world.model import Model
from labels_world.rates import LEVELS, Rates

from datagen import shards
from datagen.config import model as configs
from datagen.config.questions import JudgeConfig
from datagen.records import Candidate, Dropped, Selection
from datagen.stages import generate, judge, select

FULL, QUICK = 200, 60  # documents
LEVEL = "moderate"  # of the ratio, the examples and the ablation
DEFAULT = list(JudgeConfig().checks)
WAYS = {"published": ["quality"], "checked": DEFAULT}
ABLATED = {f"without {left}": [check for check in DEFAULT if check != left] for left in DEFAULT if left != "quality"}
ABLATED |= {"with policy": [*DEFAULT, "policy"]}
COLUMNS = {
    "candidates": ("candidates", "{:,}"),
    "kept": ("kept", "{:,}"),
    "kept_per_document": ("per doc", "{:.2f}"),
    "exact": ("exact", "{:.1%}"),
    "lenient": ("lenient", "{:.1%}"),
    "precision": ("precision", "{:.3f}"),
    "recall": ("recall", "{:.3f}"),
    "wrong_answers": ("wrong", "{:.1%}"),
    "calls_per_kept": ("calls/kept", "{:.1f}"),
    "calls_per_correct": ("calls/correct", "{:.1f}"),
}


class Bench:
    """A world in a run directory; every level of error and every way to judge has a copy of its own."""

    def __init__(self, world: World, seed: int, root: Path, encoder: str) -> None:
        self.world, self.seed, self.root = world, seed, root
        settings = {
            "engine.model": "simulated",
            "generate.method": "llm",
            "generate.max_evidence": 6,
            "judge.method": "llm",
            "embed.model": encoder,
            "embed.device": "cpu",
        }
        self.config = configs.load(None, settings)
        runs.write(world, str(root / "world"), self.config)

    def generated(self, level: str, rates: Rates) -> Counter[str]:
        """Write the candidates of a level; the requests that took."""
        shutil.copytree(self.root / "world", self.root / level)
        engine = runs.Simulated(Model(self.world, rates, self.seed))
        runs.run(generate.STAGE, str(self.root / level), self.config, engine)
        return engine.calls

    def judged(
        self, level: str, rates: Rates, checks: list[str], calls: Counter[str]
    ) -> tuple[Outcome, dict[str, Any]]:
        """Judge the candidates of a level and select; what came of it, and the model's mistakes by question."""
        folder, config = str(self.root / "judged"), configs.merge(self.config, {"judge.checks": checks})
        shutil.copytree(self.root / level, folder)
        engine = runs.Simulated(Model(self.world, rates, self.seed))
        runs.run(judge.STAGE, folder, config, engine)
        runs.run_offline(select.STAGE, folder, config)
        outcome = self._outcome(folder, dict(calls + engine.calls))
        shutil.rmtree(folder)
        return outcome, engine.mistakes

    def _outcome(self, folder: str, calls: dict[str, int]) -> Outcome:
        made = {row.qa_id: row for row in rows(folder, "generate", Candidate)}
        labels = [
            label(self.world, made[row.qa_id].question, made[row.qa_id].answer, row.ref_chunks)
            for row in rows(folder, "select", Selection)
        ]
        left = Counter(row.reason for stage in ("judge", "select") for row in rows(folder, f"{stage}/dropped", Dropped))
        return Outcome(labels, len(self.world.documents), len(made), calls, dict(left.most_common()))


def rows(folder: str, name: str, record: type) -> list[Any]:
    path = shards.join(folder, name)
    return [row for shard in shards.names(path) for row in shards.read_rows(f"{path}/{shard}{shards.SUFFIX}", record)]


# What is printed ------------------------------------------------------------------------------------------------------


def show(level: str, way: str, summary: dict[str, Any], seconds: float) -> None:
    cells = [form.format(summary[name]) if summary[name] is not None else "–" for name, (_, form) in COLUMNS.items()]
    print(f"{level:<12} {way:<22} " + " ".join(f"{cell:>13}" for cell in cells) + f" {seconds:>7.1f}", flush=True)


def explain(way: str, outcome: Outcome, mistakes: dict[str, list[str]], examples: int) -> None:
    """Where the labels that were kept are wrong, and what let them through."""
    n = len(outcome.labels)
    print(f"\n{LEVEL}, {way}: {n:,} rows kept of {outcome.candidates:,} candidates")
    print("  requests          " + ", ".join(f"{name} {count:,}" for name, count in sorted(outcome.calls.items())))
    print("  dropped           " + ", ".join(f"{reason} {count:,}" for reason, count in outcome.dropped.items()))
    print("  faults            " + ", ".join(f"{fault} {count:,}" for fault, count in outcome.faults().most_common()))
    by_kind = outcome.faults_by_kind().items()
    print("  faulty, by kind   " + ", ".join(f"{kind} {faulty} of {total}" for kind, (faulty, total) in by_kind))
    for row in [row for row in outcome.labels if row.faults][:examples]:
        print(f"  {row.doc_id}: {row.question}\n      {'; '.join(row.faults)}")
        print(f"      answer    {row.answer!r}, right is {row.right_answer!r}")
        print(f"      evidence  {sorted(row.evidence)}, right is {sorted(row.nearest)}")
        what = Counter(mistakes.get(row.question, []))
        print("      mistakes  " + ("; ".join(f"{m} (×{k})" for m, k in what.items()) or "none: no check looked there"))


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} documents instead of {FULL}")
    parser.add_argument("--documents", type=int, help="so many instead")
    parser.add_argument("--levels", nargs="*", choices=LEVELS, default=list(LEVELS), help="default: all")
    parser.add_argument("--ablate", action="store_true", help=f"leave out each check in turn, at the level {LEVEL}")
    parser.add_argument("--examples", type=int, default=6, help="rows with a fault that are shown, for each way")
    parser.add_argument("--encoder", help="embedded, or a model's folder; default: a table of word vectors")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    n = args.documents or (QUICK if args.quick else FULL)

    found: dict[str, dict[str, Any]] = {}
    accounts = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if not args.encoder:
            write_encoder(root / "encoder")
        bench = Bench(documents.build(args.seed, n), args.seed, root, args.encoder or str(root / "encoder"))
        heads = " ".join(f"{head:>13}" for head, _ in COLUMNS.values())
        print(f"{'level':<12} {'way':<22} {heads} {'seconds':>7}", flush=True)
        for level in args.levels:
            calls = bench.generated(level, LEVELS[level])
            for way, checks in (WAYS | (ABLATED if args.ablate and level == LEVEL else {})).items():
                begun = time.perf_counter()
                outcome, mistakes = bench.judged(level, LEVELS[level], checks, calls)
                show(level, way, outcome.summary(), time.perf_counter() - begun)
                found.setdefault(level, {})[way] = outcome.summary() | outcome.counts()
                if level == LEVEL and way in WAYS:
                    accounts.append((way, outcome, mistakes))
    for way, outcome, mistakes in accounts:
        explain(way, outcome, mistakes, args.examples)

    at = found.get(LEVEL, {})
    published, checked = (at[way]["calls_per_correct"] if at else None for way in WAYS)
    summary = {
        "benchmark": "labels",
        "ratio": checked / published if checked and published else None,
        "exact": {way: at[way]["exact"] for way in WAYS} if at else None,
        "levels": found,
        "rates": {level: asdict(LEVELS[level]) for level in args.levels},
        "documents": n,
        "seed": args.seed,
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("numpy", "pyarrow", "faiss-cpu")},
        "python": platform.python_version(),
    }
    print(json.dumps(rounded(summary)))


if __name__ == "__main__":
    main()
