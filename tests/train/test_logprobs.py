"""The shared prompt's log-probs and gradients are those of the model's own forward, run for each response."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.train import logprobs, policy
from tests.train.train_worlds import KINDS, ids, model_of

PROMPT = ids(11)
RESPONSES = [ids(n, seed=n) for n in (4, 1, 7, 2)]


def gradients(model) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    return found


def weights(n: int) -> torch.Tensor:
    return torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(9))


def both(model, prompt, responses, **how):
    """Gradients of a weighted sum of log-probs: ours, and the naive ones."""
    w = weights(sum(map(len, responses)))
    logprobs.backward(model, prompt, responses, lambda logp, _entropy, _of, at: (logp * w[at]).sum(), 0.7, **how)
    ours = gradients(model)
    (logprobs.naive(model, prompt, responses, 0.7) * w).sum().backward()
    return ours, gradients(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activations", ["keep", "recompute", "offload"])
@pytest.mark.parametrize("limit", [1, 6, 1 << 15])
def test_gradients_equal_the_naive_ones(kind, activations, limit):
    ours, wanted = both(model_of(kind), PROMPT, RESPONSES, activations=activations, limit=limit)
    for name, grad in wanted.items():
        torch.testing.assert_close(ours[name], grad, atol=1e-9, rtol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def test_offloading_moves_the_inputs_of_layers_and_nothing_else(monkeypatch):
    moved, model = [], model_of()

    def hooks(pin_memory: bool) -> torch.autograd.graph.saved_tensors_hooks:
        return torch.autograd.graph.saved_tensors_hooks(lambda x: moved.append(tuple(x.shape)) or x, lambda x: x)

    monkeypatch.setattr(policy, "save_on_cpu", hooks)
    both(model, PROMPT, RESPONSES[:1], activations="offload")
    layers, width = model.config.num_hidden_layers, model.config.hidden_size
    assert sorted(moved) == sorted([(1, 10, width)] * layers + [(1, 4, width)] * layers)


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_the_cut_between_prompt_and_response_may_be_anywhere(kind):
    """One text, cut at every place, from a prompt of two tokens to a response of one."""
    text, model = ids(9, seed=3), model_of(kind)
    for cut in range(2, len(text)):
        ours, wanted = both(model, text[:cut], [text[cut:], text[cut : cut + 1]])
        for name, grad in wanted.items():
            torch.testing.assert_close(ours[name], grad, atol=1e-9, rtol=1e-6)


@given(n=st.integers(2, 14), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), limit=st.integers(1, 40))
@settings(max_examples=30)
def test_logprobs_of_ragged_responses(n, lengths, limit):
    model, prompt = model_of(), ids(n)
    responses = [ids(size, seed=i) for i, size in enumerate(lengths)]
    ours, entropy = logprobs.logprobs(model, prompt, responses, 1.3, limit)
    torch.testing.assert_close(ours, logprobs.naive(model, prompt, responses, 1.3).detach(), atol=1e-10, rtol=1e-8)
    assert entropy.shape == ours.shape
    assert (entropy >= 0).all()


def test_logits_in_slices_change_nothing(monkeypatch):
    model = model_of()
    whole, _ = both(model, PROMPT, RESPONSES)
    monkeypatch.setattr(policy, "LOGITS", 97 * 3)
    sliced, _ = both(model, PROMPT, RESPONSES)
    for name, grad in whole.items():
        torch.testing.assert_close(sliced[name], grad, atol=1e-12, rtol=1e-9)


def test_float32_is_close():
    ours, wanted = both(model_of(dtype=torch.float32), PROMPT, RESPONSES)
    for name, grad in wanted.items():
        torch.testing.assert_close(ours[name], grad, atol=2e-5, rtol=1e-3)
