"""RUN/dataset: train and validation parquet in the shape verl reads, with a card, loadable by `datasets.load_dataset`.

The folder is written beside its place and renamed into it when whole; `provenance.json` says what it was made from.
"""

from __future__ import annotations

import re
import shlex
from array import array
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from datagen import __version__, prompts, records, shards
from datagen.checks import grading
from datagen.config.model import Config, settings_of
from datagen.dataset.card import card
from datagen.dataset.schema import ABILITY, SCHEMA, SPLITS
from datagen.errors import UserError
from datagen.grounding import tags
from datagen.records import Candidate, Chunk, Selection
from datagen.run import identity
from datagen.run.paths import CARD, DATA, PROVENANCE
from datagen.run.run import Run
from datagen.run.status import stage_status
from datagen.stages import STAGES, select

# The names of the dataset's own files.
_OWN = {
    "": re.compile(r"README\.md|provenance\.json|data"),
    "data": re.compile(rf"(?:{'|'.join(SPLITS)})-\d+-of-\d+\.parquet"),
}
GROUP = 32  # rows held in memory, and read at least, at a time: a row is a whole document


def write(folder: str, config: Config) -> dict[str, int]:
    """Write RUN/dataset unless it is there already; returns the number of rows per split. Raises UserError if none."""
    run = Run(folder)
    made_from = provenance(run, config)
    stored = shards.read_object(run.provenance)
    counts: dict[str, int] = dict.fromkeys(SPLITS, 0)
    names = run.names("select")
    for name in names:
        selected = shards.read_table(run.shard("select", name), ["split"])
        for row in selected.to_pylist():
            counts[row["split"]] += 1
    if not sum(counts.values()):
        here = shlex.quote(folder)
        raise UserError(f"{folder}: no row is left for a dataset; `longrlvr-data status {here}` shows where they went")
    building, target = run.dataset_unfinished, run.dataset_folder
    shards.remove(building)  # left by a write that was killed
    if identity.digest(stored) == identity.digest(made_from) and all(
        shards.exists(shards.join(target, DATA, name)) for name in _files(counts, config)
    ):
        return counts
    try:
        _build(run, config, names, counts, made_from)
        shards.replace_folder(building, target)
    except BaseException:
        shards.remove(building)
        raise
    return counts


def _build(run: Run, config: Config, names: list[str], counts: dict[str, int], made_from: dict[str, Any]) -> None:
    """Write the whole folder beside its place."""
    building = run.dataset_unfinished
    lengths = array("i")
    for split in SPLITS:
        rows = _rows(run, names, split, config)
        for file in _files({split: counts[split]}, config):
            groups = _groups(islice(rows, config.dataset.rows_per_file), lengths)
            shards.write_groups(shards.join(building, DATA, file), SCHEMA, groups)
    shards.write_bytes(shards.join(building, CARD), card(config, counts, lengths, made_from).encode())
    shards.write_json(shards.join(building, PROVENANCE), made_from)
    _keep_others(run.dataset_folder, building)


def _keep_others(before: str, building: str) -> None:
    """Take along what a person put beside the dataset's own files, in its folder or among its data."""
    for folder in ("", "data"):
        there, here = (shards.join(*filter(None, (root, folder))) for root in (before, building))
        for name in shards.listing(there):
            if not (_OWN[folder].fullmatch(name)):
                shards.copy(shards.join(there, name), shards.join(here, name))


def _files(counts: dict[str, int], config: Config) -> list[str]:
    files = {split: -(-n // config.dataset.rows_per_file) for split, n in counts.items()}
    return [f"{split}-{i:05d}-of-{n:05d}.parquet" for split, n in files.items() for i in range(n)]


def provenance(run: Run, config: Config) -> dict[str, Any]:
    """What the dataset was made from: every stage's identity and ledger, every setting that changes a byte, and
    the prompt of the rows.
    """
    stages = {}
    for stage in STAGES:
        stored = identity.load(run.folder(stage.name))
        assert stored is not None, "the dataset is written after all stages"
        stages[stage.name] = {
            "identity": stored.digest,
            "settings": stored.settings,
            "fingerprints": stored.fingerprints,
            "mixed": bool(stored.mixed),
            "ledger": stage_status(run, stage.table).ledger,
        }
        if trial := grading.kept(run.trial(stage.name)):
            stages[stage.name]["trial"] = trial
    return {
        "made_by": f"longrlvr-data {__version__}",
        "dataset": settings_of(config, "dataset"),
        "prompt": prompts.load_task(config.dataset.prompt).digest,
        "stages": stages,
    }


def prompt_is_as_selected(run: str) -> bool:
    """Whether the rows of RUN/dataset have the prompt that select measured them with."""
    made_from: Any = shards.read_json(Run(run).provenance)
    return made_from["prompt"] == made_from["stages"]["select"]["fingerprints"].get(select.PROMPT)


def _rows(run: Run, names: list[str], split: str, config: Config) -> Iterator[dict[str, Any]]:
    task = prompts.load_task(config.dataset.prompt)
    index = 0
    for name in names:
        selected = [s for s in _read(run, "select", name, Selection) if s.split == split]
        if not selected:
            continue
        candidates = {c.qa_id: c for c in _read(run, "generate", name, Candidate)}
        texts = records.texts_by_document(_read(run, "chunk", name, Chunk))
        metadata = _metadata(run, name)
        for row in selected:
            made = _row(index, row, candidates[row.qa_id], texts[row.doc_id], task, config.dataset.name)
            made["extra_info"]["metadata"] = metadata[row.doc_id]
            yield made
            index += 1


def _row(
    index: int, selected: Selection, candidate: Candidate, texts: list[str], task: prompts.Prompt, name: str
) -> dict[str, Any]:
    first = selected.first_chunk
    shown = texts[first : selected.last_chunk + 1]
    context = tags.render_context(shown)
    content = prompts.render(task, context=context, question=candidate.question)
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
            "ref_chunks": [i - first for i in selected.ref_chunks],
            "ref_chunks_text": [texts[i] for i in selected.ref_chunks],
            "alt_chunks": [i - first for i in selected.alt_chunks if 0 <= i - first < len(shown)],
            "first_chunk": first,
            "n_chunks": len(shown),
            "n_tokens": selected.n_tokens,
            "rating": selected.rating,
            "pass_rate": selected.pass_rate,
            "generator": candidate.generator,
        },
    }


def _metadata(run: Run, name: str) -> dict[str, str]:
    """The other columns of a shard's documents, by document: one JSON object each."""
    table = shards.read_table(run.shard("chunk", name, "documents"), ["doc_id", "metadata"])
    return dict(zip(table["doc_id"].to_pylist(), table["metadata"].to_pylist(), strict=True))


def _read(run: Run, stage: str, name: str, record: type) -> list[Any]:
    return shards.read_rows(run.shard(stage, name), record)


def _groups(rows: Iterator[dict[str, Any]], lengths: array[int]) -> Iterator[pa.Table]:
    """The rows as row groups; `lengths` takes down the prompts' tokens."""
    while group := list(islice(rows, GROUP)):
        lengths.extend(row["extra_info"]["n_tokens"] for row in group)
        yield pa.Table.from_pylist(group, SCHEMA)
