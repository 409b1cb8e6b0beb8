"""A model's folder in the layout of the hub, as transformers of this and of earlier versions and vLLM load it.

Earlier versions of transformers know `rope_theta`, `rope_scaling` and `torch_dtype`, later ones `rope_parameters` and
`dtype`. What is missing counts as its default, in silence: so all of them are written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datagen import shards
from datagen.config.train import LoraConfig
from datagen.errors import UserError
from datagen.train import lora


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A folder to write into, which takes the target's place once it is whole and durable. If it can't be, nothing is
    left of it, and the target stays. Raises UserError, naming the target, where the disk refuses.
    """
    building = target.with_name(f".{target.name}{shards.UNFINISHED}")
    try:
        with written(target):
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True)
        yield building
        with written(target):
            for path in [*building.iterdir(), building]:
                _sync(path)
            shards.replace_folder(str(building), str(target))
            _sync(target.parent)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def written(target: Path) -> Iterator[None]:
    """Within, whatever stops a write becomes a UserError that names the target: also what safetensors and tokenizers
    raise in the place of an OSError.
    """
    with shards.writing(str(target)):
        try:
            yield
        except Exception as e:
            number = re.search(r"\(os error (\d+)\)", str(e))
            if isinstance(e, (OSError, UserError)) or not number:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from e


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(
    folder: Path,
    model: Any,
    tokenizer: Any,
    weights: dict[str, Tensor],
    adapters: LoraConfig | None,
    dtype: torch.dtype,
) -> None:
    """Write weights in a number format, LoRA's matrices merged into them, with the configuration and the tokenizer."""
    from huggingface_hub import save_torch_state_dict

    merged = lora.merged(weights, adapters) if adapters else weights.items()
    whole = {name: _whole(x.to(dtype)) for name, x in merged}
    # Of tied weights one name is kept, the one that vLLM and transformers read them by.
    save_torch_state_dict(whole, folder, shared_tensors_to_discard=list(model.all_tied_weights_keys))
    write_config(folder, model.config, dtype)
    if model.generation_config is not None:
        # Not `save_pretrained`, which refuses sampling settings that a model came with.
        model.generation_config.to_json_file(folder / "generation_config.json")
    tokenizer.save_pretrained(folder)


def _whole(x: Tensor) -> Tensor:
    """What was gathered from shards may be a part of a larger buffer, which safetensors does not take."""
    return x if x.untyped_storage().nbytes() == x.nbytes else x.clone()


def write_config(folder: Path, config: Any, dtype: torch.dtype) -> None:
    """Write config.json with the keys of earlier and later versions of transformers."""
    config.save_pretrained(folder)
    file = folder / "config.json"
    written = json.loads(file.read_text(encoding="utf-8"))
    name = str(dtype).removeprefix("torch.")
    written |= {"dtype": name, "torch_dtype": name} | _rotary(written)
    file.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _rotary(written: dict[str, Any]) -> dict[str, Any]:
    """The settings of rotary positions under their earlier and later names, from either."""
    rope = written.get("rope_parameters") or {
        "rope_theta": written.get("rope_theta", 10_000.0),
        "rope_type": "default",
        **(written.get("rope_scaling") or {}),
    }
    beside = {name: rope[name] for name in ("rope_theta", "partial_rotary_factor") if name in rope}
    kind = rope.get("rope_type", "default")
    scaling = {name: value for name, value in rope.items() if name not in beside}
    return beside | {"rope_parameters": rope, "rope_scaling": None if kind == "default" else scaling}
