"""What going on from a checkpoint needs besides the model: tensors as safetensors, all else as JSON.

Nothing in it can run when it is read. Checkpoints of 0.1.0 have a pickle in its place, of which only tensors, plain
values and the classes in `MOVED` are read.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from datagen.errors import reason
from datagen.grounding.rewards import Reward
from datagen.train import run_folder
from datagen.train.types import Group, Response, Scored, State

VALUES, TENSORS, PICKLED = "trainer.json", "trainer.safetensors", "trainer.pt"
MOVED: list[Any] = [  # classes in checkpoints of 0.1.0, and where they were then
    (Reward, "datagen.rewards.Reward"),
    (State, "datagen.train.checkpoint.State"),
    (Group, "datagen.train.update.Group"),
    (Response, "datagen.train.rollout.Response"),
    (Scored, "datagen.train.scoring.Scored"),
]


@dataclass(frozen=True)
class Stored:
    """`moments`: the optimizer's whole state, None before its first step. `weights`: those that the model's own files
    don't hold, or not in full precision.
    """

    state: State
    moments: dict[str, Any] | None
    weights: dict[str, Tensor]


def write(folder: Path, stored: Stored) -> None:
    """Write both files into a checkpoint's folder."""
    tensors = {f"weights.{name}": x.contiguous() for name, x in stored.weights.items()}
    moments = stored.moments or {"state": {}, "param_groups": None}
    for name, of_parameter in moments["state"].items():
        tensors |= {f"moments.{name}.{key}": x.contiguous() for key, x in of_parameter.items()}
    save_file(tensors, folder / TENSORS)
    values = {"state": asdict(stored.state), "param_groups": moments["param_groups"]}
    (folder / VALUES).write_text(json.dumps(values), encoding="utf-8")


def read(folder: Path) -> Stored:
    """What `write` wrote, or 0.1.0 did. Raises UserError if it is damaged, or would have to be run to be read."""
    try:
        return _pickled(folder) if not (folder / VALUES).exists() and (folder / PICKLED).exists() else _read(folder)
    except Exception as e:  # of as many kinds as there are ways to damage a file
        raise run_folder.unusable(folder, reason(e)) from e


def _read(folder: Path) -> Stored:
    values, weights, moments = json.loads((folder / VALUES).read_bytes()), {}, {}
    for name, x in load_file(folder / TENSORS).items():
        kind, _, rest = name.partition(".")
        if kind == "weights":
            weights[rest] = x
        else:
            parameter, _, key = rest.rpartition(".")
            moments.setdefault(parameter, {})[key] = x
    groups = values["param_groups"]
    for group in groups or ():
        group["betas"] = tuple(group["betas"])
    return Stored(_state(**values["state"]), {"state": moments, "param_groups": groups} if groups else None, weights)


def _state(groups: list[Any], **rest: Any) -> State:
    return State(groups=[_group(**of) for of in groups], **rest)


def _group(responses: list[Any], scored: list[Any], **rest: Any) -> Group:
    return Group(responses=[Response(**of) for of in responses], scored=[_scored(**of) for of in scored], **rest)


def _scored(reward: dict[str, Any] | None, **rest: Any) -> Scored:
    return Scored(reward=Reward(**reward) if reward else None, **rest)


def _pickled(folder: Path) -> Stored:
    """That of 0.1.0, under the names that its parts have now."""
    with torch.serialization.safe_globals(MOVED):
        stored = torch.load(folder / PICKLED, map_location="cpu", weights_only=True)
    state: State = stored["state"]
    for group in state.groups:
        if "task" in vars(group):
            group.example = vars(group).pop("task")
    state.sums = {"mismatch_kl" if name == "kl_sampler" else name: value for name, value in state.sums.items()}
    return Stored(state, stored["optimizer"], stored.get("lora") or {})
