"""The warm start: supervised steps on gold outputs, so that the format is there for the reward to work on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from datagen import tags, train_sections
from datagen.train import logprobs, update
from datagen.train.data import Task
from datagen.train.parallel import World


def gold(task: Task, tokenizer: Any) -> list[int]:
    """What the model should have written: the evidence and the answer in their tags, without any reasoning."""
    text = tags.render_response(task.ref_chunks, task.answer)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    prompts: Sequence[Tensor],
    outputs: Sequence[list[int]],
    settings: train_sections.Train,
    where: World,
) -> dict[str, float]:
    """One optimizer step on the cross-entropy of these outputs, a mean over tokens. Raises update.Diverged."""
    total = sum(map(len, outputs))
    losses = [0.0]

    def work(prompt: Tensor, output: list[int]) -> None:
        def loss(logp_T: Tensor, *_: Any) -> Tensor:
            value = -logp_T.sum() / total
            losses.append(value.item())
            return value * where.size

        response = torch.tensor(output, device=where.device)
        logprobs.backward(model, prompt, [response], loss, checkpointed=settings.checkpointing)

    update.accumulate(model, list(zip(prompts, outputs, strict=True)), work, where)
    return update.finish(model, optimizer, where.sum({"loss": sum(losses)}), settings.optimizer)
