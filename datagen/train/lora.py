"""LoRA (Hu et al. 2021, arXiv 2106.09685), by peft: small matrices beside every linear layer learn, and nothing else.

The model keeps its class and its layers' names, so that all else here need not know. What is written is the model with
these matrices merged into its weights, which loads as any other; the matrices themselves are kept for going on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from datagen.config.train import LoraConfig
from datagen.extras import require

Weights = dict[str, Tensor]
_BASE, _A, _B = ".base_layer.weight", ".lora_A.default.weight", ".lora_B.default.weight"


def add(model: Any, settings: LoraConfig) -> None:
    """Put the matrices into a model, the same on every rank. They change nothing before the first step."""
    require("train.lora", "train", "peft")
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules="all-linear")  # pyright: ignore
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inject_adapter_in_model(config, model)


def own(weights: Weights) -> Weights:
    """The matrices alone."""
    return {name: x for name, x in weights.items() if ".lora_" in name}


def merged(weights: Weights, settings: LoraConfig) -> Iterator[tuple[str, Tensor]]:
    """Weights under the names that they have without LoRA, one after the other."""
    scale = settings.alpha / settings.rank
    for name, x in weights.items():
        if name.endswith(_BASE):
            stem = name.removesuffix(_BASE)
            x = x + scale * (weights[stem + _B] @ weights[stem + _A])
        if ".lora_" not in name:
            yield name.replace(".base_layer.", "."), x
