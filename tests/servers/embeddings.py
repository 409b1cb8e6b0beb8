"""The embeddings of the loopback server: a vector by the words of a text, so that texts with words in common are near.

Faults of a reply, all with a 200: "fewer vectors", "more vectors", "shuffled" (right, but in another order), "wrong
index", "wider" (a dimension too many), "ragged", "nan", "zero", "odd base64".
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any

Body = dict[str, Any]
DIMENSIONS = 32
MARRED = {"fewer vectors", "more vectors", "shuffled", "wrong index", "wider", "ragged", "nan", "zero", "odd base64"}


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Of unit length; the same for the same text."""
    sums = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        draws = hashlib.shake_128(word.encode("utf-8", "replace")).digest(dimensions)
        sums = [s + d / 127.5 - 1 for s, d in zip(sums, draws, strict=True)]
    length = math.sqrt(sum(s * s for s in sums))
    return [s / length for s in sums]


def reply(body: Body, fault: str | None = None) -> Body:
    """To the body of an embeddings request."""
    given = body["input"]
    texts = [given] if isinstance(given, str) else given
    vectors = [vector(text, DIMENSIONS + (fault == "wider")) for text in texts]
    if fault == "ragged":
        vectors[-1] = vectors[-1][:-1]
    elif fault == "nan":
        vectors[0][0] = math.nan
    elif fault == "zero":
        vectors[-1] = [0.0] * DIMENSIONS
    as_text = body.get("encoding_format") == "base64"
    data: list[Body] = [
        {"object": "embedding", "index": i, "embedding": encoded(v) if as_text else v} for i, v in enumerate(vectors)
    ]
    if fault == "odd base64":
        data[0]["embedding"] = "AAAA"  # three bytes
    elif fault == "fewer vectors":
        data.pop()
    elif fault == "more vectors":
        data.append(data[-1] | {"index": len(data)})
    elif fault == "shuffled":
        data.reverse()
    elif fault == "wrong index":
        data[0]["index"] = len(data)
    tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def encoded(vector: list[float]) -> str:
    """As base64 of little-endian 32-bit floats."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
