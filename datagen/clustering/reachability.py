"""The order in which Prim's algorithm reaches the chunks of a document, which is all that single linkage needs to know.

Source: HDBSCAN (Campello, Moulavi & Sander 2013, "Density-Based Clustering Based on Hierarchical Density Estimates"):
the mutual reachability of two points is the largest of their cosine distance and their two core distances, a core
distance being that to the `min_samples`-th nearest point, the point itself counted. Prim's algorithm walks the minimum
spanning tree of that graph; whatever threshold the tree is cut at, the parts are runs of its order.

Up to DENSE chunks the distances stand in a matrix, computed as scikit-learn computes them, to the bit. Above that there
is none: each chunk keeps its nearest neighbours, and Borůvka's algorithm grows the spanning tree on that graph. Where a
part of the tree may have a nearer neighbour than those it knows, the whole document is searched. So the tree is a
minimum spanning tree there, too, but for rounding; memory is O(n · NEIGHBOURS).
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

DENSE = 2048  # chunks: a matrix of 32 MB
NEIGHBOURS = 32
BLOCK = 1 << 22  # numbers in a block of similarities
SLACK = 1e-6  # float32 similarities are this exact


class Reached(NamedTuple):
    """`order`, (n,): the points as Prim's algorithm reaches them from point 0; `gaps`, (n - 1,) float64: how far each
    but the first was from those before it, in mutual reachability.
    """

    order: np.ndarray
    gaps: np.ndarray


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors, (n, dim), as unit vectors, (n, dim) float64. Raises ValueError where one has no direction."""
    vectors = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    wrong = np.flatnonzero(~((lengths > 0) & np.isfinite(lengths)))
    if len(wrong):
        what = f"{len(wrong):,} of {len(vectors):,} vectors are zero or not finite"
        raise ValueError(f"{what}, the first of them that of chunk {wrong[0]}")
    vectors /= lengths[:, None]
    return vectors


def reach(vectors: np.ndarray, min_samples: int) -> Reached:
    """Walk the minimum spanning tree of n ≥ 1 unit vectors, (n, dim) float64."""
    min_samples = min(min_samples, len(vectors))
    return by_matrix(vectors, min_samples) if len(vectors) <= DENSE else by_neighbours(vectors, min_samples)


def by_matrix(vectors: np.ndarray, min_samples: int) -> Reached:
    """`reach` with all n x n distances in memory."""
    distances = vectors @ vectors.T
    np.subtract(1.0, distances, out=distances)
    np.clip(distances, 0.0, 2.0, out=distances)
    np.fill_diagonal(distances, 0.0)
    core = np.partition(distances, min_samples - 1, axis=1)[:, min_samples - 1]
    np.maximum(distances, core[:, None], out=distances)
    np.maximum(distances, core[None, :], out=distances)
    n = len(vectors)
    order, gaps = np.zeros(n, dtype=np.int64), np.empty(n - 1)
    nearest, outside = np.full(n, np.inf), np.ones(n, dtype=bool)
    point = 0
    for i in range(n - 1):
        outside[point] = False
        nearest[point] = np.inf
        np.minimum(nearest, distances[point], out=nearest, where=outside)
        point = int(nearest.argmin())
        order[i + 1], gaps[i] = point, nearest[point]
    return Reached(order, gaps)


def by_neighbours(vectors: np.ndarray, min_samples: int, neighbours: int = NEIGHBOURS) -> Reached:
    """`reach` without a matrix, from the nearest neighbours of each, of which there must be fewer than points."""
    n, single = len(vectors), vectors.astype(np.float32)
    near, distances, core = _neighbours(vectors, single, min_samples, neighbours)
    reachable = np.maximum(distances, np.maximum(core[:, None], core[near]))
    beyond = np.maximum(core, distances[:, -1] - SLACK)  # what is not among the neighbours is at least so far
    part = np.arange(n)
    tree: list[tuple[int, int, float]] = []
    while len(tree) < n - 1:
        largest = part == np.bincount(part).argmax()  # the others join it: its own way out would be the most work
        found = _way_out(part, near, reachable)
        found.length[largest] = np.inf
        _search_all(part, largest, found, beyond, core, vectors, single)
        tree += _joined(part, found)
    return _walk(tree, n)


class _Edges(NamedTuple):
    """The best edge known from each point to another part of the tree: where to, (n,), and how far, (n,)."""

    target: np.ndarray
    length: np.ndarray


