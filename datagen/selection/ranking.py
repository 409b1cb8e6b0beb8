"""The order in which the candidates of a run are taken, by which everything else is decided.

Source: LongRLVR (arXiv 2603.02146): the best candidate of a cluster by its rating, then the best of a document. Here
that is the beginning of an order of all candidates. In its first pass every cluster gives its best one, in the second
its second best; within a pass every document gives one in turn, those with the best to give first. So the order begins
with what the published procedure takes, and more rows per document or per cluster are more of the same order.

Departure: ratings are compared in steps of half a point, which is less than the judge's scale tells apart, and of the
candidates of one step a document gives that whose evidence stands where least was taken from so far. Nothing is left
out for where it stands; and a `min_rating` in whole or half points never lies within a step.

Nothing here depends on a threshold but how far the order is followed. That is what makes selection monotone.
"""

from __future__ import annotations

import hashlib
from itertools import takewhile

import numpy as np

from datagen.selection.rows import Documents, Rows

STEPS = 2  # per point
THIRDS = 3
PLACES = {  # by the thirds of the document, in tokens, that the first and the last chunk of the evidence stand in
    0: "early",
    1: "early to middle",
    2: "early to late",
    4: "middle",
    5: "middle to late",
    8: "late",
}


def places(rows: Rows, documents: Documents) -> np.ndarray:
    """(n,) where the evidence stands in its document, as numbered in PLACES: its position and its spread in one."""
    before = np.concatenate([[0], np.cumsum(documents.n_tokens, dtype=np.int64)])
    starts, ends = documents.starts[rows.documents], documents.starts[rows.documents + 1]
    lengths = np.maximum(before[ends] - before[starts], 1)

    def third(chunks: np.ndarray) -> np.ndarray:
        middles = (before[starts + chunks] + before[starts + chunks + 1]) / 2 - before[starts]
        return np.minimum(THIRDS * middles // lengths, THIRDS - 1).astype(np.int64)

    return THIRDS * third(rows.first) + third(rows.last)


def order(rows: Rows, places: np.ndarray, per_cluster: int, seed: int) -> np.ndarray:
    """The numbers of the rows in the order in which they are taken, up to `per_cluster` of each cluster.

    For a smaller `per_cluster` it is the beginning of this one. Ties are settled by hashes of the ids.
    """
    doc_ids = dict(zip(rows.documents.tolist(), rows.doc_ids, strict=True))
    turns = {document: _draw(seed, doc_id) for document, doc_id in doc_ids.items()}
    ratings, stands = rows.ratings.tolist(), places.tolist()
    steps = np.floor(STEPS * rows.ratings).astype(np.int64).tolist()
    clusters = _clusters(rows)
    filled = [0] * THIRDS**2
    taken: list[int] = []

    def preference(row: int) -> tuple[int, float, bytes]:
        return filled[stands[row]], -ratings[row], _draw(seed, rows.qa_ids[row])

    for _ in range(per_cluster):
        left = {document: [c for c in of_document if c] for document, of_document in clusters.items()}
        while left := {document: of_document for document, of_document in left.items() if of_document}:
            best = {document: max(steps[c[0]] for c in of_document) for document, of_document in left.items()}
            for document in sorted(left, key=lambda d: (-best[d], turns[d])):
                step = best[document]
                choice = {
                    row: cluster
                    for cluster in left[document]
                    for row in takewhile(lambda row: steps[row] == step, cluster)  # noqa: B023
                }
                row = min(choice, key=preference) if len(choice) > 1 else next(iter(choice))
                cluster = choice[row]
                cluster.remove(row)
                left[document] = [other for other in left[document] if other is not cluster]
                filled[stands[row]] += 1
                taken.append(row)
        if len(taken) == len(rows):
            break
    return np.array(taken, np.int64)


def _clusters(rows: Rows) -> dict[int, list[list[int]]]:
    """By document, the rows of each of its clusters, the best rated first."""
    by_rating = np.lexsort((-rows.ratings, rows.clusters, rows.documents))
    found: dict[int, list[list[int]]] = {}
    edges = np.flatnonzero(np.diff(rows.clusters[by_rating], prepend=-1))
    for cluster in np.split(by_rating, edges[1:]) if len(rows) else []:
        found.setdefault(int(rows.documents[cluster[0]]), []).append(cluster.tolist())
    return found


def _draw(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()


def counted(labels: np.ndarray) -> np.ndarray:
    """(n,) how many times each label stands before it in (n,) labels."""
    by_label = np.argsort(labels, kind="stable")
    ordered = labels[by_label]
    first = np.searchsorted(ordered, ordered)
    found = np.empty(len(labels), np.int64)
    found[by_label] = np.arange(len(labels)) - first
    return found
