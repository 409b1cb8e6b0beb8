"""Attention of many responses to one shared prompt, without a copy of it, a mask or padding.

A response token attends to the prompt and to what its own response has before it. The two parts are computed apart, by
the stock flash kernels, and merged by their log-sum-exps; the backward pass calls the same kernels' backward for each
part with the merged output and log-sum-exp, which makes the parts' gradients those of the whole. That is the step of
ring attention (Liu et al. 2023, arXiv 2310.01889) with two blocks, and in decoding the shared-prefix attention of
Hydragen (Juravsky et al. 2024, arXiv 2402.05099).

Shapes: queries (B, H, T, D), keys and values (B, H_kv, T, D), where H is a multiple of H_kv; log-sum-exps (B, H, T).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

_aten: Any = torch.ops.aten


def kernel(q: Tensor) -> Literal["cpu", "flash", "none"]:
    """Which of PyTorch's kernels tells its log-sum-exp for queries like these."""
    if q.device.type == "cpu":
        return "cpu"
    narrow, width = q.dtype in (torch.float16, torch.bfloat16), q.shape[-1]
    if q.device.type != "cuda" or not narrow or width % 8 or width > 256:
        return "none"
    return "flash" if torch.cuda.get_device_capability(q.device) >= (8, 0) else "none"


def forward(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> tuple[Tensor, Tensor, tuple[Any, ...]]:
    """Output, log-sum-exp in at least 32 bits, and what `backward` wants besides."""
    by = kernel(q)
    if by == "cpu":
        return *_aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, causal, scale=scale), ()
    if by == "flash":
        out, lse, *rest = _aten._scaled_dot_product_flash_attention(q, k, v, 0.0, causal, scale=scale)
        return out, lse, tuple(rest[:6])
    weights, v = _weights(q, k, v, causal, scale)
    lse = weights.logsumexp(-1)
    return ((weights - lse[..., None]).exp() @ v).to(q.dtype), lse, ()


def backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    rest: tuple[Any, ...],
    causal: bool,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of q, k and v, where these keys are part of those that `out` and `lse` were made from."""
    by = kernel(q)
    if by == "cpu":
        return _aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, q, k, v, out, lse, 0.0, causal, scale=scale
        )
    if by == "flash":
        lse = lse.contiguous()  # it is read as it lies in memory, whatever its strides are
        cum_q, cum_k, max_q, max_k, seed, offset = rest
        return _aten._scaled_dot_product_flash_attention_backward(
            grad, q, k, v, out, lse, cum_q, cum_k, max_q, max_k, 0.0, causal, seed, offset, scale=scale
        )
    return slow_backward(grad, q, k, v, out, lse, causal, scale)


def slow_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`backward` for devices and types without a kernel. Memory O(T S)."""
    weights, wide = _weights(q, k, v, causal, scale)
    p, g = (weights - lse[..., None]).exp(), grad.to(weights.dtype)
    ds = p * (g @ wide.mT - (g * out).sum(-1, keepdim=True)) * scale
    n, copies = k.shape[1], q.shape[1] // k.shape[1]
    dq = ds @ k.to(ds.dtype).repeat_interleave(copies, 1)
    dk, dv = ds.mT @ q.to(ds.dtype), p.mT @ g
    dk, dv = (d.unflatten(1, (n, copies)).sum(2).to(k.dtype) for d in (dk, dv))
    return dq.to(q.dtype), dk, dv


def _weights(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> tuple[Tensor, Tensor]:
    """Scores (B, H, T, S) and values (B, H, S, D), for devices and types without a kernel. Memory O(T S)."""
    wide = torch.promote_types(q.dtype, torch.float32)
    copies = q.shape[1] // k.shape[1]
    weights = q.to(wide) @ k.to(wide).repeat_interleave(copies, 1).mT * scale
    if causal:
        weights = weights.masked_fill(torch.ones_like(weights[0, 0], dtype=torch.bool).triu(1), float("-inf"))
    return weights, v.to(wide).repeat_interleave(copies, 1)


def merge(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The output and log-sum-exp over all keys, from those over one part of them and over the other."""
    (out_a, lse_a), (out_b, lse_b) = a, b
    lse = torch.logaddexp(lse_a, lse_b)
    out = out_a * (lse_a - lse).exp()[..., None] + out_b * (lse_b - lse).exp()[..., None]
    return out.to(out_a.dtype), lse


class _Shared(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, past_k: Tensor, past_v: Tensor, lengths: list[int], scale: float
    ) -> Tensor:
        of_past = forward(q, past_k, past_v, False, scale)
        own = [forward(a, b, c, True, scale) for a, b, c in _each(lengths, q, k, v)]
        of_own = torch.cat([part[0] for part in own], 2), torch.cat([part[1] for part in own], 2)
        out, lse = merge(of_past[:2], of_own)
        ctx.save_for_backward(q, k, v, past_k, past_v, out, lse)
        ctx.rest = of_past[2], [part[2] for part in own], lengths, scale
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, past_k, past_v, out, lse = ctx.saved_tensors
        of_past, of_own, lengths, scale = ctx.rest
        grad = grads[0].contiguous()
        dq, dpast_k, dpast_v = backward(grad, q, past_k, past_v, out, lse, of_past, False, scale)
        parts = zip(_each(lengths, grad, q, k, v, out, lse), of_own, strict=True)
        own = [backward(a, b, c, d, e, f, rest, True, scale) for (a, b, c, d, e, f), rest in parts]
        dq_own, dk, dv = (torch.cat(d, 2) for d in zip(*own, strict=True))
        return dq + dq_own, dk, dv, dpast_k, dpast_v, None, None


def shared(
    q: Tensor, k: Tensor, v: Tensor, past: tuple[Tensor, Tensor] | None, lengths: list[int], scale: float
) -> Tensor:
    """(1, H, T, D): responses laid end to end, of these lengths, each after the same keys and values `past`."""
    if past is not None and past[0].shape[2]:
        return _Shared.apply(q, k, v, *past, lengths, scale)  # pyright: ignore[reportReturnType]
    return torch.cat([causal(a, b, c, scale) for a, b, c in _each(lengths, q, k, v)], 2)


def _each(lengths: list[int], *whole: Tensor) -> Iterator[Any]:
    """The tensors of one response after the other, from those of all laid end to end."""
    return zip(*(x.split(lengths, 2) for x in whole), strict=True)


def causal(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Plain causal attention of whole sequences."""
    if (
        kernel(q) == "none"
    ):  # what there is besides takes as many keys as queries, or the square of the length in memory
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    return torch.nn.functional.scaled_dot_product_attention(
        q, k, v, is_causal=True, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )


def decode(
    q: Tensor, k: Tensor, v: Tensor, pasts: Sequence[tuple[Tensor, Tensor] | None], counts: Sequence[int], scale: float
) -> Tensor:
    """(B, H, 1, D): one token of B responses, as many as `counts` of each prompt, each after its prompt's keys and
    values and its own, (B, H_kv, t, D). The prompt's are read once for all of its responses.
    """
    out, lse, _ = forward(q, k, v, False, scale)
    merged = []
    of_prompts = zip(q.split(list(counts)), out.split(list(counts)), lse.split(list(counts)), pasts, strict=True)
    for q_g, out_g, lse_g, past in of_prompts:
        if past is not None and past[0].shape[2]:
            of_past, lse_past, _ = forward(q_g.transpose(0, 2), *past, False, scale)
            out_g, _ = merge((of_past.transpose(0, 2), lse_past.transpose(0, 2)), (out_g, lse_g))
        merged.append(out_g)
    return torch.cat(merged)
