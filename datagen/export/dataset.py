"""RUN/dataset: train and validation parquet in the shape verl reads, with a card, loadable by `datasets.load_dataset`.

The folder is written beside its place and renamed into it when whole; `provenance.json` says what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from datagen import __version__, identity, prompts, records, shards, tags
from datagen import ledger as ledgers
from datagen.config import Config, settings_of
from datagen.errors import UserError
from datagen.export.card import card
from datagen.records import Candidate, Chunk, Selection
from datagen.stages import STAGES
from datagen.stages.select import TRAIN, VALIDATION

SPLITS = (TRAIN, VALIDATION)
ABILITY = "long-context-grounded-qa"

SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        (
            "extra_info",
            pa.struct(
                [
                    ("index", pa.int64()),
                    ("split", pa.string()),
                    ("qa_id", pa.string()),
                    ("doc_id", pa.string()),
                    ("cluster_id", pa.string()),
                    ("question", pa.string()),
                    ("answer", pa.string()),
                    ("ref_chunks", pa.list_(pa.int32())),  # as numbered in the prompt
                    ("ref_chunks_text", pa.list_(pa.string())),
                    ("first_chunk", pa.int32()),  # the document's chunk that the prompt shows as number 0
                    ("n_chunks", pa.int32()),
                    ("n_tokens", pa.int32()),
                    ("rating", pa.float32()),
                    ("generator", pa.string()),
                ]
            ),
        ),
    ]
)


def write(run: str, config: Config) -> dict[str, int]:
    """Write RUN/dataset unless it is there already; returns the number of rows per split. Raises UserError if none."""
    target = shards.join(run, "dataset")
    made_from = provenance(run, config)
    stored = shards.read_json(shards.join(target, "provenance.json"))
    counts: dict[str, int] = dict.fromkeys(SPLITS, 0)
    names = shards.names(shards.join(run, "select"))
    for name in names:
        selected = shards.read_table(shards.join(run, "select", name + shards.SUFFIX), ["split"])
        for row in selected.to_pylist():
            counts[row["split"]] += 1
    if not sum(counts.values()):
        raise UserError(f"{run}: no row is left for a dataset; `longrlvr-data status {run}` shows where they went")
    building = shards.join(run, ".dataset")
    shards.remove(building)  # left by a write that was killed
    if stored == made_from and all(shards.exists(shards.join(target, "data", name)) for name in _files(counts, config)):
        return counts
    lengths: list[int] = []
    batches = (b for split in SPLITS for b in _batches(_rows(run, names, split, config), config.dataset.rows_per_file))
    for file, batch in zip(_files(counts, config), batches, strict=True):
        lengths += [row["extra_info"]["n_tokens"] for row in batch]
        table = pa.Table.from_pylist(batch, SCHEMA)
        path = shards.join(building, "data", file)
        shards.write_table(path, table, row_group_size=32)  # a row is a whole document: keep random reads small
    shards.write_bytes(shards.join(building, "README.md"), card(config, counts, lengths, made_from).encode())
    shards.write_json(shards.join(building, "provenance.json"), made_from)
    shards.replace_folder(building, target)
    return counts


def _files(counts: dict[str, int], config: Config) -> list[str]:
    files = {split: -(-n // config.dataset.rows_per_file) for split, n in counts.items()}
    return [f"{split}-{i:05d}-of-{n:05d}.parquet" for split, n in files.items() for i in range(n)]


def provenance(run: str, config: Config) -> dict[str, Any]:
    """What the dataset was made from: every stage's identity and ledger, every setting that changes a byte."""
    stages = {}
    for stage in STAGES:
        stored = identity.load(shards.join(run, stage.name))
        status = ledgers.stage_status(run, stage.name, stage.takes, stage.reads[0] if stage.reads else None)
        assert stored is not None, "the dataset is written after all stages"
        stages[stage.name] = {
            "identity": stored.digest,
            "settings": stored.settings,
            "facts": stored.facts,
            "mixed": bool(stored.mixed),
            "ledger": status.ledger,
        }
    return {"made_by": f"longrlvr-data {__version__}", "dataset": settings_of(config, "dataset"), "stages": stages}


def _rows(run: str, names: list[str], split: str, config: Config) -> Iterator[dict[str, Any]]:
    task = prompts.load("task")
    index = 0
    for name in names:
        selected = [s for s in _read(run, "select", name, Selection) if s.split == split]
        if not selected:
            continue
        candidates = {c.qa_id: c for c in _read(run, "generate", name, Candidate)}
        texts = records.texts_by_document(_read(run, "chunk", name, Chunk))
        for row in selected:
            yield _row(index, row, candidates[row.qa_id], texts[row.doc_id], task, config.dataset.name)
            index += 1


def _row(
    index: int, selected: Selection, candidate: Candidate, texts: list[str], task: prompts.Prompt, name: str
) -> dict[str, Any]:
    shown = texts[selected.first_chunk : selected.last_chunk + 1]
    context = tags.render_context(shown)
    content = prompts.render(task, context=context, question=tags.neutralise(candidate.question))
    return {
        "data_source": name,
        "prompt": [{"role": "user", "content": content}],
        "ability": ABILITY,
        "reward_model": {"style": "rule", "ground_truth": candidate.answer},
        "extra_info": {
            "index": index,
            "split": selected.split,
            "qa_id": selected.qa_id,
            "doc_id": selected.doc_id,
            "cluster_id": selected.cluster_id,
            "question": candidate.question,
            "answer": candidate.answer,
            "ref_chunks": [i - selected.first_chunk for i in candidate.ref_chunks],
            "ref_chunks_text": [texts[i] for i in candidate.ref_chunks],
            "first_chunk": selected.first_chunk,
            "n_chunks": len(shown),
            "n_tokens": selected.n_tokens,
            "rating": selected.rating,
            "generator": candidate.generator,
        },
    }


def _read(run: str, stage: str, name: str, record: type) -> list[Any]:
    return shards.read_rows(shards.join(run, stage, name + shards.SUFFIX), record)


def _batches(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
