"""`cluster --inspect DOC`: the clusters of one document, and what other values of `min_similarity` would give."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from datagen import config as configs
from datagen import shards, stage
from datagen.config import Config
from datagen.embed import encoder
from datagen.errors import UserError
from datagen.records import Chunk, Cluster, Embedding
from datagen.stages import cluster, embed

STEPS = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)  # from the current min_similarity


@dataclass(frozen=True)
class Threshold:
    """What one value of `min_similarity` gives in a document; means are over its usable clusters."""

    min_similarity: float
    clusters: int
    oversized: int
    chunks_used: float  # share of the document's
    cohesion: float | None  # None where there are none
    spread: float | None


@dataclass(frozen=True)
class Inspection:
    doc_id: str
    chunks: list[Chunk]
    clusters: list[Cluster]
    drawn: set[str]
    current: float
    thresholds: list[Threshold]


def inspect(run: str, wanted: str, config: Config) -> Inspection:
    """Cluster one document as the configuration says. Raises UserError if the run has no such document."""
    shard, doc_id = _find(run, wanted)
    chunks = [c for c in shards.read_rows(shard.path("chunk"), Chunk) if c.doc_id == doc_id]
    vectors = _vectors(shard, doc_id, chunks, config)
    found = cluster.describe(doc_id, vectors, config.cluster)
    kept, _ = cluster.cluster_document(doc_id, vectors, config.cluster, config.seed)
    current = config.cluster.min_similarity
    values = sorted({round(current + step, 6) for step in STEPS if 0 <= current + step <= 1})
    thresholds = [_at(value, doc_id, vectors, config) for value in values]
    return Inspection(doc_id, chunks, found, {c.cluster_id for c in kept}, current, thresholds)


def _find(run: str, wanted: str) -> tuple[stage.Shard, str]:
    """The shard that holds a document: by its id, or by a part that only one id has."""
    place: dict[str, str] = {}
    for name in shards.names(shards.join(run, "chunk")):
        for doc_id in shards.read_table(shards.join(run, "chunk", name + shards.SUFFIX), ["doc_id"])["doc_id"].unique():
            place[doc_id.as_py()] = name
    matches = [wanted] if wanted in place else [doc_id for doc_id in place if wanted in doc_id]
    if len(matches) != 1:
        some = random.Random(0).sample(sorted(matches or place), min(5, len(matches or place)))
        what = f"{len(matches):,} documents have it in their id" if matches else "no document of the run has that id"
        raise UserError(f"--inspect {wanted}: {what}. Such as: {', '.join(some) or 'the run has no documents'}")
    return stage.Shard(run, place[matches[0]], configs.Config()), matches[0]


def _vectors(shard: stage.Shard, doc_id: str, chunks: list[Chunk], config: Config) -> np.ndarray:
    """(n_chunks, dim): from the run if they are there and fit the settings, else this document is embedded."""
    if shards.exists(shard.path("embed")) and stage.fits(embed.STAGE, shard.run, config):
        return np.stack([row.vector for row in shard.rows("embed", Embedding) if row.doc_id == doc_id])
    return encoder.encode([c.text for c in chunks], config.embed)


def _at(value: float, doc_id: str, vectors: np.ndarray, config: Config) -> Threshold:
    settings = configs.merge(config, {"cluster.min_similarity": value}).cluster
    found = cluster.describe(doc_id, vectors, settings)
    usable = [c for c in found if len(c.chunk_indices) <= settings.max_cluster_size]
    return Threshold(
        value,
        len(usable),
        len(found) - len(usable),
        sum(len(c.chunk_indices) for c in usable) / len(vectors),
        float(np.mean([c.cohesion for c in usable])) if usable else None,
        float(np.mean([c.spread for c in usable])) if usable else None,
    )


def as_json(found: Inspection) -> dict[str, Any]:
    return {
        "doc_id": found.doc_id,
        "n_chunks": len(found.chunks),
        "clusters": [asdict(c) | {"drawn": c.cluster_id in found.drawn} for c in found.clusters],
        "thresholds": [asdict(t) for t in found.thresholds],
    }


def show(found: Inspection, console: Console) -> None:
    whole = f", cohesion {found.clusters[0].document_cohesion:.2f}" if found.clusters else ""
    console.print(f"{found.doc_id}: {len(found.chunks):,} chunks{whole}", markup=False)
    for c in found.clusters:
        fate = "" if c.cluster_id in found.drawn else ", not kept"
        size = f"{len(c.chunk_indices)} chunks, cohesion {c.cohesion:.2f}, spread {c.spread:.2f}{fate}"
        console.print(f"\n{c.cluster_id.removeprefix(found.doc_id + '/')}  {size}", markup=False, style="bold")
        for i in c.chunk_indices:
            words = " ".join(found.chunks[i].text.split())
            console.print(f"{i:>6}  {words}", markup=False, no_wrap=True, overflow="ellipsis", soft_wrap=False)
    table = Table("min_similarity", "clusters", "oversized", "chunks used", "cohesion", "spread", box=None)
    for column in table.columns:
        column.justify = "right"
    for t in found.thresholds:
        means = ("" if mean is None else f"{mean:.2f}" for mean in (t.cohesion, t.spread))
        cells = (f"{t.min_similarity:.2f}", str(t.clusters), str(t.oversized), f"{t.chunks_used:.0%}", *means)
        table.add_row(*cells, style="bold" if t.min_similarity == round(found.current, 6) else "")
    console.print()
    console.print(table)
