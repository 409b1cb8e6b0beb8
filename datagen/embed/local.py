"""A model of this machine at work: one replica per device, each with batches of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from datagen.config.data import EmbedConfig
from datagen.embed import models, windows
from datagen.errors import UserError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Tokens in a batch, with padding. A core is about as fast from 1,024 to 4,096; beyond, what a layer computes leaves its
# cache, and there is more padding. A GPU wants its thousands of lanes filled.
ON_CPU, ON_ACCELERATOR = 2_048, 32_768


def vectors(texts: Sequence[str], settings: EmbedConfig, done: Callable[[Sequence[int]], None]) -> np.ndarray:
    """A vector for every text, (n, dim) float32, not of unit length. `done` hears which texts are."""
    devices = models.devices(settings.device)
    replicas = [models.load(settings.model, settings.revision, device, settings.dtype) for device in devices]
    parts = windows.cut(texts, replicas[0])
    batches = windows.batches(parts.lengths, ON_CPU if devices == ["cpu"] else ON_ACCELERATOR)
    sums = np.zeros((len(texts), 0), np.float32)
    missing = Counter(parts.owners)
    work = [[parts.texts[i] for i in batch] for batch in batches]
    for batch, found in zip(batches, spread(work, replicas), strict=True):
        sums = sums if sums.shape[1] else np.zeros((len(texts), found.shape[1]), np.float32)
        owners = [parts.owners[i] for i in batch]
        np.add.at(sums, owners, found * np.array([[parts.weights[i]] for i in batch], np.float32))
        missing.subtract(owners)
        done([owner for owner in dict.fromkeys(owners) if not missing[owner]])
    return sums


def spread(batches: list[list[str]], replicas: Sequence[SentenceTransformer]) -> Iterator[np.ndarray]:
    """The vectors of each batch, (n, dim) float32, in order. Batch i is the work of replica i modulo their number."""
    if len(replicas) == 1:
        yield from (_encode(batch, replicas[0]) for batch in batches)
        return
    with ExitStack() as stack:
        lanes = [ThreadPoolExecutor(1) for _ in replicas]
        for lane in lanes:
            stack.callback(lane.shutdown, cancel_futures=True)
        turns = [i % len(replicas) for i in range(len(batches))]
        results = [lanes[at].submit(_encode, batch, replicas[at]) for at, batch in zip(turns, batches, strict=True)]
        yield from (result.result() for result in results)


def _encode(batch: list[str], model: SentenceTransformer) -> np.ndarray:
    import torch

    try:
        found = model.encode(batch, batch_size=len(batch), normalize_embeddings=True, show_progress_bar=False)
    except torch.OutOfMemoryError as e:
        raise UserError(
            f"embed.device: {model.device} has too little memory for the model. Set embed.dtype float16, or device cpu"
        ) from e
    return np.asarray(found, np.float32)
