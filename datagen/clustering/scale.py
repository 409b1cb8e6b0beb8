"""How alike the chunks of a document are by its own measure.

A number then means the same in every language and by every encoder, whose cosine similarities have scales of their own.
"""

from __future__ import annotations

import numpy as np

ENOUGH = 30  # chunks from which on `told_apart` tells something: of fewer, chance has too much of a say
SAMPLE = 1_024  # chunks that stand for all
ROUNDING = 1e-6  # of a similarity: the mean of equal ones may be a little less than each


def level(vectors: np.ndarray, share: float) -> float:
    """The cosine similarity at a `share` of the document's own measure: 0 is that of any two chunks (the mean over all
    pairs), 1 that of a chunk and the one most like it (the median over the chunks).

    `vectors` are those of its n chunks, (n, dim) of unit length; of a long document, `SAMPLE` chunks are looked at that
    are spread evenly over it. Raises ValueError for fewer than two.
    """
    if len(vectors) < 2:
        raise ValueError("fewer than two chunks make no pair")
    some = sample(len(vectors))
    similar = vectors[some] @ vectors.T
    similar[np.arange(len(some)), some] = -np.inf
    nearest = float(np.median(similar.max(axis=1)))
    typical = float(similar[np.isfinite(similar)].mean())
    return typical + share * (nearest - typical) - ROUNDING


def told_apart(vectors: np.ndarray) -> float:
    """How often two chunks that follow each other are more alike than two drawn at random (ties count half): what an
    encoder makes of a document whose parts differ. 0.5 is chance; (n, dim) unit vectors in the order of the text.

    This is the area under the ROC curve (Hanley and McNeil 1982). Raises ValueError for fewer than two vectors.
    """
    if len(vectors) < 2:
        raise ValueError("fewer than two chunks make no pair")
    following = np.einsum("ij,ij->i", vectors[:-1], vectors[1:])
    some = vectors[sample(len(vectors))]
    drawn = np.sort((some @ some.T)[np.triu_indices(len(some), 1)])
    below = drawn.searchsorted(following, "left") + drawn.searchsorted(following, "right")
    return float(below.mean() / (2 * len(drawn)))


def sample(n: int) -> np.ndarray:
    """At most `SAMPLE` of the numbers below n, spread evenly, ascending."""
    return np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).round().astype(np.int64))
