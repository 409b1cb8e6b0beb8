"""cluster: HDBSCAN over a document's chunk vectors; keep thematic clusters of a usable size.

Source: LongRLVR (arXiv 2603.02146), its published data pipeline: HDBSCAN with cosine distance, min_cluster_size 4,
min_samples 2, epsilon = 1 - min_similarity, `eom` selection, clusters of 4 to 16 chunks.
Departure: the published rule drops a cluster over the limit, and in real books nearly every chunk falls into one such
cluster. With `oversized: split` its chunks are clustered again by leaf selection; `oversized: drop` is as published.
"""

from __future__ import annotations

import hashlib
import random
import warnings

import numpy as np

from datagen.config import Cluster as Settings
from datagen.records import Cluster, Dropped, Embedding
from datagen.stage import Output, Shard, Stage


def process(shard: Shard) -> Output:
    vectors: dict[str, list[np.ndarray]] = {}
    for row in shard.rows("embed", Embedding):
        vectors.setdefault(row.doc_id, []).append(row.vector)
    rows: list[Cluster] = []
    dropped: list[Dropped] = []
    for doc_id, stacked in vectors.items():
        kept, left = cluster_document(doc_id, np.stack(stacked), shard.config.cluster, shard.config.seed)
        rows += kept
        dropped += left
    return Output(rows, dropped)


def cluster_document(
    doc_id: str, vectors: np.ndarray, settings: Settings, seed: int
) -> tuple[list[Cluster], list[Dropped]]:
    """Cluster one document's chunk vectors, (n_chunks, dim) unit length. Every cluster found is kept or dropped."""

    def leave(unit: str, row_id: str, reason: str, detail: str) -> Dropped:
        return Dropped(unit, row_id, doc_id, "rejected", reason, detail)

    n = len(vectors)
    if n > settings.max_document_chunks:
        detail = f"{n} chunks, cluster.max_document_chunks is {settings.max_document_chunks}"
        return [], [leave("document", doc_id, "too many chunks", detail)]
    vectors = vectors.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    groups = find_clusters(vectors, settings)
    ids = [f"{doc_id}/c{i}" for i in range(len(groups))]
    dropped = [
        leave(
            "cluster", ids[i], "oversized", f"{len(g)} chunks, cluster.max_cluster_size is {settings.max_cluster_size}"
        )
        for i, g in enumerate(groups)
        if len(g) > settings.max_cluster_size
    ]
    usable = [i for i, g in enumerate(groups) if len(g) <= settings.max_cluster_size]
    if len(usable) < settings.min_clusters:
        detail = (
            f"{len(usable)} usable of {len(groups)} clusters in {n} chunks, at least {settings.min_clusters} wanted"
        )
        dropped += [leave("cluster", ids[i], "document left out", "too few clusters in it") for i in usable]
        return [], [*dropped, leave("document", doc_id, "too few clusters", detail)]
    rng = random.Random(hashlib.sha256(f"{seed}:{doc_id}".encode()).digest())
    drawn = sorted(rng.sample(usable, min(len(usable), settings.max_clusters)))
    detail = f"{settings.max_clusters} of {len(usable)} were drawn"
    dropped += [leave("cluster", ids[i], "not drawn", detail) for i in usable if i not in drawn]
    whole = mean_similarity(vectors)
    return [Cluster(ids[i], doc_id, groups[i], mean_similarity(vectors[groups[i]]), whole) for i in drawn], dropped


def find_clusters(vectors: np.ndarray, settings: Settings) -> list[list[int]]:
    """The document's clusters as ascending chunk indices, in order of their first chunk; over the limit included."""
    found = []
    for members in _hdbscan(np.arange(len(vectors)), vectors, settings, "eom", 1 - settings.min_similarity):
        if len(members) > settings.max_cluster_size and settings.oversized == "split":
            parts = _hdbscan(members, vectors, settings, "leaf", 0.0)
            found += parts or [members]
        else:
            found.append(members)
    return sorted(members.tolist() for members in found)


def mean_similarity(vectors: np.ndarray) -> float:
    """Mean cosine similarity over all pairs of these unit vectors, (n, dim); 1.0 for a single one."""
    n = len(vectors)
    if n < 2:
        return 1.0
    total = np.linalg.norm(vectors.sum(axis=0, dtype=np.float64)) ** 2
    return float((total - n) / (n * (n - 1)))


def _hdbscan(
    members: np.ndarray, vectors: np.ndarray, settings: Settings, method: str, epsilon: float
) -> list[np.ndarray]:
    if len(members) < settings.min_cluster_size:
        return []
    from sklearn.cluster import HDBSCAN

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # scikit-learn's own use of numpy
        labels = HDBSCAN(
            min_cluster_size=settings.min_cluster_size,
            min_samples=min(settings.min_samples, len(members) - 1),
            metric="cosine",
            cluster_selection_epsilon=epsilon,
            cluster_selection_method=method,
            copy=True,  # pyright: ignore[reportArgumentType]  # a bool; the type is guessed from its default "warn"
        ).fit_predict(vectors[members])
    return [members[labels == label] for label in range(labels.max() + 1)]


STAGE = Stage(
    name="cluster",
    record=Cluster,
    takes="document",
    makes="cluster",
    reads=("chunk", "embed"),
    settings=("cluster", "seed"),
    process=process,
)
