"""Rows whose question says the same, or nearly, as that of a row before them.

Near ones are found exactly, by products of blocks of vectors. Products of a twelfth of the length rule out most blocks:
with x = (a, b) and y = (c, d), where a and c are the leading principal components, x·y is at most a·c + |b||d|
(Cauchy-Schwarz), and that is the product of (a, |b|) and (c, |d|).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from datagen.executors import local as executors

LEADING = 32  # components that are kept as they are
SAMPLE = 8192  # vectors, at most, that the components are derived from
BLOCK = 512  # vectors: a block of products stays in the processor's cache
SLACK = 1e-4  # more than what rounding to single precision can do to a cosine


def repeats(codes: np.ndarray) -> np.ndarray:
    """(n,) where each of (n,) codes stands first, or -1 if that is here."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return np.where(first[inverse] < np.arange(len(codes)), first[inverse], -1)


def first_near(vectors: np.ndarray, asked: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """For each of `asked`, ascending row numbers of (n, dim) vectors: the first row before it with a cosine above the
    limit, or -1, and the cosine. What is found for one does not depend on what else is asked.
    """
    if limit >= 1 or not len(asked):
        return np.full(len(asked), -1), np.zeros(len(asked))
    vectors = _unit(vectors)
    search = partial(_search, vectors, _shortened(vectors), limit)
    blocks = [asked[at : at + BLOCK] for at in range(0, len(asked), BLOCK)]
    found, cosines = zip(*executors.threaded(search, blocks), strict=True)
    return np.concatenate(found), np.concatenate(cosines)


def _search(vectors: np.ndarray, short: np.ndarray, limit: float, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, cosines = np.full(len(asked), -1), np.zeros(len(asked))
    for start in range(0, int(asked[-1]), BLOCK):
        left = np.flatnonzero((found < 0) & (asked > start))
        if not len(left):
            break
        stop = min(start + BLOCK, int(asked[-1]))
        products = short[asked[left]] @ short[start:stop].T
        if products.max() > limit - SLACK:
            near = (products > limit - SLACK) & (np.arange(start, stop) < asked[left][:, None])
            rows, before = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
            near = near[rows][:, before]
            first, exact = _first(vectors[asked[left[rows]]], vectors[start + before], near, limit)
            found[left[rows[first >= 0]]] = start + before[first[first >= 0]]
            cosines[left[rows]] = exact
    return found, cosines


def _first(x: np.ndarray, y: np.ndarray, near: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """For each of (n, dim) x, the first of (m, dim) y with a cosine above the limit among those that (n, m) `near`
    allows, or -1, and the cosine.
    """
    found, cosines = np.full(len(x), -1), np.zeros(len(x))
    near = near & (x @ y.T > limit - SLACK)
    left = np.flatnonzero(near.any(axis=1))
    while len(left):  # twice, if a cosine is a rounding error from the limit
        first = near[left].argmax(axis=1)
        exact = np.einsum("ij,ij->i", x[left].astype(np.float64), y[first].astype(np.float64))
        above = exact > limit
        found[left[above]], cosines[left[above]] = first[above], exact[above]
        near[left, first] = False
        left = left[~above]
        left = left[near[left].any(axis=1)]
    return found, cosines


def _unit(vectors: np.ndarray) -> np.ndarray:
    """(n, dim) float32; a vector of nothing stays one."""
    vectors = vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=vectors, where=lengths > 0)


def _shortened(vectors: np.ndarray) -> np.ndarray:
    """(n, LEADING + 1): no product of two of these is below that of the (n, dim) vectors."""
    if vectors.shape[1] <= LEADING + 1:
        return vectors
    sample = vectors[:: -(-len(vectors) // SAMPLE)].astype(np.float64)
    sample -= sample.mean(axis=0)
    _, components = np.linalg.eigh(sample.T @ sample)
    leading = vectors @ components[:, -LEADING:].astype(np.float32)
    rest = (vectors**2).sum(axis=1) - (leading**2).sum(axis=1)
    return np.column_stack([leading, np.sqrt(np.maximum(rest, 0))])
