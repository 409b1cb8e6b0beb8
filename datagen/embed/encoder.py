"""Texts in, unit vectors out: float16, no text cut in silence, none embedded twice.

`embed.model: embedded`, which is part of this package (`embedded`), learns from each document by itself. A model runs
here (`local`) or behind servers (`remote`), and is asked for every text once, however often it occurs. So there are
three things to ask for: the vectors of documents' chunks, those of texts to be compared with one document's chunks, and
those of texts of any origin that are compared with each other.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType

import numpy as np

from datagen import plugins
from datagen.config.data import EmbedConfig
from datagen.embed import embedded, models
from datagen.errors import UserError
from datagen.llm import endpoint

SETTING = "embed.model"
# Threads take turns: a tokenizer can't be used by two at a time, nor can the connections to a server.
_TURN = threading.Lock()


def identity(settings: EmbedConfig) -> str:
    """What determines the vectors: a hash of a local model's files, or of the source of an encoder of one's own; else
    the model's name and revision, on the hub or at a server.

    The dtype is a setting of its own. Where a model is served from is no part of it.
    """
    if settings.endpoints:
        return f"served {settings.model}@{settings.revision or 'main'}"
    if _is_own(settings):
        return " ".join(plugins.fingerprints(settings.model).values())
    if _is_embedded(settings):
        return embedded.identity()
    return models.identity(settings.model, settings.revision)


def main_process_only(settings: EmbedConfig) -> bool:
    """Whether one process should do all the encoding: it has the GPUs, does nothing but wait for servers, or runs an
    encoder of one's own, of which nobody knows what it needs.
    """
    if _is_embedded(settings):
        return False
    return bool(settings.endpoints) or _is_own(settings) or models.devices(settings.device) != ["cpu"]


def names_gpu(settings: EmbedConfig) -> bool:
    """Whether the settings say that a GPU encodes, wherever that is; this machine may have none."""
    is_model = not (settings.endpoints or _is_own(settings) or _is_embedded(settings))
    return is_model and settings.device not in ("auto", "cpu")


def check(settings: EmbedConfig) -> None:
    """Find out before any work is done what would stop it later.

    Raises ConfigError for a missing key, a device that can't be used here and an encoder of one's own that can't be
    loaded, MissingExtra for a package.
    """
    if settings.endpoints:
        for each in settings.endpoints:
            endpoint.api_key(each)
        return
    if _is_own(settings):
        plugins.load(settings.model, {}, FunctionType, SETTING)
        return
    if _is_embedded(settings):
        return
    models.folder(settings.model)
    models.devices(settings.device)


def encode_documents(
    documents: Mapping[str, Sequence[str]], settings: EmbedConfig, on_progress: Callable[[int], None] | None = None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each document by its id, given its chunks' texts: their unit vectors, (n, dim) float16, and (n,) which of
    them are usable. Vectors of different documents need not be comparable. Otherwise as `encode_usable`.
    """
    if not documents:
        return {}
    if _is_embedded(settings):
        heard = on_progress or (lambda n: None)
        found = {doc_id: embedded.document(texts, heard)[1] for doc_id, texts in documents.items()}
        return {doc_id: (vectors.astype(np.float16), np.ones(len(vectors), bool)) for doc_id, vectors in found.items()}
    vectors, usable = encode_usable([text for texts in documents.values() for text in texts], settings, on_progress)
    ends = np.cumsum([len(texts) for texts in documents.values()])[:-1]
    return dict(zip(documents, zip(np.split(vectors, ends), np.split(usable, ends), strict=True), strict=True))


def encode_queries(texts: Sequence[str], chunks: Sequence[str], settings: EmbedConfig) -> np.ndarray:
    """Unit vectors of texts, (n, dim) float16, that can be compared with those of these chunks of one document, which
    are all that it has. Zeros for a text that has no usable one.
    """
    if _is_embedded(settings):
        return embedded.document(chunks)[0].query(texts).astype(np.float16)
    return encode_usable(texts, settings)[0]


def encode(texts: Sequence[str], settings: EmbedConfig, on_progress: Callable[[int], None] | None = None) -> np.ndarray:
    """Encode texts as unit vectors, (n, dim) float16, all comparable with each other.

    `on_progress` hears how many more texts are done.

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

    with _TURN:
        vectors = _vectors(unique, settings, done)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)
    if not usable.any() and len(unique) > 1:
        raise UserError(f"embed.model {settings.model} gave no usable vector for the text {unique[0][:60]!r}")
    place = {text: i for i, text in enumerate(unique)}
    at = [place[text] for text in texts]
    scaled = np.divide(vectors, norms, out=np.zeros_like(vectors), where=usable[:, None])
    return scaled.astype(np.float16)[at], usable[at]


def _vectors(texts: Sequence[str], settings: EmbedConfig, done: Callable[[Sequence[int]], None]) -> np.ndarray:
    """A vector for every text, (n, dim) float32. `done` hears which texts are."""
    if _is_embedded(settings):
        found = embedded.fixed(texts)
        done(range(len(texts)))
        return found
    if settings.endpoints:
        from datagen.embed import remote

        return remote.vectors(texts, settings, done)
    if not _is_own(settings):
        from datagen.embed import local

        return local.vectors(texts, settings, done)
    found = np.asarray(plugins.load(settings.model, {}, FunctionType, SETTING)(texts, settings, done), np.float32)
    if found.ndim != 2 or len(found) != len(texts):
        raise UserError(f"{SETTING} {settings.model} gave {found.shape} for {len(texts)} texts: (n, dim) is wanted")
    return found


def _is_embedded(settings: EmbedConfig) -> bool:
    """Whether the encoder is the one that is part of this package."""
    return settings.model == "embedded" and not settings.endpoints


def _is_own(settings: EmbedConfig) -> bool:
    """Whether the model is an encoder of one's own, by import path."""
    module, _, name = settings.model.partition(":")
    return bool(module and name) and not settings.endpoints and not Path(settings.model).is_dir()
