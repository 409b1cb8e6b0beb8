"""Texts in, unit vectors out: float16, no text cut in silence, none embedded twice.

The model runs here (`local`) or behind servers (`remote`); both are asked for every text once, however often it occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from datagen.config.data import EmbedConfig
from datagen.embed import models
from datagen.errors import UserError


def identity(settings: EmbedConfig) -> str:
    """What determines the vectors: a hash of a local model's files, or name and revision on the hub or of a server.

    The dtype is a setting of its own. Where a model is served from is no part of it.
    """
    if settings.endpoints:
        return f"served {settings.model}@{settings.revision or 'main'}"
    return models.identity(settings.model, settings.revision)


def main_process_only(settings: EmbedConfig) -> bool:
    """Whether one process should do all the encoding: it has the GPUs, or does nothing but wait for servers."""
    return bool(settings.endpoints) or models.devices(settings.device) != ["cpu"]


def encode(texts: Sequence[str], settings: EmbedConfig, on_progress: Callable[[int], None] | None = None) -> np.ndarray:
    """Encode texts as unit vectors, (n, dim) float16. `on_progress` hears how many more texts are done.

    The same texts in the same order give the same bytes, whatever the number of processes or GPUs of a kind.
    Raises UserError rather than return a vector that is not one.
    """
    vectors, usable = encode_usable(texts, settings, on_progress)
    if len(bad := np.flatnonzero(~usable)):
        raise UserError(f"embed.model {settings.model} gave no usable vector for the text {texts[bad[0]][:60]!r}")
    return vectors


def encode_usable(
    texts: Sequence[str], settings: EmbedConfig, on_progress: Callable[[int], None] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `encode`, and (n,) which of the vectors are usable: the others are zeros.

    Raises UserError if none of several is.
    """
    if not texts:
        return np.zeros((0, 0), np.float16), np.zeros(0, bool)
    occurs = Counter(texts)
    unique = list(occurs)

    def done(which: Sequence[int]) -> None:
        if on_progress:
            on_progress(sum(occurs[unique[i]] for i in which))

    if settings.endpoints:
        from datagen.embed import remote

        vectors = remote.vectors(unique, settings, done)
    else:
        from datagen.embed import local

        vectors = local.vectors(unique, settings, done)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)
    if not usable.any() and len(unique) > 1:
        raise UserError(f"embed.model {settings.model} gave no usable vector for the text {unique[0][:60]!r}")
    place = {text: i for i, text in enumerate(unique)}
    at = [place[text] for text in texts]
    scaled = np.divide(vectors, norms, out=np.zeros_like(vectors), where=usable[:, None])
    return scaled.astype(np.float16)[at], usable[at]
