"""cluster: group a document's chunks by theme; keep clusters of a usable size.

`published: true` is the rule of the data pipeline of LongRLVR (arXiv 2603.02146): HDBSCAN with cosine distance and
excess of mass, epsilon = 1 - min_similarity, clusters over the size limit dropped, the wanted number drawn at random.
By default the same tree is cut so as to lose fewer chunks (see `clustering.cut`), at a cohesion by the document's own
measure (see `clustering.scale`), and of the clusters found those are
preferred that stand far apart in the document, since evidence that is spread is what long context needs, and are alike:
by the sum of their ranks in spread and in cohesion.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import numpy as np

from datagen.clustering import cut, scale, tree
from datagen.clustering.reachability import unit
from datagen.config.data import ClusterConfig as Settings
from datagen.config.model import Config
from datagen.records import BOILERPLATE, NO_VECTOR, Cluster, Dropped
from datagen.run import tables
from datagen.run.shard import Output, Shard
from datagen.stages.stage import PerShard, Stage


def process(shard: Shard) -> Output:
    """The clusters of a shard's documents, from the vectors of their chunks, as far as they have one."""
    vectors = shard.vectors()
    rows: list[Cluster] = []
    dropped: list[Dropped] = []
    for doc_id in dict.fromkeys(shard.table("chunk", ["doc_id"])["doc_id"].to_pylist()):
        if doc_id not in vectors:
            dropped.append(_without_vectors(doc_id, shard))
            continue
        places, embedded = vectors[doc_id]
        kept, left = cluster_document(doc_id, embedded, shard.config.cluster, shard.config.seed)
        rows += [replace(c, chunk_indices=[places[i] for i in c.chunk_indices]) for c in kept]
        dropped += left
    return Output(rows, dropped)


def _without_vectors(doc_id: str, shard: Shard) -> Dropped:
    """Why a document has no cluster of which no chunk has a vector."""
    left = [row for row in shard.rows("embed", Dropped, "dropped") if row.doc_id == doc_id]
    if any(row.reason == NO_VECTOR for row in left):
        return Dropped("document", doc_id, doc_id, "failed", NO_VECTOR, "none of its chunks has one")
    detail = f"all of it: {left[0].detail}" if left else "it has no chunk"
    return Dropped("document", doc_id, doc_id, "rejected", BOILERPLATE, detail)


def cluster_document(
    doc_id: str, vectors: np.ndarray, settings: Settings, seed: int
) -> tuple[list[Cluster], list[Dropped]]:
    """Cluster one document's chunk vectors, (n_chunks, dim) unit length. Every cluster found is kept or dropped."""
    dropped: list[Dropped] = []

    def leave(unit: str, row_id: str, reason: str, detail: str) -> None:
        dropped.append(Dropped(unit, row_id, doc_id, "rejected", reason, detail))

    found = describe(doc_id, vectors, settings)
    usable = [c for c in found if len(c.chunk_indices) <= settings.max_cluster_size]
    for c in found:
        if len(c.chunk_indices) > settings.max_cluster_size:
            detail = f"{len(c.chunk_indices)} chunks, cluster.max_cluster_size is {settings.max_cluster_size}"
            leave("cluster", c.cluster_id, "oversized", detail)
    if len(usable) < settings.min_clusters:
        for c in usable:
            leave("cluster", c.cluster_id, "document left out", "too few clusters in it")
        detail = f"{len(usable)} usable of {len(found)} clusters in {len(vectors)} chunks"
        leave("document", doc_id, "too few clusters", f"{detail}, at least {settings.min_clusters} wanted")
        return [], dropped
    kept = draw(usable, settings, random.Random(hashlib.sha256(f"{seed}:{doc_id}".encode()).digest()))
    for c in usable:
        if c not in kept:
            leave("cluster", c.cluster_id, "not drawn", f"{settings.max_clusters} of {len(usable)} were drawn")
    return kept, dropped


def describe(doc_id: str, vectors: np.ndarray, settings: Settings) -> list[Cluster]:
    """The document's clusters in order of their first chunk, those over the limit included."""
    vectors = unit(vectors)
    groups = sorted(group.tolist() for group in find_clusters(vectors, settings))
    whole, told = cut.cohesion(vectors), scale.told_apart(vectors) if len(vectors) >= scale.ENOUGH else None
    return [
        Cluster(
            cluster_id=f"{doc_id}/c{i}",
            doc_id=doc_id,
            chunk_indices=group,
            cohesion=cut.cohesion(vectors[group]),
            document_cohesion=whole,
            told_apart=told,
            spread=cut.spread(group, len(vectors)),
        )
        for i, group in enumerate(groups)
    ]


def find_clusters(vectors: np.ndarray, settings: Settings) -> list[np.ndarray]:
    """Disjoint clusters of these chunk vectors, (n_chunks, dim), each as ascending chunk indices."""
    smallest, largest = settings.min_cluster_size, settings.max_cluster_size
    least = least_similarity(vectors, settings)
    if settings.published:
        return tree.hdbscan(vectors, smallest, settings.min_samples, 1 - least)
    return cut.themes(vectors, least, smallest, largest, settings.min_samples)


def least_similarity(vectors: np.ndarray, settings: Settings) -> float:
    """The least mean cosine similarity within a cluster of these vectors, (n_chunks, dim) of unit length; with
    `published`, where clusters are merged.

    A document without room for two clusters has no parts that could be told apart: any of its chunks are alike enough.
    """
    if settings.published:
        return settings.min_similarity or 0.0
    has_parts = len(vectors) >= 2 * settings.min_cluster_size
    level = scale.level(vectors, settings.min_cohesion) if has_parts else -1.0
    return level if settings.min_similarity is None else max(level, settings.min_similarity)


def draw(clusters: list[Cluster], settings: Settings, rng: random.Random) -> list[Cluster]:
    """At most `max_clusters` of them, in their order."""
    if settings.published:
        drawn = rng.sample(clusters, min(len(clusters), settings.max_clusters))
    else:
        by_spread, by_cohesion = (sorted(clusters, key=key) for key in (lambda c: -c.spread, lambda c: -c.cohesion))
        place = {c.cluster_id: by_spread.index(c) + by_cohesion.index(c) for c in clusters}
        drawn = sorted(clusters, key=lambda c: place[c.cluster_id])[: settings.max_clusters]
    return [c for c in clusters if c in drawn]


def settings(config: Config) -> tuple[str, ...]:
    """What changes its bytes: the seed where clusters are drawn at random."""
    return ("cluster", "seed") if config.cluster.published else ("cluster",)


STAGE = Stage(tables.CLUSTER, settings, PerShard(process), version=3)
