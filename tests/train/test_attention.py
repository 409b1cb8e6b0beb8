"""Attention to a shared prompt equals plain attention over prompt and response, at every cut."""

from typing import Any

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


class Flash:
    """The kernels for GPUs, by those for CPUs: the same arguments, and the log-sum-exp is read as it lies in memory."""

    def _scaled_dot_product_flash_attention(self, q: Any, k: Any, v: Any, *given: Any, scale: float) -> tuple[Any, ...]:
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, *given, scale=scale)
        return out, lse, None, None, q.shape[2], k.shape[2], torch.zeros(2), torch.zeros(()), torch.zeros(0)

    def _scaled_dot_product_flash_attention_backward(self, *given: Any, scale: float) -> tuple[Any, ...]:
        grad, q, k, v, out, lse, cum_q, cum_k, max_q, max_k, dropout, causal, *_ = given
        assert (cum_q, cum_k, max_q, max_k) == (None, None, q.shape[2], k.shape[2])
        lse = lse.as_strided(lse.shape, torch.empty(lse.shape).stride())
        backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
        return backward(grad, q, k, v, out, lse.clone(), dropout, causal, scale=scale)


def test_kernels_that_go_by_memory_and_not_by_strides_are_given_what_they_want(monkeypatch):
    """Responses of a group lie end to end, so that what belongs to one is a part of a larger tensor."""

    def gradients() -> tuple[torch.Tensor, ...]:
        (q, k, v), (_, past_k, past_v) = tensors(9, 4, 2, 1), tensors(5, 4, 2, 2)
        leaves = [x.requires_grad_() for x in (q, k, v, past_k, past_v)]
        out = attention.shared(q, k, v, (past_k, past_v), [4, 2, 3], SCALE)
        return torch.autograd.grad((out * torch.arange(8)).sum(), leaves)

    wanted = gradients()
    monkeypatch.setattr(attention, "kernel", lambda q: "flash")
    monkeypatch.setattr(attention, "_aten", Flash())
    for ours, theirs in zip(gradients(), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_kernels_for_gpus_take_what_they_are_given(monkeypatch):
    """Without a GPU: their declared arguments, and the shapes that they return."""
    monkeypatch.setattr(attention, "kernel", lambda q: "flash")
    q, k, v = (x.to("meta", torch.bfloat16) for x in tensors(6, 4, 2, 1))
    out, lse, rest = attention.forward(q, k, v, True, SCALE)
    assert (out.shape, lse.shape, lse.dtype) == (q.shape, q.shape[:3], torch.float32)
    grads = attention.backward(torch.empty_like(out), q, k, v, out, lse, rest, True, SCALE)
    assert [(g.shape, g.dtype) for g in grads] == [(x.shape, x.dtype) for x in (q, k, v)]


@pytest.mark.parametrize(
    ("dtype", "width", "capability", "by"),
    [
        (torch.bfloat16, 64, (9, 0), "flash"),
        (torch.bfloat16, 64, (7, 5), "none"),
        (torch.bfloat16, 100, (9, 0), "none"),
        (torch.bfloat16, 264, (9, 0), "none"),
        (torch.float32, 64, (9, 0), "none"),
    ],
)
def test_a_gpu_is_asked_for_what_it_has(dtype, width, capability, by, monkeypatch):
    class Queries:
        device = torch.device("cuda:1")
        shape = (1, 4, 6, width)

    Queries.dtype = dtype  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    queries: Any = Queries()
    assert attention.kernel(queries) == by


def test_plain_attention_without_a_kernel_for_grouped_heads(monkeypatch):
    q, k, v = tensors(6, 4, 2, 1)
    wanted = attention.causal(q, k, v, SCALE)
    monkeypatch.setattr(attention, "kernel", lambda q: "none")
    torch.testing.assert_close(attention.causal(q, k, v, SCALE), wanted)
