"""select: the best candidates of each cluster and document, without near-duplicates, split by document.

Source: LongRLVR (arXiv 2603.02146): best of a cluster, best of a document, a rating threshold. Departures: one greedy
pass in order of rating, so that a document whose best question is a duplicate still gives its second best; and a
document over the prompt limit is shown through a window that holds all the evidence.

Deciding is a global step over narrow columns; applying the decision is shard-local.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np

from datagen import prompts, shards, tags
from datagen.config import Config
from datagen.records import Dropped, Selection
from datagen.stage import Output, Shard, Stage
from datagen.text import tokenizers

TRAIN, VALIDATION = "train", "validation"
MADE = ("question", "ref_chunks")  # what selection needs of a candidate as it was generated


@dataclass(frozen=True, slots=True)
class Entry:
    """A judged candidate, as narrow as selection needs it."""

    shard: str
    qa_id: str
    cluster_id: str
    doc_id: str
    rating: float
    question: str
    ref_chunks: list[int]


def process(shard: Shard) -> Output:
    selected, dropped = shard.shared or ([], [])
    return Output(selected, dropped)


def prepare(config: Config, run: str) -> dict[str, tuple[list[Selection], list[Dropped]]]:
    """Decide every candidate's fate: per shard, the rows selected and the rows dropped with their reason."""
    entries, vectors = _entries(run)
    costs = _prompt_costs(config, run, [e.question for e in entries])
    decided: dict[str, tuple[list[Selection], list[Dropped]]] = {e.shard: ([], []) for e in entries}
    for entry, fate in sorted(choose(entries, vectors, costs, config), key=lambda pair: pair[0].qa_id):
        selected, dropped = decided[entry.shard]
        if isinstance(fate, Selection):
            selected.append(fate)
        else:
            dropped.append(fate)
    return decided


def choose(
    entries: list[Entry], vectors: np.ndarray, costs: Costs, config: Config
) -> Iterator[tuple[Entry, Selection | Dropped]]:
    """Every entry with what becomes of it, best rated first. `vectors`: the questions', (n_entries, dim)."""
    fates = list(_fates(entries, vectors, costs, config))
    selected = {fate.doc_id for _, fate in fates if isinstance(fate, Selection)}
    held_out = validation_documents(selected, config.select.validation_fraction, config.seed)
    for entry, fate in fates:
        if isinstance(fate, Selection) and fate.doc_id in held_out:
            fate = replace(fate, split=VALIDATION)
        yield entry, fate


def _fates(
    entries: list[Entry], vectors: np.ndarray, costs: Costs, config: Config
) -> Iterator[tuple[Entry, Selection | Dropped]]:
    """The choice before the split: every row selected is in train."""
    settings = config.select
    min_rating = np.float32(settings.min_rating)  # as ratings are kept: 6.7 is not below 6.7
    duplicates = Duplicates(entries, vectors, settings.max_similarity)
    per_cluster: Counter[str] = Counter()
    per_document: Counter[str] = Counter()
    for i in sorted(range(len(entries)), key=lambda i: (-entries[i].rating, entries[i].qa_id)):
        entry, rated = entries[i], f"rated {entries[i].rating:.1f}"
        window = reason = None
        if entry.rating < min_rating:
            reason = "rating too low", f"{rated}, select.min_rating is {settings.min_rating}"
        elif per_cluster[entry.cluster_id] >= settings.per_cluster:
            reason = "not the best of its cluster", f"{rated}, select.per_cluster is {settings.per_cluster}"
        elif per_document[entry.doc_id] >= settings.per_document:
            reason = "not the best of its document", f"{rated}, select.per_document is {settings.per_document}"
        else:
            reason = duplicates.of(i)
        if reason is None:
            room = settings.max_prompt_tokens - costs.besides_chunks[i]
            chunks = costs.documents[entry.doc_id]
            window = fit_window(chunks, entry.ref_chunks, room, f"{config.seed}:{entry.qa_id}")
        if window is None:
            reason = reason or ("prompt too long", f"select.max_prompt_tokens is {settings.max_prompt_tokens}")
            yield entry, Dropped("candidate", entry.qa_id, entry.doc_id, "rejected", *reason)
            continue
        first, last = window
        per_cluster[entry.cluster_id] += 1
        per_document[entry.doc_id] += 1
        duplicates.keep(i)
        yield (
            entry,
            Selection(
                qa_id=entry.qa_id,
                cluster_id=entry.cluster_id,
                doc_id=entry.doc_id,
                split=TRAIN,
                rating=entry.rating,
                first_chunk=first,
                last_chunk=last,
                n_tokens=costs.besides_chunks[i] + sum(costs.documents[entry.doc_id][first : last + 1]),
            ),
        )


def validation_documents(doc_ids: set[str], fraction: float, seed: int) -> set[str]:
    """The documents held out: a seeded draw, at least one where there are two or more and a fraction is asked for."""
    if fraction == 0 or len(doc_ids) < 2:
        return set()
    ranked = sorted(doc_ids, key=lambda d: hashlib.sha256(f"{seed}:split:{d}".encode()).digest())
    return set(ranked[: min(max(1, round(fraction * len(ranked))), len(ranked) - 1)])