def _neighbours(
    vectors: np.ndarray, single: np.ndarray, min_samples: int, neighbours: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest other points of each, (n, neighbours), their distances, (n, neighbours) float64, ascending, and the
    core distances, (n,).
    """
    n, dim = vectors.shape
    k = max(neighbours, min_samples - 1)
    near, distances = np.empty((n, neighbours), dtype=np.int64), np.empty((n, neighbours))
    core = np.zeros(n)
    rows = max(1, BLOCK // max(n, dim * k))
    for start in range(0, n, rows):
        block = np.arange(start, min(start + rows, n))
        similarities = single[block] @ single.T
        similarities[np.arange(len(block)), block] = -np.inf  # it is no neighbour of its own
        found = np.argpartition(similarities, n - k, axis=1)[:, n - k :]
        exact = np.clip(1.0 - np.einsum("nd,nkd->nk", vectors[block], vectors[found]), 0.0, 2.0)
        by_distance = np.argsort(exact, axis=1, kind="stable")
        exact = np.take_along_axis(exact, by_distance, axis=1)
        near[block] = np.take_along_axis(found, by_distance, axis=1)[:, :neighbours]
        distances[block] = exact[:, :neighbours]
        if min_samples > 1:
            core[block] = exact[:, min_samples - 2]
    return near, distances, core


def _way_out(part: np.ndarray, near: np.ndarray, reachable: np.ndarray) -> _Edges:
    lengths = np.where(part[near] != part[:, None], reachable, np.inf)
    best = lengths.argmin(axis=1)[:, None]
    return _Edges(np.take_along_axis(near, best, 1)[:, 0], np.take_along_axis(lengths, best, 1)[:, 0])


def _search_all(
    part: np.ndarray,
    done: np.ndarray,
    found: _Edges,
    beyond: np.ndarray,
    core: np.ndarray,
    vectors: np.ndarray,
    single: np.ndarray,
) -> None:
    """Look at all points for those that may have a shorter edge than the best one known of their part."""
    shortest = np.full(len(part), np.inf)
    np.minimum.at(shortest, part, found.length)
    pending = np.flatnonzero((beyond < shortest[part]) & ~done)
    pending = pending[np.argsort(beyond[pending], kind="stable")]  # the most promising first
    rows = max(1, BLOCK // len(part))
    while len(pending):
        block, pending = pending[:rows], pending[rows:]
        lengths = 1.0 - single[block] @ single.T
        np.maximum(lengths, core[None, :], out=lengths)
        lengths[part[block][:, None] == part[None, :]] = np.inf
        target = lengths.argmin(axis=1)
        exact = np.clip(1.0 - np.einsum("nd,nd->n", vectors[block], vectors[target]), 0.0, 2.0)
        exact = np.maximum(exact, np.maximum(core[block], core[target]))
        better = exact < found.length[block]
        found.target[block[better]], found.length[block[better]] = target[better], exact[better]
        np.minimum.at(shortest, part[block], found.length[block])
        pending = pending[beyond[pending] < shortest[part[pending]]]


def _joined(part: np.ndarray, found: _Edges) -> list[tuple[int, int, float]]:
    """Join every part to its nearest one: the edges taken. `part` is updated in place."""
    order = np.argsort(found.length, kind="stable")
    _, first = np.unique(part[order], return_index=True)
    parent = list(range(len(part)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    edges = []
    for point in order[np.sort(first)].tolist():
        target, length = int(found.target[point]), float(found.length[point])
        a, b = root(int(part[point])), root(int(part[target]))
        if a != b and length < np.inf:
            parent[max(a, b)] = min(a, b)
            edges.append((point, target, length))
    roots = np.array([root(i) for i in range(len(part))])
    part[:] = roots[part]
    return edges


def _walk(tree: list[tuple[int, int, float]], n: int) -> Reached:
    """Prim's order on a tree's edges."""
    edges: list[list[tuple[float, int]]] = [[] for _ in range(n)]
    for a, b, length in tree:
        edges[a].append((length, b))
        edges[b].append((length, a))
    order, gaps, seen = [0], [], bytearray(n)
    seen[0] = 1
    heap = edges[0][:]
    heapq.heapify(heap)
    while heap:
        gap, point = heapq.heappop(heap)
        if not seen[point]:
            seen[point] = 1
            order.append(point)
            gaps.append(gap)
            for edge in edges[point]:
                if not seen[edge[1]]:
                    heapq.heappush(heap, edge)
    return Reached(np.array(order), np.array(gaps))
