"""The warm start: supervised steps on gold outputs, so that the format is there for the reward to work on.

Source: plain cross-entropy on the outputs' tokens, texts packed end to end without attention across them (Krell et al.,
arXiv 2107.02027).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from datagen.config.train import TrainConfig
from datagen.grounding import tags
from datagen.train import policy, update
from datagen.train.parallel import World
from datagen.train.types import Example


def gold(example: Example, tokenizer: Any, end: int) -> list[int]:
    """What the model should have written: the evidence and the answer in their tags, without any reasoning, and the
    token that ends its turn.
    """
    text = tags.render_response(example.ref_chunks, example.answer)
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], end]


def step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    prompts: Sequence[Tensor],
    outputs: Sequence[list[int]],
    settings: TrainConfig,
    world: World,
) -> dict[str, float]:
    """One optimizer step on the cross-entropy of these outputs, a mean over tokens. Raises update.Diverged."""
    total = sum(map(len, outputs))
    losses = [0.0]

    def work(pack: list[tuple[Tensor, Tensor]]) -> None:
        lengths = [len(prompt) + len(output) - 1 for prompt, output in pack]
        ends = list(accumulate(lengths))
        wanted = [torch.arange(end - len(o), end, device=world.device) for end, (_, o) in zip(ends, pack, strict=True)]
        ids = torch.cat([part for prompt, output in pack for part in (prompt, output[:-1])])
        targets = torch.cat([output for _, output in pack])
        logp_T, _ = policy.packed(model, ids, lengths, torch.cat(wanted), targets, settings.activations)
        loss = -logp_T.sum() / total
        losses.append(loss.item())
        (loss * world.size).backward()

    texts = [(p, torch.tensor(o, device=world.device)) for p, o in zip(prompts, outputs, strict=True)]
    update.accumulate(model, [(pack,) for pack in packs(texts, settings.max_tokens_per_microbatch)], work, world)
    return update.finish(model, optimizer, world.sum({"loss": sum(losses)}), settings.optimizer)


def packs(texts: Sequence[tuple[Tensor, Tensor]], limit: int) -> list[list[tuple[Tensor, Tensor]]]:
    """Prompts and outputs in microbatches of at most `limit` tokens, or one text."""
    made: list[list[tuple[Tensor, Tensor]]] = []
    size = limit
    for prompt, output in texts:
        n = len(prompt) + len(output)
        if size + n > limit:
            made.append([])
            size = 0
        made[-1].append((prompt, output))
        size += n
    return made
