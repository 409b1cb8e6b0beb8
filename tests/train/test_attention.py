"""Attention to a shared prompt equals plain attention over prompt and response, at every cut."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datagen.train import attention

SCALE = 0.3


def tensors(n: int, heads: int, kv: int, seed: int) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(1, h, n, 8, dtype=torch.float64, generator=draw) for h in (heads, kv, kv)]


def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    copies = q.shape[1] // k.shape[1]
    scores = q @ k.repeat_interleave(copies, 1).mT * SCALE
    hidden = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).triu(k.shape[2] - q.shape[2] + 1)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v.repeat_interleave(copies, 1)


@given(
    past=st.integers(0, 9), lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4), kv=st.sampled_from([1, 2, 4])
)
def test_outputs_and_gradients_are_those_of_plain_attention(past, lengths, kv):
    _, past_k, past_v = tensors(past, 4, kv, 1)
    q, k, v = tensors(sum(lengths), 4, kv, 2)
    weights = torch.randn(1, 4, sum(lengths), 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    leaves = [x.requires_grad_() for x in (q, k, v, past_k, past_v)]

    ours = attention.shared(q, k, v, (past_k, past_v), lengths, SCALE)
    got = torch.autograd.grad((ours * weights).sum(), leaves, allow_unused=True)
    parts = zip(*(x.split(lengths, 2) for x in (q, k, v)), strict=True)
    naive = torch.cat(
        [plain(a, torch.cat([past_k, b], 2), torch.cat([past_v, c], 2)) for a, b, c in parts],
        2,
    )
    wanted = torch.autograd.grad((naive * weights).sum(), leaves)

    torch.testing.assert_close(ours, naive, atol=1e-12, rtol=1e-9)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(torch.zeros_like(b) if a is None else a, b, atol=1e-12, rtol=1e-9)


def test_decoding_attends_to_the_own_prompt_and_the_own_tokens():
    counts, t = [2, 1, 3], 4
    pasts = [(a[1], a[2]) if n else None for n, a in ((n, tensors(n, 4, 2, n)) for n in (5, 0, 9))]
    draw = torch.Generator().manual_seed(7)
    q = torch.randn(6, 4, 1, 8, dtype=torch.float64, generator=draw)
    k, v = (torch.randn(6, 2, t, 8, dtype=torch.float64, generator=draw) for _ in range(2))
    ours = attention.decode(q, k, v, pasts, counts, SCALE)
    of = [p for p, n in zip(pasts, counts, strict=True) for _ in range(n)]
    for i, past in enumerate(of):
        pk, pv = past if past is not None else (k[:0, :, :0], v[:0, :, :0])
        keys, values = (
            torch.cat([x[:1], own[i : i + 1]], 2) if len(x) else own[i : i + 1] for x, own in ((pk, k), (pv, v))
        )
        torch.testing.assert_close(ours[i : i + 1], plain(q[i : i + 1], keys, values), atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("causal", [True, False])
def test_the_way_without_a_kernel_equals_the_kernel(causal, monkeypatch):
    """What runs on devices and types that have none; the CPU has one, so this looks behind it."""
    q, k, v = tensors(6, 4, 2, 1)
    grad = torch.randn(q.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    out, lse, rest = attention.forward(q, k, v, causal, SCALE)
    wanted = attention.backward(grad, q, k, v, out, lse, rest, causal, SCALE)
    weights, wide = attention._weights(q, k, v, causal, SCALE)
    torch.testing.assert_close(weights.softmax(-1) @ wide, out)
    torch.testing.assert_close(weights.logsumexp(-1), lse)
    for a, b in zip(attention.slow_backward(grad, q, k, v, out, lse, causal, SCALE), wanted, strict=True):
        torch.testing.assert_close(a, b)
