"""cluster: group a document's chunks by theme; keep clusters of a usable size.

`published: true` is the rule of the data pipeline of LongRLVR (arXiv 2603.02146): HDBSCAN with cosine distance and
excess of mass, epsilon = 1 - min_similarity, clusters over the size limit dropped, the wanted number drawn at random.
By default the same tree is cut so as to lose fewer chunks (see `clustering.cut`), at a cohesion by the document's own
measure (see `clustering.scale`). Of the clusters found, those are preferred whose chunks stand far apart in the
document, since evidence that is spread is what long context needs, and are alike: by the sum of their ranks in spread
and in cohesion.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace
from itertools import pairwise

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
    for doc_id, lengths in tokens(shard).items():
        if doc_id not in vectors:
            dropped.append(_without_vectors(doc_id, shard))
            continue
        places, embedded = vectors[doc_id]
        ends = np.cumsum(lengths)[places]
        kept, left = cluster_document(doc_id, embedded, shard.config.cluster, shard.config.seed, ends)
        rows += [replace(c, chunk_indices=[places[i] for i in c.chunk_indices]) for c in kept]
        dropped += left
    return Output(rows, dropped)


def tokens(shard: Shard) -> dict[str, list[int]]:
    """The tokens of each chunk of a shard's documents, in order."""
    table = shard.table("chunk", ["doc_id", "n_tokens"])
    found: dict[str, list[int]] = {}
    for doc_id, n in zip(table["doc_id"].to_pylist(), table["n_tokens"].to_pylist(), strict=True):
        found.setdefault(doc_id, []).append(n)
    return found


def _without_vectors(doc_id: str, shard: Shard) -> Dropped:
    """Why a document has no cluster of which no chunk has a vector."""
    left = [row for row in shard.rows("embed", Dropped, "dropped") if row.doc_id == doc_id]
    if any(row.reason == NO_VECTOR for row in left):
        return Dropped("document", doc_id, doc_id, "failed", NO_VECTOR, "none of its chunks has one")
    detail = f"all of it: {left[0].detail}" if left else "it has no chunk"
    return Dropped("document", doc_id, doc_id, "rejected", BOILERPLATE, detail)


def cluster_document(
    doc_id: str, vectors: np.ndarray, settings: Settings, seed: int, ends: np.ndarray | None = None
) -> tuple[list[Cluster], list[Dropped]]:
    """Cluster one document's chunk vectors, (n_chunks, dim) unit length. Every cluster found is kept or dropped.

    `ends`, (n_chunks,): how many tokens the document has up to the end of each chunk; None: it is short.
    """
    dropped: list[Dropped] = []

    def leave(unit: str, row_id: str, reason: str, detail: str) -> None:
        dropped.append(Dropped(unit, row_id, doc_id, "rejected", reason, detail))

    found = describe(doc_id, vectors, settings, ends)
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


def describe(doc_id: str, vectors: np.ndarray, settings: Settings, ends: np.ndarray | None = None) -> list[Cluster]:
    """The document's clusters in order of their first chunk, those over the limit included. Spread is within the part
    of a long document that is clustered by itself.
    """
    vectors = unit(vectors)
    least = least_similarity(vectors, settings)
    groups: list[tuple[list[int], float]] = []
    for start, end in parts(ends, settings) if ends is not None else [(0, len(vectors))]:
        for group in find_clusters(vectors[start:end], settings, least):
            groups.append(((group + start).tolist(), cut.spread(group, end - start)))
    told = scale.told_apart(vectors) if len(vectors) >= scale.ENOUGH else None
    whole = cut.cohesion(vectors)
    return [
        Cluster(
            cluster_id=f"{doc_id}/c{i}",
            doc_id=doc_id,
            chunk_indices=group,
            cohesion=cut.cohesion(vectors[group]),
            document_cohesion=whole,
            told_apart=told,
            spread=spread,
        )
        for i, (group, spread) in enumerate(sorted(groups))
    ]


def parts(ends: np.ndarray, settings: Settings) -> list[tuple[int, int]]:
    """Ranges of chunks that are clustered by themselves, of about as many tokens each: at most `max_span_tokens`, but
    for a single chunk that is longer. `ends` as in `cluster_document`.
    """
    starts = np.concatenate([[0], ends[:-1]])
    n = 1 if settings.published else -(-int(ends[-1]) // settings.max_span_tokens)
    while True:
        edges = np.unique([0, *starts.searchsorted(np.arange(1, n) * ends[-1] / n), len(ends)]).tolist()
        found = list(pairwise(edges))
        over = any(end - start > 1 and ends[end - 1] - starts[start] > settings.max_span_tokens for start, end in found)
        if settings.published or not over:
            return found
        n += 1


def find_clusters(vectors: np.ndarray, settings: Settings, least: float) -> list[np.ndarray]:
    """Disjoint clusters of these chunk vectors, (n_chunks, dim), each as ascending chunk indices; `least` is the least
    similarity within one.
    """
    smallest, largest = settings.min_cluster_size, settings.max_cluster_size
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
