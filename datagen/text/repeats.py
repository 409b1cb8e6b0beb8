"""Which chunks repeat one another, or what stands in other documents.

By hashed shingles (Broder, "On the resemblance and containment of documents", 1997): a chunk is a repetition as far as
its runs of eight words stand elsewhere. That asks for containment, not for resemblance: where the same footer is cut
at another place, its chunks are not alike, and all the same nothing in them is new. All shingles are sorted once, so
it takes time in proportion to the text, but for the logarithm.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from datagen.text.scripts import UNSPACED

SHINGLE = 8  # words; characters, where a script has no spaces
LEAST = 8  # shingles of a chunk of which this is asked
CONTAINED = 0.8  # the share of a chunk's shingles that stand elsewhere
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


def within(documents: Sequence[Sequence[str]]) -> list[list[int]]:
    """For each document, the chunks that repeat others of it: all of them, since none is the one that is meant."""
    found = []
    for chunks in documents:
        per_chunk = [shingles(chunk) for chunk in chunks]
        values, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *per_chunk]), return_counts=True)
        often = values[counts > 1]
        found.append([i for i, own in enumerate(per_chunk) if _contained(own, often)])
    return found


def across(documents: Sequence[Sequence[str]]) -> list[list[int]]:
    """For each document, the chunks that stand in others of these, too.

    Where more than half of a document does, it is an edition of what it shares: of it and any other one, the later
    alone loses what stands in both, so that one of the editions is left. Of two that are none, both lose it.
    """
    per_chunk = [[shingles(chunk) for chunk in chunks] for chunks in documents]
    whole = [np.unique(np.concatenate([np.empty(0, np.uint64), *chunks])) for chunks in per_chunk]
    owner = np.repeat(np.arange(len(whole)), [len(own) for own in whole])
    values, place, counts = np.unique(
        np.concatenate([np.empty(0, np.uint64), *whole]), return_inverse=True, return_counts=True
    )
    shared = values[counts > 1]
    repeated = [[i for i, own in enumerate(chunks) if _contained(own, shared)] for chunks in per_chunk]
    edition = np.array([2 * len(r) > len(chunks) for r, chunks in zip(repeated, per_chunk, strict=True)], dtype=bool)
    first, last = np.full(len(values), len(whole)), np.full(len(values), -1)  # the last of those that are no editions
    np.minimum.at(first, place, owner)
    np.maximum.at(last, place, np.where(edition[owner], -1, owner))
    found = []
    for d, chunks in enumerate(per_chunk):
        lost = values[(first < d) | ((last > d) & ~edition[d])]
        found.append([i for i in repeated[d] if _contained(chunks[i], lost)])
    return found


def shingles(text: str) -> np.ndarray:
    """(n,) ascending hashes of the distinct runs of eight words of a text."""
    words = np.array([zlib.crc32(word.encode()) for word in _WORD.findall(text.casefold())], dtype=np.uint64)
    if len(words) < SHINGLE:
        return np.empty(0, np.uint64)
    hashes = np.zeros(len(words) - SHINGLE + 1, np.uint64)
    for i in range(SHINGLE):  # a polynomial in words, modulo 2 ** 64
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + words[i : i + len(hashes)]
    return np.unique(hashes)


def _contained(own: np.ndarray, others: np.ndarray) -> bool:
    if len(own) < LEAST or not len(others):
        return False
    at = np.minimum(others.searchsorted(own), len(others) - 1)
    return int((others[at] == own).sum()) >= CONTAINED * len(own)
