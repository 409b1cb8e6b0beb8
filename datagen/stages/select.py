"""select: the best candidates of each cluster and document, held against the thresholds, split by document.

Source: LongRLVR (arXiv 2603.02146): the best of a cluster by rating, the best of a document, a rating of at least 9.
The other thresholds, the comparisons and the window of a long document's prompt are ours.

All candidates are put into one order, which no threshold has a say in (`selection.ranking`): the best of every document
first. Then each row is tested, and what is left out names the first test that it fails:

1. its place in its cluster and in its document, by that order
2. its rating, and what the judge's checks found
3. whether a row before it in that order asks the same, or nearly
4. whether its question, then its document, shares text with a benchmark
5. whether a prompt can hold its evidence

No test looks at what became of another row. One that is left out, for whatever reason, makes no room for the next best
of its document, and what nearly repeats it stays a near-duplicate. So filters come after best-of, as published, and a
tighter threshold of any kind never adds a row: what it costs can be seen by trying.

Deciding is a global step over narrow columns; applying the decision is shard-local.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from datagen import prompts, shards
from datagen.checks import judging
from datagen.config.model import Config
from datagen.records import Dropped, Selection
from datagen.run import tables
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.selection import benchmarks, split
from datagen.selection import rows as judged
from datagen.selection.choice import Left, Texts, choose
from datagen.selection.rows import Documents, Rows
from datagen.stages.stage import Global, Stage

PROMPT = "prompt task"  # the fingerprint of the prompt that rows are measured with
TRAIN, VALIDATION = "train", "validation"
APPLIED = ["qa_id", "cluster_id", "doc_id", "rating", "ref_chunks", "alt_chunks", "pass_rate"]
Chosen = tuple[str, int, int, int]  # split, first and last chunk shown, tokens of the prompt
Decisions = dict[str, Chosen | Left]  # by the candidate's id


def apply(shard: Shard, decisions: Decisions | None) -> Output:
    """Do what was decided for the candidates of a shard."""
    decisions = decisions or {}
    output = Output([])
    for row in sorted(shard.table("judge", APPLIED).to_pylist(), key=lambda row: row["qa_id"]):
        decision = decisions[row["qa_id"]]
        if isinstance(decision, Left):
            output.dropped.append(Dropped("candidate", row["qa_id"], row["doc_id"], "rejected", *decision))
        else:
            split, first, last, n_tokens = decision
            shown = {"split": split, "first_chunk": first, "last_chunk": last, "n_tokens": n_tokens}
            output.rows.append(Selection(**row, **shown))
    return output


def plan(config: Config, run: Run) -> dict[str, Decisions]:
    """Decide on every candidate, by shard."""

    def texts(shard: str) -> Iterable[tuple[str, str]]:
        table = shards.read_table(run.shard("chunk", shard, "documents"), ["doc_id", "text"])
        return zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True)

    rows, documents = judged.read(run)
    decided: dict[str, Decisions] = {}
    for shard, (qa_id, decision) in zip(rows.shards, decide(rows, documents, texts, config).items(), strict=True):
        decided.setdefault(shard, {})[qa_id] = decision
    return decided


def decide(rows: Rows, documents: Documents, texts: Texts, config: Config) -> Decisions:
    """What is decided on every row. It does not depend on the order in which rows and documents were read."""
    windows, left = choose(rows, documents, texts, judging.limits(config), config)
    chosen = Counter(rows.doc_ids[i] for i in windows)
    held_out = split.validation_documents(chosen, config.select.validation_fraction, config.seed)
    splits = [VALIDATION if doc_id in held_out else TRAIN for doc_id in rows.doc_ids]
    return {qa_id: (splits[i], *windows[i]) if i in windows else left[i] for i, qa_id in enumerate(rows.qa_ids)}


def fingerprints(config: Config, run: Run) -> dict[str, Any]:
    """What the prompt and the benchmarks say."""
    held = benchmarks.digests(config.select.decontaminate)
    return {PROMPT: prompts.load_task(config.dataset.prompt).digest} | {
        f"benchmark {name}": d for name, d in held.items()
    }


STAGE = Stage(tables.SELECT, ("select", "seed"), Global(plan, apply), fingerprints, version=3)
