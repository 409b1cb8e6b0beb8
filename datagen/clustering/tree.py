"""HDBSCAN: the condensed tree of a document's chunks, and the clusters that are selected in it.

Source: Campello, Moulavi & Sander 2013 (stability, excess of mass); McInnes & Healy 2017, "Accelerated Hierarchical
Density Based Clustering" (the condensed tree); Malzer & Baum 2020, "A Hybrid Approach To Hierarchical Density-based
Cluster Selection" (epsilon). The labels are those of `sklearn.cluster.HDBSCAN`, up to their numbers: sums are taken and
ties are settled in its order. Unlike its own, this code does not fail on numpy 2.4 when epsilon merges clusters.

Each cluster is a run of Prim's order (see reachability): the points `order[start:end]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from datagen.clustering.reachability import Reached, reach, unit

ROOT = 0


class Linkage(NamedTuple):
    """A single-linkage dendrogram. Nodes 0 … n - 1 are runs of one point; node n + i is the i-th that two others were
    joined to, the last one the whole.
    """

    start: list[int]  # of each node's run
    end: list[int]
    halves: list[tuple[int, int]]  # of node n + i: the nodes it was joined of
    distance: list[float]  # of node n + i: between its halves


@dataclass
class Node:
    """A cluster of the condensed tree. `birth` is the density (1 / distance) at which it parts from its parent."""

    parent: int
    birth: float
    start: int
    end: int
    stability: float = 0.0
    children: list[int] = field(default_factory=list)


def hdbscan(vectors: np.ndarray, min_cluster_size: int, min_samples: int, epsilon: float) -> list[np.ndarray]:
    """The clusters of n vectors, (n, dim), by cosine distance and excess of mass, each as ascending indices.

    `min_samples` counts the point itself, and may exceed n; `epsilon` is the distance below which clusters are merged.
    """
    if len(vectors) < 2:
        return []
    reached = reach(unit(vectors), min_samples)
    tree = condense(reached, min_cluster_size)
    return [np.sort(reached.order[tree[c].start : tree[c].end]) for c in excess_of_mass(tree, epsilon)]


def single_linkage(gaps: np.ndarray, joined: np.ndarray) -> Linkage:
    """The dendrogram of n points whose spanning tree was reached with these gaps, (n - 1,), closed in the order
    `joined`, (n - 1,): ascending, it settles which of equal ones comes first.
    """
    n = len(gaps) + 1
    start, end, halves = list(range(n)), list(range(1, n + 1)), []
    starting, ending = list(range(n)), list(range(n))  # the node whose run starts, or ends, with a point
    for node, gap in enumerate(joined.tolist(), n):
        left, right = ending[gap], starting[gap + 1]
        halves.append((left, right))
        start.append(start[left])
        end.append(end[right])
        starting[start[left]] = ending[end[right] - 1] = node
    return Linkage(start, end, halves, gaps[joined].tolist())


def condense(reached: Reached, min_cluster_size: int) -> list[Node]:
    """The dendrogram of n ≥ 2 points without the splits in which a side has fewer than `min_cluster_size` points.

    Breadth first, so a parent comes before its children; the first node is the whole document.
    """
    n = len(reached.order)
    linkage = single_linkage(reached.gaps, np.argsort(reached.gaps))  # not stable: ties come in scikit-learn's order
    tree = [Node(ROOT, 0.0, 0, n)]
    level = [(2 * n - 2, ROOT)]
    while level:
        following = []
        for node, cluster in level:
            distance, halves = linkage.distance[node - n], linkage.halves[node - n]
            density = 1.0 / distance if distance > 0.0 else np.inf
            gain = density - tree[cluster].birth
            sizes = [linkage.end[half] - linkage.start[half] for half in halves]
            splits = min(sizes) >= min_cluster_size
            for half, size in zip(halves, sizes, strict=True):
                if splits:
                    tree[cluster].stability += gain * size
                    tree[cluster].children.append(len(tree))
                    following.append((half, len(tree)))
                    tree.append(Node(cluster, density, linkage.start[half], linkage.end[half]))
                elif size >= min_cluster_size:
                    following.append((half, cluster))
                else:
                    for _ in range(size):  # not times `size`: the sum would round otherwise than scikit-learn's
                        tree[cluster].stability += gain
        level = following
    return tree


def excess_of_mass(tree: list[Node], epsilon: float) -> list[int]:
    """The clusters of the largest total stability, none within another and never the whole; those that parted nearer
    than `epsilon` are merged.
    """
    best, chosen = [node.stability for node in tree], [False] * len(tree)
    for cluster in range(len(tree) - 1, ROOT, -1):
        of_children = sum(best[child] for child in tree[cluster].children)
        if of_children > best[cluster]:
            best[cluster] = of_children
        else:
            chosen[cluster] = True
    stable = _outermost(tree, chosen)
    return _merged(tree, stable, epsilon) if epsilon else stable


def _merged(tree: list[Node], clusters: list[int], epsilon: float) -> list[int]:
    """In place of a cluster that parted nearer than `epsilon`, the first above it that parted farther off; failing
    that, the last below the root.
    """
    chosen = [False] * len(tree)
    for cluster in clusters:
        if 1.0 / tree[cluster].birth < epsilon:
            while tree[cluster].parent != ROOT:
                cluster = tree[cluster].parent
                if 1.0 / tree[cluster].birth > epsilon:
                    break
        chosen[cluster] = True
    return _outermost(tree, chosen)


def _outermost(tree: list[Node], chosen: list[bool]) -> list[int]:
    found, covered = [], [False] * len(tree)
    for cluster in range(1, len(tree)):
        above = covered[tree[cluster].parent]
        covered[cluster] = above or chosen[cluster]
        if chosen[cluster] and not above:
            found.append(cluster)
    return found
