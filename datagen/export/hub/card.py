"""The card of an export for the Hub: the header that the Hub reads, and what a person wants to know before training."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import pyarrow as pa
import yaml

from datagen.dataset import card as datasets_card
from datagen.dataset.card import size_category, table
from datagen.export.hub import columns, rebuild, tables
from datagen.export.hub.origin import Origin
from datagen.export.hub.tables import DOCUMENTS, FULL, QUESTIONS


@dataclass(frozen=True)
class Facts:
    """What a card says of an export."""

    origin: Origin
    rows: dict[str, int]  # by split, without those that have none
    documents: int
    lengths: Sequence[int]  # of the prompts in tokens, as the dataset has them; of those that have one
    left_out: str  # which rows were left out, in words
    content: str  # a hash of the files
    verifier: str


def card(facts: Facts) -> str:
    """The card as Markdown with its YAML header."""
    name = facts.origin.header.get("pretty_name") or "longrlvr-data"
    sections = [
        f"---\n{yaml.safe_dump(_header(facts, name), sort_keys=False, allow_unicode=True)}---\n",
        f"# {name}\n",
        _INTRODUCTION,
        "## What is in it\n",
        table(["configuration", "what", *facts.rows], _configurations(facts)),
        _lengths(facts),
        *([f"{facts.left_out}\n"] if facts.left_out else []),
        "## Loading it\n",
        _LOADING.replace("SPLIT", next(iter(facts.rows))).replace("REBUILD", inspect.getsource(rebuild.prompt).strip()),
        "## Scoring a response\n",
        _SCORING.replace("VERIFIER", facts.verifier).replace("SPLIT", next(iter(facts.rows))),
        "## Columns\n",
        *_columns(),
        *(_made(facts.origin.provenance) if facts.origin.provenance else [_UNKNOWN_ORIGIN]),
        "## Limits\n",
        _LIMITS,
        "## Citation\n",
        _CITATION,
    ]
    return "\n".join(sections)


def _header(facts: Facts, name: str) -> dict[str, Any]:
    """What is not known, such as a licence, is left out."""
    known = facts.origin.header
    files = {
        config: [{"split": split, "path": f"{tables.FOLDERS[config]}/{split}-*.parquet"} for split in facts.rows]
        for config in (FULL, QUESTIONS)
    }
    files[DOCUMENTS] = [{"split": DOCUMENTS, "path": f"{tables.FOLDERS[DOCUMENTS]}/{DOCUMENTS}-*.parquet"}]
    return {
        **{part: known[part] for part in ("license", "license_name", "license_link", "language") if part in known},
        "pretty_name": name,
        "size_categories": [size_category(sum(facts.rows.values()))],
        "task_categories": ["question-answering"],
        "tags": ["long-context", "grounding", "rlvr"],
        "configs": [
            {
                "config_name": config,
                **({"default": True} if config == FULL else {}),
                # `datasets` caches a local folder by its name and this header: the hash tells two contents apart.
                "description": f"content {facts.content[:16]}",
                "data_files": data_files,
            }
            for config, data_files in files.items()
        ],
    }


def _configurations(facts: Facts) -> list[list[str]]:
    counts = [f"{n:,}" for n in facts.rows.values()]
    documents = [f"{facts.documents:,} in all", *[""] * (len(counts) - 1)]
    return [
        [f"`{FULL}`", "rows as trainers take them, prompts with whole documents", *counts],
        [f"`{QUESTIONS}`", "the same rows without the documents: to look at, to filter", *counts],
        [f"`{DOCUMENTS}`", "every document once, in its chunks", *documents],
    ]


def _lengths(facts: Facts) -> str:
    if not facts.lengths:
        return ""
    shortest, longest, middle = min(facts.lengths), max(facts.lengths), round(median(facts.lengths))
    said = f"A prompt has {shortest:,} to {longest:,} tokens (median {middle:,})"
    stages = facts.origin.provenance["stages"] if facts.origin.provenance else {}
    tokenizer = stages.get("chunk", {}).get("settings", {}).get("chunk.tokenizer")
    return f"{said}, counted by the `{tokenizer}` tokenizer.\n" if tokenizer else f"{said} by `extra_info.n_tokens`.\n"


def _made(provenance: dict[str, Any]) -> list[str]:
    """How the rows came about, and hashes of the prompts, encoders and inputs that went into them."""
    hashes = [
        [stage, what, f"`{str(value)[:16]}`"]
        for stage, parts in provenance["stages"].items()
        for what, value in parts.get("fingerprints", {}).items()
    ]
    return [
        *datasets_card.origin(provenance),
        "## Prompts, encoders and inputs\n",
        "The first digits of the SHA-256 of what each stage went by.\n",
        table(["stage", "what", "hash"], hashes),
    ]


def _columns() -> list[str]:
    """A table of columns for each configuration; those of `questions` that `default` has too are there once."""
    found = []
    for config, said in columns.SAID.items():
        rows = [[f"`{name}`", kind, said[name]] for name, kind in named(tables.SCHEMAS[config]) if name in said]
        found += [f"`{config}`{columns.BESIDES.get(config, '')}:\n", table(["column", "type", ""], rows)]
    return found


def named(schema: pa.Schema) -> list[tuple[str, str]]:
    """The columns of a schema and their types, fields of an object each by itself as `column.field`."""
    found = []
    for column in schema:
        if pa.types.is_struct(column.type):
            found += [(f"{column.name}.{field.name}", _kind(field.type)) for field in column.type]
        else:
            found.append((column.name, _kind(column.type)))
    return found


def _kind(of: pa.DataType) -> str:
    if pa.types.is_list(of):
        return f"list of {_kind(of.value_type)}"
    if pa.types.is_struct(of):
        return f"{{{', '.join(field.name for field in of)}}}"
    return str(of)


_INTRODUCTION = """Questions over long documents, each labelled with exactly the chunks that hold its evidence, for \
reinforcement learning with a grounding reward: a response is rewarded for the chunks that it cites and for its answer \
(LongRLVR, arXiv 2603.02146).
"""

_LOADING = """```python
from datasets import load_dataset

rows = load_dataset("OWNER/NAME", split="SPLIT")  # or the path of this folder
rows[0]["prompt"]  # the messages: every chunk as <CHUNK_i>…</CHUNK_i>, then the question
rows[0]["extra_info"]["ref_chunks"]  # the evidence, as the prompt numbers it
rows[0]["reward_model"]["ground_truth"]
```

