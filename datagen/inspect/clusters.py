"""`cluster --inspect DOC`: the clusters of one document, and what other values of its threshold would give."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from datagen import shards
from datagen.clustering import cut, scale
from datagen.clustering.reachability import unit
from datagen.config import model as configs
from datagen.config.data import ClusterConfig
from datagen.config.model import Config
from datagen.errors import UserError
from datagen.inspect import document, ids
from datagen.records import Chunk, Cluster
from datagen.run.shard import Shard
from datagen.stages import cluster, embed, runner
from datagen.text import boilerplate

STEPS = (-0.15, -0.1, -0.05, 0.05, 0.1, 0.15)  # of min_similarity, from the current one
VALUES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of min_cohesion
WORDS = 7  # of a cluster
LINES = 32  # of a cluster: an oversized one can be the whole document
KEPT = "kept"
WIDTH = 160  # columns where there is no terminal to be as wide as


@dataclass(frozen=True)
class Threshold:
    """What one value of the threshold gives in a document; means are over its usable clusters."""

    value: float
    similarity: float  # the least mean cosine similarity that it stands for in this document
    clusters: int  # usable
    oversized: int
    chunks_used: float  # share of the document's
    cohesion: float | None  # None where there are none
    spread: float | None


@dataclass(frozen=True)
class Inspection:
    """A document's clusters, what became of each, and what other thresholds would find."""

    doc_id: str
    chunks: list[Chunk]
    cohesion: float  # of the document
    clusters: list[Cluster]
    words: list[list[str]]  # of each cluster
    decisions: list[str]  # of each cluster: kept, or the reason why not
    left_out: str  # why the document has none that is kept, or nothing
    told_apart: float | None  # see clustering.scale; None for few chunks
    threshold: str  # the setting: min_cohesion, or with `published` min_similarity
    current: float
    thresholds: list[Threshold]


def inspect(run: str, wanted: str, config: Config, progress: runner.Progress) -> Inspection:
    """Cluster one document as the configuration says. Raises UserError if the run has no such document."""
    shard, doc_id = _find(run, wanted)
    places, vectors = _vectors(shard, doc_id, config, progress)
    chunks = [c for c in shards.read_rows(shard.path("chunk"), Chunk) if c.doc_id == doc_id]
    ends = np.cumsum([c.n_tokens for c in chunks])[places]
    kept, dropped = cluster.cluster_document(doc_id, vectors, config.cluster, config.seed, ends)
    threshold = "min_similarity" if config.cluster.published else "min_cohesion"
    current = getattr(config.cluster, threshold)
    others = {round(current + step, 6) for step in STEPS} if config.cluster.published else set(VALUES)
    values = [value for value in sorted({current} | others) if 0 <= value <= 1]
    tried = {value: configs.merge(config, {f"cluster.{threshold}": value}).cluster for value in values}
    found = {value: cluster.describe(doc_id, vectors, settings, ends) for value, settings in tried.items()}
    clusters = [replace(c, chunk_indices=[places[i] for i in c.chunk_indices]) for c in found[current]]
    decisions = {c.cluster_id: KEPT for c in kept} | {d.row_id: d.reason for d in dropped if d.unit == "cluster"}
    return Inspection(
        doc_id,
        chunks,
        cut.cohesion(unit(vectors)),
        clusters,
        shared_words([c.text for c in chunks], [c.chunk_indices for c in clusters]),
        [decisions[c.cluster_id] for c in clusters],
        next((d.detail for d in dropped if d.unit == "document"), ""),
        scale.told_apart(unit(vectors)) if len(vectors) >= scale.ENOUGH else None,
        threshold,
        current,
        [_summary(value, tried[value], found[value], vectors) for value in values],
    )


def _find(run: str, wanted: str) -> tuple[Shard, str]:
    """The shard that holds a document, by its id, that of a cluster or a candidate of it, or a part of one.

    Raises UserError if there is none, and if `chunk` set it aside.
    """
    known = ids.places(run)
    place = known[ids.named("--inspect", wanted, run, known)]
    shard = Shard(run, place.shard, configs.Config())
    if place.doc_id not in shard.table("chunk", ["doc_id"])["doc_id"].unique().to_pylist():
        left = document.tell(run, place).summary
        raise UserError(f"--inspect {wanted}: {place.doc_id} has no chunks. {left}")
    return shard, place.doc_id


