"""An optimizer step on groups of scored responses.

Source: GRPO (DeepSeekMath, arXiv 2402.03300); the losses and their sources are in `loss`. A mini-batch is normalised
as a whole: each group's gradient is added up with the weights that its tokens have among all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from datagen.config.train import LossConfig, OptimizerConfig, TrainConfig
from datagen.errors import UserError
from datagen.train import logprobs, parallel
from datagen.train.loss import Batch, group_advantages, policy_loss, token_weights
from datagen.train.parallel import World
from datagen.train.types import Group


class Diverged(UserError):
    """The gradient is not a number, or far too long: going on would destroy the model."""


def record_logprobs(
    model: Any,
    reference: Any,
    groups: list[Group],
    prompts: list[Tensor],
    settings: TrainConfig,
    world: World,
) -> None:
    """Write down what the model, and the reference if there is one, gives the responses before they are trained on."""
    limit, temperature = settings.max_tokens_per_microbatch, settings.rollout.temperature
    for name, by in (("old", model), ("ref", reference)):
        if by is None:
            continue
        with parallel.unshard(by):
            mine = [
                logprobs.logprobs(by, prompt, group.tensors(world.device), temperature, limit)[0].tolist()
                for group, prompt in world.share(list(zip(groups, prompts, strict=True)))
            ]
        for group, values in zip(groups, world.gather(mine), strict=True):
            setattr(group, name, values)


def step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    groups: Sequence[Group],
    prompts: Sequence[Tensor],
    settings: TrainConfig,
    world: World,
) -> dict[str, float]:
    """One optimizer step on all of these groups, which are shared among the ranks. Returns metrics, means over tokens.

    Raises Diverged.
    """
    lengths = [[len(response.tokens) for response in group.responses] for group in groups]
    flat = [n for of_group in lengths for n in of_group]
    weights = iter(token_weights(flat, settings.loss.aggregation, settings.rollout.max_tokens))
    of_groups = [[next(weights) for _ in of_group] for of_group in lengths]
    sums: dict[str, float] = {}

    def add(name: str, value: float) -> None:
        sums[name] = sums.get(name, 0.0) + value

    def work(group: Group, prompt: Tensor, weights_N: list[float]) -> None:
        batch = _batch(group, weights_N, settings.loss, world.device)

        def loss(logp_T: Tensor, entropy_T: Tensor, of: slice, tokens: slice) -> Tensor:
            value, metrics = policy_loss(logp_T, _part(batch, of, tokens), settings.loss)
            add("loss", value.item())
            add("entropy", entropy_T.sum().item() / sum(flat))
            for name, total in metrics.items():
                add(name, total.item() / sum(flat))
            return value * world.size  # FSDP divides by it

        logprobs.backward(
            model,
            prompt,
            group.tensors(world.device),
            loss,
            settings.rollout.temperature,
            settings.max_tokens_per_microbatch,
            settings.activations,
        )

    accumulate(model, list(zip(groups, prompts, of_groups, strict=True)), work, world)
    return finish(model, optimizer, world.sum(_named(sums, settings)), settings.optimizer)


def accumulate(model: Any, items: list[Any], work: Any, world: World) -> None:
    """Add up the gradients of work(*item) over all items and ranks, in `.grad`."""
    if world.size == 1 and not parallel.is_sharded(model):
        for item in items:
            work(*item)
        return
    with parallel.unshard(model):
        for item in world.share(items):
            work(*item)
        with parallel.sync_gradients(model):
            few = torch.zeros(2, dtype=torch.long, device=world.device)
            logprobs.backward(model, few, [few[:1]], lambda logp, *_: logp.sum() * 0)


def finish(
    model: Any, optimizer: torch.optim.Optimizer, metrics: dict[str, float], settings: OptimizerConfig
) -> dict[str, float]:
    """Take the step that `.grad` says. Raises Diverged, with the parameters as they were."""
    length = parallel.norm(list(model.parameters()), settings.max_grad_norm)
    if not math.isfinite(length) or not math.isfinite(metrics["loss"]):
        raise Diverged(f"the gradient is not finite (length {length}, loss {metrics['loss']})")
    if length > settings.stop_grad_norm:
        raise Diverged(f"the gradient has the length {length:.3g}, above train.optimizer.stop_grad_norm")
    optimizer.step()
    optimizer.zero_grad()
    return metrics | {"grad_norm": length}


def _batch(group: Group, weights_N: list[float], settings: LossConfig, device: torch.device) -> Batch:
    rewards_G = torch.tensor(group.totals, dtype=torch.float64)
    advantages = group_advantages(rewards_G, settings.advantage_by_std).float().to(device)
    sampled = [logprob for response in group.responses for logprob in response.logprobs]
    return Batch(
        lengths=[len(response.tokens) for response in group.responses],
        advantages_N=advantages,
        weights_N=torch.tensor(weights_N, device=device),
        old_T=torch.tensor(group.old, device=device) if group.old else None,
        ref_T=torch.tensor(group.ref, device=device) if group.ref else None,
        sampled_T=torch.tensor(sampled, device=device),
    )


def _part(batch: Batch, of: slice, tokens: slice) -> Batch:
    old, ref, sampled = (x[tokens] if x is not None else None for x in (batch.old_T, batch.ref_T, batch.sampled_T))
    return Batch(batch.lengths[of], batch.advantages_N[of], batch.weights_N[of], old, ref, sampled)


def _named(sums: dict[str, float], settings: TrainConfig) -> dict[str, float]:
    """All that every rank must have a number for, since they are added up."""
    names = ["loss", "entropy", "clip_fraction", "ratio", "kl_old", "mismatch_kl"]
    return {name: sums.get(name, 0.0) for name in [*names, *(["kl_ref"] if settings.loss.kl_coef else [])]}
