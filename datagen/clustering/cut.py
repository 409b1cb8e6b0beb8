"""Cut HDBSCAN's tree of a document into themes of a bounded size, and lose as few chunks as can be.

The published rule makes one cut and drops a cluster over the size limit; in a novel nearly every chunk is in one such
cluster. Here the tree is cut at every height: from the top down, a branch becomes a cluster as soon as it is small
enough and its chunks are alike enough; one that never is falls apart, and its chunks are free. The free chunks have a
tree of their own, in which others of them are neighbours, and that is cut next, until a tree gives no cluster. Chunks
that are still free then join the cluster they are most like, if they are alike enough.

"Alike enough" is one number throughout: the mean cosine similarity over the pairs of a cluster (its cohesion) is at
least `min_similarity`. A chunk joins only if its own mean similarity to the members is, so joining keeps that true.
"""

from __future__ import annotations

import numpy as np

from datagen.clustering.reachability import reach, unit
from datagen.clustering.tree import single_linkage

BLOCK = 1 << 22  # similarities at once
DECIMALS = 9  # of a distance; more are rounding


def themes(
    vectors: np.ndarray, min_similarity: float, min_size: int, max_size: int, min_samples: int
) -> list[np.ndarray]:
    """Disjoint clusters of n vectors, (n, dim), each as ascending indices: `min_size` to `max_size` of them, of a
    cohesion of at least `min_similarity`.
    """
    vectors = unit(vectors)
    found: list[np.ndarray] = []
    free = np.arange(len(vectors))
    while len(free) >= max(min_size, 2):
        branches = _branches(vectors[free], min_similarity, min_size, max_size, min_samples)
        if not branches:
            break
        found += [free[branch] for branch in branches]
        free = np.setdiff1d(free, np.concatenate(found), assume_unique=True)
    return [np.sort(cluster) for cluster in _joined(vectors, found, free, min_similarity, max_size)]


def cohesion(vectors: np.ndarray) -> float:
    """Mean cosine similarity over all pairs of these unit vectors, (n, dim); 1.0 for a single one."""
    return _cohesion(vectors.sum(axis=0, dtype=np.float64), len(vectors))


def spread(chunks: np.ndarray, n_chunks: int) -> float:
    """How far apart a cluster's chunks, (n,) indices, stand in a document of `n_chunks`: about 1 if as far as chunks
    drawn at random, near 0 for neighbours in a long document.
    """
    n = len(chunks)
    if n < 2:
        return 0.0
    ranks = np.arange(n)
    mean_distance = 2 * float((np.sort(chunks) * (2 * ranks - n + 1)).sum()) / (n * (n - 1))
    return 3 * mean_distance / (n_chunks + 1)


def _cohesion(total: np.ndarray, n: int) -> float:
    """The cohesion of n unit vectors from their sum, (dim,)."""
    return (float(total @ total) - n) / (n * (n - 1)) if n > 1 else 1.0


def _branches(
    vectors: np.ndarray, min_similarity: float, min_size: int, max_size: int, min_samples: int
) -> list[np.ndarray]:
    """The largest branches of the tree that are clusters."""
    n = len(vectors)
    reached = reach(vectors, min_samples)
    linkage = single_linkage(reached.gaps, _in_order(reached.gaps, max_size))
    sums = np.zeros((n + 1, vectors.shape[1]))
    np.cumsum(vectors[reached.order], axis=0, out=sums[1:])  # of a run: the difference of two rows
    found, pending = [], [2 * n - 2]
    while pending:
        node = pending.pop()
        start, end = linkage.start[node], linkage.end[node]
        if end - start < min_size:
            continue
        if end - start <= max_size and _cohesion(sums[end] - sums[start], end - start) >= min_similarity:
            found.append(reached.order[start:end])
        elif node >= n:
            pending += linkage.halves[node - n]
    return found


def _in_order(gaps: np.ndarray, max_size: int) -> np.ndarray:
    """Ascending. Copies of a chunk stand in a run of equal gaps, which falls into runs of `max_size`: closed from one
    end, it would give a single cluster a tree.
    """
    seam = np.arange(1, len(gaps) + 1) % max_size == 0
    return np.lexsort((seam, gaps.round(DECIMALS)))


def _joined(
    vectors: np.ndarray, clusters: list[np.ndarray], free: np.ndarray, min_similarity: float, max_size: int
) -> list[np.ndarray]:
    """Add free chunks to clusters that have room, the most similar first, until none is similar enough."""
    members = [cluster.tolist() for cluster in clusters]
    sums = np.array([vectors[cluster].sum(axis=0) for cluster in clusters])
    while len(free):
        open_ = np.flatnonzero([len(m) < max_size for m in members])
        if not len(open_):
            break
        sizes = np.array([len(members[c]) for c in open_])
        best, similarity = np.empty(len(free), dtype=np.int64), np.empty(len(free))
        for block in np.array_split(np.arange(len(free)), -(-len(free) * len(open_) // BLOCK)):
            means = vectors[free[block]] @ sums[open_].T / sizes
            best[block], similarity[block] = open_[means.argmax(axis=1)], means.max(axis=1)
        taken = np.zeros(len(free), dtype=bool)
        for i in np.argsort(-similarity, kind="stable"):
            if similarity[i] < min_similarity:
                break
            cluster, vector = best[i], vectors[free[i]]
            # Its members may have changed meanwhile: asked again in the next round, then.
            if len(members[cluster]) < max_size and vector @ sums[cluster] >= min_similarity * len(members[cluster]):
                members[cluster].append(int(free[i]))
                sums[cluster] += vector
                taken[i] = True
        if not taken.any():
            break
        free = free[~taken]
    return [np.array(m) for m in members]
