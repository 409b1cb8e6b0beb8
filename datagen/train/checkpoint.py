"""Checkpoints: the model as `from_pretrained` and vLLM load it, and beside it all that going on needs.

A checkpoint is a folder, written beside its place and renamed into it: it is there whole or not at all. It is named
`step-000050` after 50 batches of rollouts, `step-000050-2` after two optimizer steps on the next one, and `warm-000050`
within the warm start.
"""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.distributed.checkpoint import state_dict as states

from datagen.config.train import LoraConfig, TrainConfig
from datagen.errors import UserError
from datagen.grounding.rewards import Reward
from datagen.train import lora
from datagen.train.parallel import World
from datagen.train.types import Group, Response, Scored, State

FOLDER, STATE = "checkpoints", "trainer.pt"
WHOLE: Any = states.StateDictOptions(full_state_dict=True, cpu_offload=True)
FROM_FIRST: Any = states.StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
MOVED: dict[str, Any] = {  # classes in checkpoints of 0.1.0
    "datagen.rewards.Reward": Reward,
    "datagen.train.checkpoint.State": State,
    "datagen.train.update.Group": Group,
    "datagen.train.rollout.Response": Response,
    "datagen.train.scoring.Scored": Scored,
}


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

    Raises UserError where it cannot be written.
    """
    weights: Any = states.get_model_state_dict(model, options=WHOLE)
    # Of an optimizer before its first step there is nothing to keep, and asking for it would count as a step.
    moments = states.get_optimizer_state_dict(model, optimizer, options=WHOLE) if optimizer.state else None
    if world.is_main:
        building = target.with_name(f".{target.name}")
        shutil.rmtree(building, ignore_errors=True)
        try:
            write_model(building, model, tokenizer, weights, settings.lora)
            stored = {"state": state, "optimizer": moments, "lora": lora.own(weights)}
            torch.save(stored, building / STATE)
            _sync(building)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(building, target)
        except OSError as e:
            raise UserError(f"{target}: cannot be written: {e.strerror or e}") from e
        for old in _there(target.parent)[: -settings.save_total_limit]:
            shutil.rmtree(old)
    world.wait()


def save_model(target: Path, model: Any, tokenizer: Any, world: World, settings: TrainConfig) -> None:
    """Write the model alone. Called by all ranks."""
    weights: Any = states.get_model_state_dict(model, options=WHOLE)
    if world.is_main:
        building = target.with_name(f".{target.name}")
        shutil.rmtree(building, ignore_errors=True)
        write_model(building, model, tokenizer, weights, settings.lora)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(building, target)
    world.wait()


def write_model(folder: Path, model: Any, tokenizer: Any, weights: dict[str, Any], adapters: LoraConfig | None) -> None:
    """A model's folder in the layout of the hub."""
    from huggingface_hub import save_torch_state_dict

    folder.mkdir(parents=True)
    # What was gathered from shards may be a part of a larger buffer, which safetensors does not take.
    weights = dict(lora.merged(weights, adapters)) if adapters else weights
    whole = {name: x if x.untyped_storage().nbytes() == x.nbytes else x.clone() for name, x in weights.items()}
    # Of tied weights one name is kept, the one that vLLM and transformers read them by.
    save_torch_state_dict(whole, folder, shared_tensors_to_discard=list(model.all_tied_weights_keys))
    model.config.save_pretrained(folder)
    if model.generation_config is not None:
        model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def latest(folder: Path) -> Path | None:
    """The last checkpoint of the run in this folder."""
    found = _there(folder / FOLDER)
    return found[-1] if found else None


def _there(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the latest last."""
    return [*sorted(folder.glob("warm-*")), *sorted(folder.glob("step-*"))]


def read(folder: Path) -> dict[str, Any]:
    """What `load` wants of a checkpoint, of this version or 0.1.0. Raises UserError if it is damaged."""
    reading: Any = SimpleNamespace(__name__="pickle", Unpickler=_Unpickler, load=pickle.load)
    try:
        stored = torch.load(folder / STATE, map_location="cpu", weights_only=False, pickle_module=reading)
        return stored | {"state": _current(stored["state"])}
    except Exception as e:
        raise UserError(
            f"{folder} cannot be read ({str(e).splitlines()[0]}): remove it to go on from the one before"
        ) from e


class _Unpickler(pickle.Unpickler):
    """Finds the classes that were elsewhere in 0.1.0."""

    def find_class(self, module: str, name: str) -> Any:
        return MOVED.get(f"{module}.{name}") or super().find_class(module, name)


def _current(state: State) -> State:
    """The state under the names that it has now."""
    for group in state.groups:
        if "task" in vars(group):
            group.example = vars(group).pop("task")
    state.sums = {"mismatch_kl" if name == "kl_sampler" else name: value for name, value in state.sums.items()}
    return state


def load(stored: dict[str, Any], model: Any, optimizer: Any) -> State:
    """Give the optimizer its moments. The model has its weights by being loaded."""
    if moments := stored["optimizer"]:
        states.set_optimizer_state_dict(model, optimizer, moments, options=FROM_FIRST if _sharded(model) else WHOLE)
    return stored["state"]


def _sharded(model: Any) -> bool:
    return any(hasattr(p, "full_tensor") for p in model.parameters())


def _sync(folder: Path) -> None:
    for file in [*folder.iterdir(), folder]:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