class Duplicates:
    """The questions selected so far; tells whether one more says the same, or nearly."""

    def __init__(self, entries: list[Entry], vectors: np.ndarray, max_similarity: float) -> None:
        import faiss

        self.entries, self.vectors, self.max_similarity = entries, vectors, max_similarity
        self.kept: list[int] = []
        self.questions: dict[str, str] = {}
        self.index = faiss.IndexFlatIP(vectors.shape[1])

    def of(self, i: int) -> tuple[str, str] | None:
        """(reason, detail) if entry i repeats a question that was kept."""
        if twin := self.questions.get(self.entries[i].question):
            return "duplicate question", f"the same as {twin}"
        if self.kept:
            scores, found = self.index.search(self.vectors[i : i + 1], 1)
            if min(scores[0, 0], 1) > self.max_similarity:  # a product of float16 vectors may be a little over 1
                near = self.entries[self.kept[found[0, 0]]].qa_id
                return "near-duplicate question", f"cosine {scores[0, 0]:.3f} to {near}"
        return None

    def keep(self, i: int) -> None:
        self.index.add(self.vectors[i : i + 1])
        self.kept.append(i)
        self.questions[self.entries[i].question] = self.entries[i].qa_id


@dataclass(frozen=True)
class Costs:
    """Tokens of every part of a prompt, counted once. Their sum is what the prompt takes, or a little more."""

    documents: dict[str, list[int]]  # of each chunk of a document, with its tags
    besides_chunks: list[int]  # of each entry's question and the instructions


def fit_window(costs: list[int], ref_chunks: list[int], room: int, seed: str) -> tuple[int, int] | None:
    """The chunks to show, first and last: all of them if they fit, else a run of chunks that holds all the evidence.

    `costs` are tokens per chunk with its tags. Where the evidence falls within the run is drawn by the seed, so that it
    is not always in the middle. None if the evidence alone spans more than `room` tokens.
    """
    before = [0, *accumulate(costs)]  # tokens before each chunk
    low, high = min(ref_chunks), max(ref_chunks)
    if before[-1] <= room:
        return 0, len(costs) - 1
    starts = [s for s in range(low + 1) if before[high + 1] - before[s] <= room]
    if not starts:
        return None
    first = random.Random(hashlib.sha256(seed.encode()).digest()).choice(starts)
    last = max(e for e in range(high, len(costs)) if before[e + 1] - before[first] <= room)
    while first > 0 and before[last + 1] - before[first - 1] <= room:  # the document ended first: show more before
        first -= 1
    return first, last


def _entries(run: str) -> tuple[list[Entry], np.ndarray]:
    entries: list[Entry] = []
    vectors: list[np.ndarray] = []
    for name in shards.names(shards.join(run, "judge")):
        judged = shards.read_table(shards.join(run, "judge", name + shards.SUFFIX))
        generated = shards.read_table(shards.join(run, "generate", name + shards.SUFFIX), ["qa_id", *MADE])
        made = {row["qa_id"]: row for row in generated.to_pylist()}
        narrow = judged.select(["qa_id", "cluster_id", "doc_id", "rating"]).to_pylist()
        entries += [Entry(shard=name, **row, **{k: made[row["qa_id"]][k] for k in MADE}) for row in narrow]
        if narrow:
            flat = judged.column("question_vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
            vectors.append(flat.astype(np.float32).reshape(len(narrow), -1))
    return entries, np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)


def _prompt_costs(config: Config, run: str, questions: list[str]) -> Costs:
    tokenizer = tokenizers.load(config.chunk.tokenizer)
    documents: dict[str, list[int]] = {}
    for name in shards.names(shards.join(run, "chunk")):
        table = shards.read_table(shards.join(run, "chunk", name + shards.SUFFIX), ["doc_id", "n_tokens"])
        for row in table.to_pylist():
            documents.setdefault(row["doc_id"], []).append(row["n_tokens"])
    longest = max(map(len, documents.values()), default=0)
    # Tags are counted apart, as they stand in a prompt ("><" would be one token). One more for the two seams with the
    # text: rarely, a token parts differently there, and a prompt must never be over the limit.
    opening = tokenizer.count([tags.around_chunk(i)[0] for i in range(longest)])
    closing = tokenizer.count([tags.around_chunk(i)[1] for i in range(longest)])
    overhead = [a + b + 1 for a, b in zip(opening, closing, strict=True)]
    instructions = sum(tokenizer.count(prompts.load("task").literals))
    return Costs(
        documents={d: [n + overhead[i] for i, n in enumerate(chunks)] for d, chunks in documents.items()},
        besides_chunks=[instructions + n for n in tokenizer.count([tags.neutralise(q) for q in questions])],
    )


def facts(config: Config, run: str) -> dict[str, Any]:
    return {"prompt task.md": prompts.load("task").digest}


STAGE = Stage(
    name="select",
    record=Selection,
    takes="candidate",
    makes="candidate",
    reads=("judge", "generate", "chunk"),
    settings=("select", "seed"),
    process=process,
    facts=facts,
    prepare=prepare,
)
