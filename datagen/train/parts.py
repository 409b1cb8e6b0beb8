"""All that a run is made of, as one thing to pass on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datagen.config.train import TrainConfig
from datagen.train import rollout, rollout_vllm
from datagen.train.data import Tasks
from datagen.train.parallel import World
from datagen.train.scoring import Scorer


@dataclass
class Parts:
    settings: TrainConfig
    seed: int
    folder: Path
    model: Any
    reference: Any  # for the KL term, or None
    tokenizer: Any
    sampler: rollout.Sampler | rollout_vllm.Sampler
    train: Tasks
    validation: Tasks
    scorer: Scorer
    where: World

    def prompts(self, tasks: Tasks, chosen: Iterable[int]) -> list[Tensor]:
        return [torch.tensor(tasks.prompt(i), dtype=torch.long, device=self.where.device) for i in chosen]
