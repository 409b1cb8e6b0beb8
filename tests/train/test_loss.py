"""What the losses are by definition; test_loss_references holds them against other projects."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from datagen.config.train import LossConfig
from datagen.train.loss import Batch, group_advantages, k3, overlong_penalty, policy_loss, token_weights

lengths_of = st.lists(st.integers(1, 50), min_size=1, max_size=9)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=12))
def test_advantages_are_centred_and_scaled(rewards):
    values = torch.tensor(rewards, dtype=torch.float64)
    scaled, centred = group_advantages(values), group_advantages(values, by_std=False)
    assert scaled.sum().item() == pytest.approx(0, abs=1e-6)
    assert torch.equal(centred, values - values.mean())
    if values.std() > 1e-2:
        assert scaled.std().item() == pytest.approx(1, abs=1e-3)


def test_equal_rewards_give_no_advantage():
    assert torch.equal(
        group_advantages(torch.full((8,), 0.7, dtype=torch.float64)), torch.zeros(8, dtype=torch.float64)
    )


@given(lengths_of)
def test_the_weights_of_the_aggregations(lengths):
    def sums(aggregation):
        weights = token_weights(lengths, aggregation, 64)
        return [w * n for w, n in zip(weights, lengths, strict=True)]

    assert sum(sums("token-mean")) == pytest.approx(1)
    assert sums("seq-mean") == pytest.approx([1 / len(lengths)] * len(lengths))
    assert sums("dr-grpo") == pytest.approx([n / (64 * len(lengths)) for n in lengths])


def loss_of(ratios, advantages, settings=LossConfig(), lengths=None, **more):  # noqa: B008  # frozen
    logp = torch.tensor(ratios).log().requires_grad_()
    n = len(advantages)
    lengths = lengths or [1] * n
    batch = Batch(lengths, torch.tensor(advantages), torch.ones(n), torch.zeros(len(ratios)), **more)
    loss, metrics = policy_loss(logp, batch, settings)
    loss.backward()
    assert logp.grad is not None
    return loss.item(), logp.grad.tolist(), {name: value.item() for name, value in metrics.items()}


def test_clipping_ends_the_gradient_where_it_should():
    """Advantage up: above 1.28. Advantage down: below 0.8, and, by the dual clip, above 10."""
    _, grad, metrics = loss_of([1.27, 1.29, 0.5, 0.81, 0.79, 9.9, 10.1], [1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0])
    assert [g != 0 for g in grad] == [True, False, True, True, False, True, False]
    assert metrics["clip_fraction"] == 2


def test_the_first_step_is_the_policy_gradient():
    loss, grad, metrics = loss_of([1.0, 1.0], [2.0, -1.0])
    assert (loss, grad) == (-1.0, [-2.0, 1.0])
    assert metrics["kl_old"] == 0


def test_a_sequence_ratio_is_the_geometric_mean():
    ratios = [1.1, 1.2, 0.9, 1.3]
    loss, grad, _ = loss_of(ratios, [1.0, -1.0], LossConfig(ratio="sequence"), lengths=[3, 1])
    first = (1.1 * 1.2 * 0.9) ** (1 / 3)
    assert loss == pytest.approx(-3 * first + 1.3)
    assert grad == pytest.approx([-first] * 3 + [1.3])


def test_k3_is_zero_for_the_same_and_positive_otherwise():
    logp = torch.tensor([-1.0, -1.0, -1.0])
    values = k3(logp, torch.tensor([-1.0, -2.0, 0.0]))
    assert values[0] == 0
    assert (values[1:] > 0).all()


def test_the_kl_term_pulls_towards_the_reference():
    _, grad, _ = loss_of([1.0, 1.0], [0.0, 0.0], LossConfig(kl_coef=0.5), ref_T=torch.tensor([0.3, -0.3]))
    assert grad[0] < 0 < grad[1]


def test_a_sampler_that_differs_is_corrected_up_to_a_bound():
    sampled = torch.tensor([0.0, -0.5, -3.0])  # the trainer's are 0
    _, grad, _ = loss_of([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], sampled_T=sampled)
    assert grad == pytest.approx([-1.0, -torch.tensor(0.5).exp().item(), -2.0])


def test_overlong_penalty():
    assert [overlong_penalty(n, 100, 20) for n in (80, 90, 100, 120)] == [0, -0.5, -1, -1]
    assert overlong_penalty(100, 100, 0) == 0
