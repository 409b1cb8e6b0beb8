"""Log-probs of a group's responses, and their gradient, at the cost of one prompt and n responses.

The prompt runs once. Its keys and values become leaves that the responses read, so their backward pass ends there and
adds up the gradients; one backward pass through the prompt follows. That costs P + n R tokens instead of n (P + R), and
the gradient is the same. The prompt's last token goes with the responses: its output predicts their first tokens, so
that the seam is no special case. A prompt has at least two tokens. `naive` is the plain way, which the tests hold this
against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from datagen.config.train import Activations
from datagen.train import policy
from datagen.train.policy import Past

Loss = Callable[[Tensor, Tensor, slice, slice], Tensor]  # log-probs, entropies (T,), which responses, which tokens


@dataclass(frozen=True)
class Microbatch:
    """Some responses of a group, end to end: `ids` go in, `targets` are what they predict. Both (T,) int64."""

    ids: Tensor
    targets: Tensor
    lengths: list[int]
    of: slice  # the responses
    tokens: slice  # of all the group's response tokens


def microbatches(prompt: Tensor, responses: Sequence[Tensor], limit: int) -> list[Microbatch]:
    """A group's responses in microbatches of at most `limit` tokens, or one response."""
    made: list[Microbatch] = []
    start = at = 0
    while start < len(responses):
        end, size = start + 1, len(responses[start])
        while end < len(responses) and size + len(responses[end]) <= limit:
            size += len(responses[end])
            end += 1
        targets = torch.cat(list(responses[start:end]))
        ids = torch.cat([torch.cat([prompt[-1:], r[:-1]]) for r in responses[start:end]])
        made.append(
            Microbatch(ids, targets, [len(r) for r in responses[start:end]], slice(start, end), slice(at, at + size))
        )
        start, at = end, at + size
    return made


@torch.no_grad()
def logprobs(
    model: Any, prompt: Tensor, responses: Sequence[Tensor], temperature: float = 1.0, limit: int = 1 << 15
) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies, (T,) float32, of all tokens of a group's responses, end to end."""
    past = policy.prefix(model, prompt[:-1])
    found = [
        policy.responses(model, p.ids, p.targets, p.lengths, past, temperature)
        for p in microbatches(prompt, responses, limit)
    ]
    return torch.cat([logp for logp, _ in found]), torch.cat([entropy for _, entropy in found])


def backward(
    model: Any,
    prompt: Tensor,
    responses: Sequence[Tensor],
    loss: Loss,
    temperature: float = 1.0,
    limit: int = 1 << 15,
    activations: Activations = "keep",
) -> None:
    """Add the gradient of a loss to the model's. The loss is asked for each microbatch, and theirs add up.

    `activations`: what is kept of the prompt, and of the responses, until their backward pass.
    """
    past: Past = policy.prefix(model, prompt[:-1], activations)
    leaves = [(k.detach().requires_grad_(), v.detach().requires_grad_()) for k, v in past]
    for p in microbatches(prompt, responses, limit):
        logp, entropy = policy.responses(model, p.ids, p.targets, p.lengths, leaves, temperature, activations)
        loss(logp, entropy, p.of, p.tokens).backward()
    pairs = [(x, leaf.grad) for pair, of in zip(past, leaves, strict=True) for x, leaf in zip(pair, of, strict=True)]
    roots = [(x, grad) for x, grad in pairs if grad is not None and x.requires_grad]
    if roots:
        torch.autograd.backward([x for x, _ in roots], [grad for _, grad in roots])


def naive(model: Any, prompt: Tensor, responses: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """Log-probs (T,) of a group's responses by the model's own forward, prompt and all for each of them."""
    found = []
    for response in responses:
        logits = model(torch.cat([prompt, response])[None]).logits[0, len(prompt) - 1 : -1]
        logp = (logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature).log_softmax(-1)
        found.append(logp.gather(-1, response[:, None])[:, 0])
    return torch.cat(found)
