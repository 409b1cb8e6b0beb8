"""Responses sampled from the model itself: each prompt runs once, its responses decode together.

Every response has random numbers of its own, seeded by what it is (run, step, prompt, sample): which others it is
decoded with changes nothing of its draws. Responses of a prompt, and of several prompts, begin in the same moment, so
their own keys and values are all of one length and none is padded; one that has ended leaves the batch.

Source: decoding after a shared prefix, as Hydragen (arXiv 2402.05099); draws by inverting the cumulative distribution.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datagen.config.train import RolloutConfig
from datagen.train import parallel, policy
from datagen.train.policy import ResponseCache
from datagen.train.types import Response, Seed


@dataclass
class _Row:
    draw: np.random.Generator
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finished: bool = False


class ModelSampler:
    """The model as its own sampler (see `types.Sampler`)."""

    def __init__(self, model: Any, ends: Collection[int], settings: RolloutConfig) -> None:
        """`ends`: the tokens that end a turn."""
        self.model, self.ends, self.settings = model, frozenset(ends), settings

    def update_weights(self, model: Any) -> None:
        """The sampler is the model: there is nothing to hand over."""

    def sample(
        self, prompts: Sequence[Tensor], seeds: Sequence[Sequence[Seed]], temperature: float
    ) -> Iterator[list[tuple[int, list[Response]]]]:
        """As `types.Sampler.sample`."""
        size = self.settings.prompts_at_once
        with parallel.unshard(self.model):
            for at in range(0, len(prompts), size):
                of = slice(at, at + size)
                made = sample(self.model, prompts[of], seeds[of], self.ends, temperature, self.settings.max_tokens)
                yield list(enumerate(made, at))

    def close(self) -> None:
        """There is nothing to give back."""


@torch.no_grad()
def sample(
    model: Any,
    prompts: Sequence[Tensor],
    seeds: Sequence[Sequence[Seed]],
    ends: Collection[int],
    temperature: float,
    max_tokens: int,
) -> list[list[Response]]:
    """As many responses to each prompt (P,) as it has seeds, each up to one of the tokens in `ends`. A temperature of 0
    takes the likeliest token.
    """
    groups = [[_Row(np.random.Generator(np.random.Philox(np.random.SeedSequence(s)))) for s in of] for of in seeds]
    pasts = [policy.prefix(model, prompt[:-1]) for prompt in prompts]
    rows = [row for group in groups for row in group]
    of_prompt = [p for p, group in enumerate(groups) for _ in group]
    live = list(range(len(rows)))
    tokens = torch.stack([prompts[p][-1] for p in of_prompt])
    positions = torch.tensor([len(prompts[p]) - 1 for p in of_prompt], device=tokens.device)
    cache = ResponseCache()
    while live:
        counts = Counter(of_prompt[i] for i in live)  # in the order of the prompts, as the rows are
        logits = policy.decode(model, tokens, positions, [pasts[p] for p in counts], list(counts.values()), cache)
        tokens, logprobs = _drawn(logits, [rows[i].draw for i in live], temperature)
        stay = []
        for at, (i, token, logprob) in enumerate(zip(live, tokens.tolist(), logprobs.tolist(), strict=True)):
            row = rows[i]
            row.tokens.append(token)
            row.logprobs.append(logprob)
            row.finished = token in ends
            if not row.finished and len(row.tokens) < max_tokens:
                stay.append(at)
        if len(stay) < len(live):
            kept = torch.tensor(stay, dtype=torch.long, device=tokens.device)
            tokens, positions = tokens[kept], positions[kept]
            cache.select(kept)
            live = [live[at] for at in stay]
        positions = positions + 1
    return [[Response(row.tokens, row.logprobs, row.finished) for row in group] for group in groups]


def _drawn(logits: Tensor, draws: list[np.random.Generator], temperature: float) -> tuple[Tensor, Tensor]:
    """(B,) tokens drawn from logits (B, V), and their log-probs."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logp = (wide / (temperature or 1.0)).log_softmax(-1)
    if temperature == 0:
        tokens = logp.argmax(-1)
    else:
        # The inverse of the cumulative distribution: a number a row, whatever the others are.
        cumulative = logp.double().exp().cumsum(-1)
        at = torch.tensor([draw.random() for draw in draws], dtype=torch.float64, device=logits.device)
        tokens = torch.searchsorted(cumulative, at[:, None] * cumulative[:, -1:], right=True)[:, 0]
        tokens = tokens.clamp(max=logits.shape[-1] - 1)
    return tokens, logp.gather(-1, tokens[:, None])[:, 0]
