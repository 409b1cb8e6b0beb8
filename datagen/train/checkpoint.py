"""Checkpoints: the model as `from_pretrained` and vLLM load it, and beside it all that going on needs.

A checkpoint is a folder, written beside its place and renamed into it: it is there whole or not at all. Checksums in
it tell whether its files still are what was written. How checkpoints are named, `run_folder` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import state_dict as states

from datagen import checksums, shards
from datagen.config.train import TrainConfig
from datagen.train import lora, model_folder, run_folder, stored_state
from datagen.train.parallel import World
from datagen.train.stored_state import Stored
from datagen.train.types import State

WHOLE: Any = states.StateDictOptions(full_state_dict=True, cpu_offload=True)
FROM_FIRST: Any = states.StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)


def save(
    target: Path,
    model: Any,
    optimizer: Any,
    tokenizer: Any,
    state: State,
    world: World,
    settings: TrainConfig,
) -> None:
    """Write a checkpoint and remove all but the latest beside it. Called by all ranks.

    Raises UserError where it cannot be written; those before it stay.
    """
    weights: Any = states.get_model_state_dict(model, options=WHOLE)
    # Of an optimizer before its first step there is nothing to keep, and asking for it would count as a step.
    moments = states.get_optimizer_state_dict(model, optimizer, options=WHOLE) if optimizer.state else None
    if world.is_main:
        dtype = model.config.dtype
        # A narrow number format loses what going on needs.
        exact = weights if dtype != torch.float32 and not settings.lora else lora.own(weights)
        exact = {name: x for name, x in exact.items() if name not in model.all_tied_weights_keys}
        with model_folder.replacing(target) as building, model_folder.written(target):
            model_folder.write(building, model, tokenizer, weights, settings.lora, dtype)
            stored_state.write(building, Stored(state, moments, exact))
            checksums.write(building)
        for old in run_folder.checkpoints(target.parent)[: -settings.save_total_limit]:
            shards.remove(str(old))
    world.wait()


def save_model(target: Path, model: Any, tokenizer: Any, world: World, settings: TrainConfig) -> None:
    """Write the model alone, to the bit. Called by all ranks. Raises UserError where it cannot be written."""
    weights: Any = states.get_model_state_dict(model, options=WHOLE)
    if world.is_main:
        with model_folder.replacing(target) as building, model_folder.written(target):
            model_folder.write(building, model, tokenizer, weights, settings.lora, torch.float32)
            checksums.write(building)
    world.wait()


def load(stored: Stored, model: Any, optimizer: Any) -> State:
    """Give the optimizer its moments. The model has its weights by being loaded."""
    if stored.moments:
        options = FROM_FIRST if _sharded(model) else WHOLE
        states.set_optimizer_state_dict(model, optimizer, stored.moments, options=options)
    return stored.state


def _sharded(model: Any) -> bool:
    return any(hasattr(p, "full_tensor") for p in model.parameters())