`questions` and `documents` make the same prompts, to the byte:

```python
from datasets import load_dataset


REBUILD


documents = load_dataset("OWNER/NAME", "documents", split="documents")
documents = {row["document_id"]: row["chunks"] for row in documents}
questions = load_dataset("OWNER/NAME", "questions", split="SPLIT")
prompts = [prompt(row, documents) for row in questions]
```

The folder is a dataset of longrlvr-data, too: its trainer and its exports for other trainers read it as it is.
"""

_SCORING = """The reward is `r = a + η·F + (1 − η)·a·F` with the answer's correctness `a`, the F-beta score `F` of the \
cited chunks, η = 0.1, β = 2. `longrlvr_reward.py`, in this folder, is that in one file of the standard library:

```python
from longrlvr_reward import reward

row = rows[0]  # of any configuration but `documents`
response = "…\\n<useful_chunks>\\n<CHUNK_3>\\n</useful_chunks>\\n\\n<answer>\\n…\\n</answer>"
reward(response, row["extra_info"]["ref_chunks"], row["reward_model"]["ground_truth"], verifier="VERIFIER")
```

A response must hold exactly one `<useful_chunks>…</useful_chunks>` and one `<answer>…</answer>`, or scores 0.
"""

_UNKNOWN_ORIGIN = """## How the rows came about

What the rows were made from is not recorded: the export was given them without a `provenance.json`.
"""

_LIMITS = """- Text in a document or a question that looks like one of the tags, or like a control token of a chat \
template, is written with a backslash after its `<` or `[`.
- A prompt that does not show its whole document starts at the document's chunk `extra_info.first_chunk`. `documents`
  has what the prompts show: a chunk that none of them shows is null.
- Trainers that cut a prompt from the left take the evidence away: leave out what is too long for your model.
- A label says which chunks are needed and enough, as far as the checks above could tell. Their error rates are given
  where they were measured, and are unknown where they are not.
- Nothing here says what the documents may be used for: that is their licence's to say.
"""

_CITATION = """```bibtex
@inproceedings{chen2026longrlvr,
  title     = {{LongRLVR}: Long-Context Reinforcement Learning Requires Verifiable Context Rewards},
  author    = {Chen, Guanzheng and Shieh, Michael Qizhe and Bing, Lidong},
  booktitle = {International Conference on Learning Representations},
  year      = {2026},
  note      = {arXiv:2603.02146}
}
```
"""
