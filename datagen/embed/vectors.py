"""Reads the bodies of embeddings replies: as many vectors as texts, in their order, every one usable."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from datagen.llm.http_errors import Unusable, clipped


class BadVectors(ValueError):
    """The server embeds, but what it sends can't be what was asked for: asking again would bring the same."""


def read(body: Any, n: int) -> np.ndarray:
    """The vectors of a reply to n texts, (n, dim) float32, by their `index`; each a list of floats, or base64. One that
    is zero or not finite is for whoever asked to set aside.

    Raises Unusable for a body that is no such reply at all, as proxies send, and BadVectors.
    """
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) and "embedding" in item for item in data):
        raise Unusable(f"the reply holds no embeddings: {clipped(str(body))}")
    if len(data) != n:
        raise BadVectors(f"sent {len(data)} vectors for {n} texts")
    indices = [item.get("index", i) for i, item in enumerate(data)]
    if sorted(map(str, indices)) != sorted(map(str, range(n))):
        raise BadVectors("sent vectors whose `index` does not say which text they are for")
    rows = [_vector(item["embedding"]) for item in data]
    if len(sizes := {len(row) for row in rows}) != 1:
        raise BadVectors(f"sent vectors of {' and '.join(map(str, sorted(sizes)))} dimensions in one reply")
    return np.stack(rows)[np.argsort(np.array(indices, int))]


def _vector(embedding: Any) -> np.ndarray:
    try:
        if isinstance(embedding, str):
            found = np.frombuffer(base64.b64decode(embedding, validate=True), "<f4")
        else:
            found = np.asarray(embedding, np.float32)
    except (binascii.Error, ValueError, TypeError, OverflowError) as e:
        raise Unusable(f"an embedding can't be read: {clipped(str(embedding), 80)}") from e
    if found.ndim != 1 or not len(found):
        raise Unusable(f"an embedding is no list of numbers: {clipped(str(embedding), 80)}")
    return found
