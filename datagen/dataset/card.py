"""The dataset card: what is in the dataset, how it came about, how to read a row."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import yaml

from datagen.checks import grading
from datagen.config.data import DatasetConfig
from datagen.config.model import Config
from datagen.run.identity import digest


def card(config: Config, counts: dict[str, int], lengths: Sequence[int], provenance: dict[str, Any]) -> str:
    """The card as Markdown with the YAML header that `datasets` and the hub read."""
    present = [split for split, n in counts.items() if n]
    header = {
        **_licence(config.dataset),
        "pretty_name": config.dataset.name,
        "size_categories": [size_category(sum(counts.values()))],
        "task_categories": ["question-answering"],
        "tags": ["long-context", "grounding", "rlvr"],
        "configs": [
            {
                "config_name": "default",
                # `datasets` caches a local folder by its name and this header: without a mark of the content, one
                # run's "dataset" folder would be served from the cache of another's.
                "description": f"content {digest(provenance)[:16]}",
                "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in present],
            }
        ],
    }
    sections = [
        f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n",
        f"# {config.dataset.name}\n",
        _INTRODUCTION,
        "## Rows\n",
        table(["split", "rows"], [[split, f"{counts[split]:,}"] for split in present]),
        f"A prompt has {min(lengths):,} to {max(lengths):,} tokens (median {round(median(lengths)):,}), counted by the "
        f"`{config.chunk.tokenizer}` tokenizer.\n",
        *origin(provenance),
    ]
    return "\n".join(sections)


def origin(provenance: dict[str, Any]) -> list[str]:
    """The sections of a card that say how the rows came about: the funnel, what the labels were held against, the
    settings.
    """
    stages = provenance["stages"]
    return [
        "## How the rows came about\n",
        table(["stage", "of", "came in", "kept", "left, and why"], _funnel(stages)),
        *([_MIXED] if any(stage["mixed"] for stage in stages.values()) else []),
        *_tried(stages.get("judge", {}).get("trial")),
        *_compared(stages["select"]),
        "## Settings\n",
        "```yaml\n" + yaml.safe_dump(_settings(provenance), sort_keys=True) + "```\n",
        f"Made by {provenance['made_by']}; `provenance.json` has every identity and count.\n",
    ]


def _licence(settings: DatasetConfig) -> dict[str, Any]:
    """What the header says of the licence and the languages; what is not known is left out."""
    known = {
        "license": settings.license,
        "license_name": settings.license_name,
        "license_link": settings.license_link,
        "language": list(settings.language),
    }
    return {name: value for name, value in known.items() if value}


def size_category(rows: int) -> str:
    """The hub's size category of a number of rows."""
    bounds = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M")]
    return next((name for bound, name in bounds if rows < bound), "n>10M")


_INTRODUCTION = """Questions over long documents, each labelled with exactly the chunks that hold its evidence, for \
reinforcement learning with a grounding reward (LongRLVR, arXiv 2603.02146).

```python
from datasets import load_dataset

rows = load_dataset("path/to/this/folder", split="train")
rows[0]["prompt"]                      # the messages: every chunk as <CHUNK_i>…</CHUNK_i>, then the question
rows[0]["extra_info"]["ref_chunks"]    # the evidence, as the prompt numbers it
rows[0]["reward_model"]["ground_truth"]
```

A prompt that does not show its whole document starts at the document's chunk `extra_info.first_chunk`. What
`extra_info.alt_chunks` names is no evidence by the label, though it would do as well as a chunk that is.
"""

_MIXED = """Some shards were made under earlier settings and kept on request (`--resume always`): the settings below \
are the latest.
"""


def _funnel(stages: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, stage in stages.items():
        for unit, entry in stage["ledger"].items():
            left = {**entry["rejected"], **{f"failed: {reason}": n for reason, n in entry["failed"].items()}}
            why = ", ".join(f"{reason} {n:,}" for reason, n in left.items())
            rows.append([name, f"{unit}s", f"{entry['in']:,}", f"{entry['kept']:,}", why])
    return rows


def _tried(trial: dict[str, Any] | None) -> list[str]:
    """How far the model that compared answers can be believed."""
    if trial is None:
        return []
    return [
        "Whether two answers say the same was decided by a model where strings could not tell: "
        f"{grading.described(trial)}.\n"
    ]


def _compared(select: dict[str, Any]) -> list[str]:
    """What the rows were held against; where the files lie is no setting of the dataset."""
    names = [
        fact.removeprefix("benchmark ") for fact in select.get("fingerprints", {}) if fact.startswith("benchmark ")
    ]
    return [f"No question and no document shares 13 words in a row with {', '.join(sorted(names))}.\n"] if names else []


def _settings(provenance: dict[str, Any]) -> dict[str, Any]:
    settings = {k: v for stage in provenance["stages"].values() for k, v in stage["settings"].items()}
    return {k: v for k, v in settings.items() if v is not None}


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