def _vectors(shard: Shard, doc_id: str, config: Config, progress: runner.Progress) -> tuple[list[int], np.ndarray]:
    """The numbers of the document's chunks that are embedded, and their vectors, (n, dim): from the run if they are
    there and fit the settings, else this document is embedded. Raises UserError where there are none.
    """
    texts = shard.texts()
    if shards.exists(shard.path("embed")) and runner.fits(embed.STAGE, shard.run, config):
        places, vectors = shard.vectors().get(doc_id, ([], np.zeros((0, 0))))
    else:
        left = boilerplate.flags(texts)
        progress.start("embed", "chunk", len(texts[doc_id]) - len(left[doc_id]), 0, True)
        encoded = embed.encode({doc_id: texts[doc_id]}, left, config.embed, progress.advance)
        places, vectors, usable = encoded[doc_id]
        places, vectors = [at for at, good in zip(places, usable, strict=True) if good], vectors[usable]
    if not places:
        raise UserError(f"{doc_id}: none of its {len(texts[doc_id])} chunks has a vector, so it can't be inspected")
    return places, vectors


def _summary(value: float, settings: ClusterConfig, found: list[Cluster], vectors: np.ndarray) -> Threshold:
    usable = [c for c in found if len(c.chunk_indices) <= settings.max_cluster_size]
    return Threshold(
        value,
        cluster.least_similarity(unit(vectors), settings),
        len(usable),
        len(found) - len(usable),
        sum(len(c.chunk_indices) for c in usable) / len(vectors),
        float(np.mean([c.cohesion for c in usable])) if usable else None,
        float(np.mean([c.spread for c in usable])) if usable else None,
    )


def shared_words(texts: list[str], clusters: list[list[int]]) -> list[list[str]]:
    """The words that tell each cluster from its document: those in most of its chunks and in few others, by tf-idf."""
    words = [set(re.findall(r"[^\W\d_]{4,}", text.lower())) for text in texts]
    everywhere = Counter(word for of_chunk in words for word in of_chunk)
    found = []
    for chunks in clusters:
        inside = Counter(word for i in chunks for word in words[i])
        weight = {word: n * math.log(len(texts) / everywhere[word]) for word, n in inside.items() if n > 1}
        found.append(sorted((w for w in weight if weight[w]), key=lambda word: (-weight[word], word))[:WORDS])
    return found


def as_json(found: Inspection) -> dict[str, Any]:
    """What `--inspect --json` prints."""
    return {
        "doc_id": found.doc_id,
        "n_chunks": len(found.chunks),
        "cohesion": found.cohesion,
        "told_apart": found.told_apart,
        found.threshold: found.current,
        "clusters": [
            asdict(c) | {"words": words, "decision": decision}
            for c, words, decision in zip(found.clusters, found.words, found.decisions, strict=True)
        ],
        "thresholds": [{found.threshold: t.value} | _without(asdict(t), "value") for t in found.thresholds],
    }


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}


def show(found: Inspection, console: Console) -> None:
    """A line for every chunk, cut where the terminal ends; a table of other thresholds at the end."""
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)

    def line(text: str, style: str = "") -> None:
        plain = "".join(c if c.isprintable() else " " for c in text)
        console.print(plain, style=style, markup=False, emoji=False, no_wrap=True, overflow="ellipsis")

    names = [c.cluster_id.removeprefix(found.doc_id + "/") for c in found.clusters]
    kept = ", ".join(name for name, decision in zip(names, found.decisions, strict=True) if decision == KEPT)
    told = "" if found.told_apart is None else f", parts told apart {found.told_apart:.2f} (0.5 is chance)"
    line(f"{found.doc_id}: {len(found.chunks):,} chunks, cohesion {found.cohesion:.2f}{told}")
    line(f"{len(names)} clusters at {found.threshold} {found.current:g}; kept: {kept or f'none ({found.left_out})'}")
    for name, c, words, decision in zip(names, found.clusters, found.words, found.decisions, strict=True):
        size = f"{len(c.chunk_indices)} chunks, cohesion {c.cohesion:.2f}, spread {c.spread:.2f}"
        console.print()
        line(f"{name}: {size}, {decision}", "bold")
        if words:
            line(f"{'':8}{', '.join(words)}", "italic")
        for i in c.chunk_indices[:LINES]:
            line(f"{i:>6}  {' '.join(found.chunks[i].text.split())}")
        if len(c.chunk_indices) > LINES:
            line(f"{'':8}… and {len(c.chunk_indices) - LINES:,} more")
    console.print()
    console.print(_table(found))


def _table(found: Inspection) -> Table:
    oversized = any(t.oversized for t in found.thresholds)
    counted = ("clusters", *(["oversized"] * oversized), "chunks used")
    table = Table(found.threshold, "similarity", *counted, "cohesion", "spread", "", box=None, pad_edge=False)
    for column in table.columns:
        column.justify = "right"
        column.no_wrap = True
    for t in found.thresholds:
        now = t.value == found.current
        means = ("" if mean is None else f"{mean:.2f}" for mean in (t.cohesion, t.spread))
        counts = (str(t.clusters), *([str(t.oversized)] * oversized), f"{t.chunks_used:.0%}")
        value = f"{t.value:.3f}".removesuffix("0")
        table.add_row(value, f"{t.similarity:.2f}", *counts, *means, "now" if now else "", style="bold" if now else "")
    return table
