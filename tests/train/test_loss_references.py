"""Advantages, losses and gradients against those of TRL and verl, as record_references.py wrote them down.

Where the three differ by definition:

- Only verl and we have the dual clip. TRL is compared where it never binds.
- TRL, unless told otherwise, multiplies the KL term by the ratio (DeepSeek-V3.2). verl and we do not; here it is told.
- TRL adds 1e-4 to a group's standard deviation, verl and we 1e-6. TRL's rewards are such that it does not show.
- verl and we bound the KL estimate of a token and the exponents; TRL does not. Its cases stay within the bounds.
"""

import json
from pathlib import Path

import pytest
import torch

from datagen.config.train import LossConfig
from datagen.train.loss import Batch, group_advantages, k3, policy_loss, token_weights

THERE = json.loads(Path(__file__).with_name("references.json").read_text())
NEVER = 1e6  # a dual clip that does not bind


def close(values):
    return pytest.approx(values, rel=1e-5, abs=1e-5)


def ids(case):
    return "-".join(str(case[key]) for key in ("peer", "theirs", "ratio", "kl")) + (
        "-sampled" if case["sampled"] else ""
    )


def tensor(name):
    return torch.tensor(THERE[name])


@pytest.mark.parametrize("case", THERE["cases"], ids=ids)
def test_the_loss_and_its_gradient(case):
    own = THERE["settings"] | ({"clip_dual": NEVER} if case["peer"] == "trl" else {})
    settings = LossConfig(**own, aggregation=case["aggregation"], ratio=case["ratio"], kl_coef=case["kl"])
    lengths = THERE["lengths"]
    batch = Batch(
        lengths,
        tensor("advantages"),
        torch.tensor(token_weights(lengths, settings.aggregation, THERE["max_length"])),
        old_T=tensor("old"),
        ref_T=tensor("ref") if case["kl"] else None,
        sampled_T=tensor("sampled") if case["sampled"] else None,
    )
    logp = tensor("logp").requires_grad_()
    loss, _ = policy_loss(logp, batch, settings)
    loss.backward()
    assert logp.grad is not None
    assert loss.item() == close(case["loss"])
    assert logp.grad.tolist() == close(case["grad"])


@pytest.mark.parametrize("case", THERE["of_groups"], ids=lambda case: f"{case['peer']}-{case['by_std']}")
def test_the_advantages(case):
    groups = torch.tensor(case["rewards"]).split(THERE["group"])
    found = torch.cat([group_advantages(rewards_G, case["by_std"]) for rewards_G in groups])
    assert found.tolist() == close(case["advantages"])


def test_the_kl_of_tokens_and_its_bounds():
    case = THERE["kl_of_tokens"]
    logp = torch.zeros(len(case["ref"]), requires_grad=True)
    kl = k3(logp, torch.tensor(case["ref"]))
    kl.sum().backward()
    assert logp.grad is not None
    assert kl.tolist() == close(case["kl"])
    assert logp.grad.tolist() == close(case["grad"])


def test_every_bound_is_met_by_some_and_missed_by_others():
    bounds, lengths = THERE["settings"], THERE["lengths"]
    adv_N, log_ratio_T = tensor("advantages"), tensor("logp") - tensor("old")
    adv_T = adv_N.repeat_interleave(torch.tensor(lengths))
    means_N = torch.stack([part.mean() for part in log_ratio_T.split(lengths)])
    high, low, dual = 1 + bounds["clip_high"], 1 - bounds["clip_low"], bounds["clip_dual"]
    drift_T = (tensor("old") - tensor("sampled")).exp()
    for met, among in (
        (log_ratio_T.exp() > high, adv_T > 0),
        (log_ratio_T.exp() < low, adv_T < 0),
        (log_ratio_T.exp() > dual, adv_T < 0),
        (means_N.exp() > high, adv_N > 0),
        (means_N.exp() < low, adv_N < 0),
        (drift_T > bounds["max_sampler_ratio"], adv_T != 0),
    ):
        assert 0 < met[among].sum() < among.sum()
    assert 0.0 in THERE["advantages"]
