"""Advantages and the policy loss of GRPO and its relatives, on ragged responses laid end to end.

Names end in their axes: _G responses of a group, _N responses, _T the tokens of these N responses, end to end.

Sources: GRPO (DeepSeekMath, arXiv 2402.03300), the separate upper clip and token mean of DAPO (arXiv 2503.14476), the
dual clip (arXiv 1912.09729), Dr. GRPO (arXiv 2503.20783), GSPO (arXiv 2507.18071), and the k3 estimate of the KL
divergence (Schulman, "Approximating KL Divergence"). Bounds and constants are verl's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datagen.config.train import LossConfig


def group_advantages(rewards_G: Tensor, by_std: bool = True) -> Tensor:
    """(G,): each reward less the group's mean, over its standard deviation if asked for. Of one response: 0."""
    centred = rewards_G - rewards_G.mean()
    if not by_std or len(rewards_G) < 2:
        return centred
    return centred / (rewards_G.std() + 1e-6)


def token_weights(lengths_N: Sequence[int], aggregation: str, max_length: int) -> list[float]:
    """(N,): what each token's loss counts for in the sum that is the loss of a mini-batch of these responses.

    token-mean: all tokens the same. seq-mean: all responses the same. dr-grpo: all tokens the same, divided by the
    longest length there can be, so that a long response is not favoured.
    """
    n = len(lengths_N)
    if aggregation == "seq-mean":
        return [1 / (n * length) for length in lengths_N]
    return [1 / (n * max_length) if aggregation == "dr-grpo" else 1 / sum(lengths_N)] * n


@dataclass(frozen=True)
class Batch:
    """What the loss of some responses is made from, besides their log-probs. Float tensors without gradients."""

    lengths: list[int]
    advantages_N: Tensor
    weights_N: Tensor
    old_T: Tensor | None  # log-probs when the responses were sampled; None: those at hand
    ref_T: Tensor | None = None  # log-probs by the reference, for the KL term
    sampled_T: Tensor | None = None  # log-probs as the sampler had them, where it computes otherwise than the trainer


def policy_loss(logp_T: Tensor, batch: Batch, settings: LossConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, a sum over tokens, and sums of metrics over the same tokens (to be divided by their number)."""
    lengths = torch.tensor(batch.lengths, device=logp_T.device)
    adv_T, weights_T = (x.repeat_interleave(lengths) for x in (batch.advantages_N, batch.weights_N))
    old_T = logp_T.detach() if batch.old_T is None else batch.old_T
    log_ratio_T = (logp_T - old_T).clamp(-20, 20)
    if settings.ratio == "sequence":
        means = torch.stack([part.mean() for part in (logp_T - old_T).detach().split(batch.lengths)])
        log_ratio_T = (logp_T - logp_T.detach() + means.repeat_interleave(lengths)).clamp(max=10)
    ratio_T = log_ratio_T.exp()
    plain_T = -adv_T * ratio_T
    clipped_T = -adv_T * ratio_T.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    loss_T = torch.maximum(plain_T, clipped_T)
    if settings.ratio == "token":
        loss_T = torch.where(adv_T < 0, torch.minimum(loss_T, -adv_T * settings.clip_dual), loss_T)
    with torch.no_grad():
        metrics = {"clip_fraction": (clipped_T > plain_T).sum(), "ratio": ratio_T.sum()}
        metrics["kl_old"] = (ratio_T - 1 - log_ratio_T).sum()
    if batch.sampled_T is not None:
        with torch.no_grad():
            gap_T = (old_T - batch.sampled_T).clamp(-20, 20)
            drift_T = gap_T.exp()
            metrics["mismatch_kl"] = (drift_T - 1 - gap_T).sum()
        loss_T = loss_T * drift_T.clamp(max=settings.max_sampler_ratio)
    if batch.ref_T is not None:
        kl_T = k3(logp_T, batch.ref_T)
        metrics["kl_ref"] = kl_T.detach().sum()
        loss_T = loss_T + settings.kl_coef * kl_T
    return (loss_T * weights_T).sum(), metrics


def k3(logp_T: Tensor, ref_T: Tensor) -> Tensor:
    """(T,): an estimate of the KL divergence from the reference that is never negative, bounded for a stray token."""
    gap = (ref_T - logp_T).clamp(-20, 20)
    return (gap.exp() - gap - 1).clamp(-10, 10)


def overlong_penalty(length: int, max_length: int, buffer: int) -> float:
    """From 0 to -1 over the last `buffer` tokens before the longest response there can be (DAPO, section 3.4)."""
    return -min(1.0, max(0, length - (max_length - buffer)) / buffer) if buffer else 0.0
