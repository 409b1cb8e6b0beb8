"""Losses, gradients and advantages as TRL and verl compute them, for test_loss_references.

    python tests/train/record_references.py

writes references.json beside it. It is run by hand, in an environment that has both:

    python -m venv PEERS && PEERS/bin/pip install -c constraints.txt -e '.[train]' trl==1.16.0
    PEERS/bin/pip install --no-deps verl==0.9.1
    PEERS/bin/pip install codetiming omegaconf ray 'tensordict<=0.10'

(verl asks for another transformers than TRL is used with here; its losses need none.)

TRL: `_compute_loss` of a real GRPOTrainer, called with a stand-in for the model that returns the log-probs given to it;
and the advantages that `_generate_and_score_completions` returns, where a tiny model's responses get our rewards. verl:
the functions of `verl.trainer.ppo.core_algos` and of its rollout correction, put together as its actor does.

All is float32. Tensors (B, WIDTH) are padded; what is written is ragged, responses end to end.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer
from verl.trainer.ppo import core_algos, rollout_corr_helper
from verl.workers.config import ActorConfig

from datagen.train import tiny

LENGTHS = [7, 3, 1, 5, 2, 6, 4, 1, 6, 5, 2, 7]  # three groups of four
REWARDS = [1.1, 0.0, 0.1, 1.1, 0.5, 0.5, 0.5, 0.5, 0.0, 0.64, 1.1, 0.28]  # nothing to learn from the second
GROUP, WIDTH = 4, 8  # no response is as long as it could be
LOW, HIGH, DUAL, BETA, MAX_SAMPLER_RATIO = 0.2, 0.28, 10.0, 0.05, 2.0
TRL_LOSSES = {"bnpo": "token-mean", "dapo": "token-mean", "grpo": "seq-mean", "dr_grpo": "dr-grpo"}
VERL_MODES = {"token-mean": "token-mean", "seq-mean-token-mean": "seq-mean", "seq-mean-token-sum-norm": "dr-grpo"}
VERL_LOSSES = {"token": core_algos.compute_policy_loss_vanilla, "sequence": core_algos.compute_policy_loss_gspo}


def mask() -> Tensor:
    return (torch.arange(WIDTH) < torch.tensor(LENGTHS)[:, None]).float()


def ragged(padded: Tensor) -> list[float]:
    return padded[mask() > 0].tolist()


def inputs() -> dict[str, Tensor]:
    """Log-probs (B, WIDTH). Some ratios are far enough off that all bounds of them are met."""
    draw = torch.Generator().manual_seed(0)
    b = len(LENGTHS)

    def noise(scale: float, *shape: int) -> Tensor:
        return scale * torch.randn(*shape, generator=draw)

    logp = -3 * torch.rand(b, WIDTH, generator=draw)
    log_ratio = noise(0.4, b, 1) + noise(0.5, b, WIDTH)
    log_ratio[11] -= 0.8  # a whole response below the lower clip, and
    log_ratio[[1, 8], 2] = 2.6  # tokens beyond the dual clip: of negative advantage
    old = logp - log_ratio
    made = {"logp": logp, "old": old, "ref": logp + noise(0.5, b, WIDTH), "sampled": old + noise(0.5, b, WIDTH)}
    return {name: x * mask() for name, x in made.items()}


def verl_advantages(rewards: list[float], by_std: bool) -> Tensor:
    """(B, WIDTH)"""
    of_tokens = torch.zeros(len(rewards), WIDTH)
    of_tokens[:, 0] = torch.tensor(rewards)
    index = np.arange(len(rewards)) // GROUP
    return core_algos.compute_grpo_outcome_advantage(of_tokens, mask(), index, norm_adv_by_std_in_grpo=by_std)[0]


def verl_case(given: dict[str, Tensor], advantages: Tensor, ratio: str, mode: str, kl: float, sampled: bool) -> Any:
    config: Any = ActorConfig(
        strategy="fsdp",
        rollout_n=GROUP,
        use_dynamic_bsz=True,
        clip_ratio_low=LOW,
        clip_ratio_high=HIGH,
        clip_ratio_c=DUAL,
    )
    weights = None
    if sampled:
        weights, _ = rollout_corr_helper.compute_rollout_correction_weights(
            given["old"] - given["sampled"], mask(), rollout_is="token", rollout_is_threshold=MAX_SAMPLER_RATIO
        )
    logp = given["logp"].clone().requires_grad_()
    loss, _ = VERL_LOSSES[ratio](given["old"], logp, advantages, mask(), mode, config, weights)
    if kl:
        kl_T = core_algos.kl_penalty(logp, given["ref"], "low_var_kl")
        loss = loss + kl * core_algos.agg_loss(kl_T, mask(), mode)
    return case("verl", mode, VERL_MODES[mode], ratio, kl, sampled, loss, logp)


def case(peer: str, theirs: str, ours: str, ratio: str, kl: float, sampled: bool, loss: Tensor, logp: Tensor) -> Any:
    loss.backward()
    assert logp.grad is not None
    named = {"peer": peer, "theirs": theirs, "aggregation": ours, "ratio": ratio, "kl": kl, "sampled": sampled}
    return named | {"loss": loss.item(), "grad": ragged(logp.grad)}


def verl_kl() -> dict[str, list[float]]:
    """Of single tokens, some of them beyond the bounds."""
    logp = torch.zeros(9, requires_grad=True)
    ref = torch.tensor([-40.0, -15.0, -3.0, -0.5, 0.0, 0.5, 2.0, 3.0, 40.0])
    kl = core_algos.kl_penalty(logp, ref, "low_var_kl")
    kl.sum().backward()
    assert logp.grad is not None
    return {"ref": ref.tolist(), "kl": kl.tolist(), "grad": logp.grad.tolist()}


def trainer(folder: str, rewards: list[float], **settings: Any) -> Any:
    options: dict[str, Any] = {
        "epsilon": LOW,
        "epsilon_high": HIGH,
        "num_generations": GROUP,
        "max_completion_length": WIDTH,
        "per_device_train_batch_size": len(LENGTHS),
        "gradient_accumulation_steps": 1,
    }
    made = GRPOTrainer(
        folder,
        reward_funcs=lambda prompts, **_: rewards,
        args=GRPOConfig(f"{folder}/out", use_cpu=True, bf16=False, report_to=[], **options | settings),
        train_dataset=Dataset.from_list([{"prompt": "some"}] * 3),
    )
    made.model.train()
    made.current_gradient_accumulation_steps = 1  # as its training loop would say
    return made


def trl_case(folder: str, given: dict[str, Tensor], advantages: Tensor, ratio: str, loss_type: str, kl: float) -> Any:
    level: dict[str, Any] = {"importance_sampling_level": ratio, "loss_type": loss_type, "beta": kl}
    made = trainer(folder, REWARDS, **level, use_bias_correction_kl=False)
    logp = given["logp"].clone().requires_grad_()
    ids = torch.zeros(len(LENGTHS), WIDTH, dtype=torch.long)

    def model(**_: Any) -> SimpleNamespace:
        return SimpleNamespace(log_probs=logp, entropy=torch.zeros_like(logp))

    batch = {
        "prompt_ids": ids[:, :2],
        "prompt_mask": torch.ones_like(ids[:, :2]),
        "completion_ids": ids,
        "completion_mask": mask().long(),
        "advantages": advantages[:, 0],
        "old_per_token_logps": given["old"],
        "ref_per_token_logps": given["ref"],
        "num_items_in_batch": mask().sum(),
    }
    loss = made._compute_loss(model, batch)
    return case("trl", loss_type, TRL_LOSSES[loss_type], ratio, kl, False, loss, logp)


def trl_advantages(folder: str, rewards: list[float], by_std: bool) -> list[float]:
    made = trainer(folder, rewards, scale_rewards="group" if by_std else "none")
    prompts = [{"prompt": word} for word in ("some", "words", "some words") for _ in range(GROUP)]
    return made._generate_and_score_completions(prompts)["advantages"].tolist()


def main() -> None:
    torch.set_num_threads(2)
    given = inputs()
    advantages = verl_advantages(REWARDS, by_std=True)
    wide = [100 * reward for reward in REWARDS]  # TRL adds 1e-4 to a deviation, verl and we 1e-6
    with tempfile.TemporaryDirectory() as folder:
        tiny.build(Path(folder), ["some words"], vocabulary=300)
        cases = [
            trl_case(folder, given, advantages, ratio, loss_type, kl)
            for ratio in ("token", "sequence")
            for loss_type in TRL_LOSSES
            for kl in (0.0, BETA)
        ]
        of_groups = [
            {"peer": "trl", "by_std": by_std, "rewards": wide, "advantages": trl_advantages(folder, wide, by_std)}
            for by_std in (True, False)
        ]
    cases += [
        verl_case(given, advantages, ratio, mode, kl, sampled)
        for ratio in VERL_LOSSES
        for mode in VERL_MODES
        for kl, sampled in ((0.0, False), (BETA, False), (0.0, True))
    ]
    for by_std in (True, False):
        found = verl_advantages(REWARDS, by_std)[:, 0].tolist()
        of_groups.append({"peer": "verl", "by_std": by_std, "rewards": REWARDS, "advantages": found})
    settings = {"clip_low": LOW, "clip_high": HIGH, "clip_dual": DUAL, "max_sampler_ratio": MAX_SAMPLER_RATIO}
    written = {
        "versions": {name: version(name) for name in ("trl", "verl", "torch", "transformers")},
        "settings": settings,
        "lengths": LENGTHS,
        "group": GROUP,
        "max_length": WIDTH,
        "advantages": advantages[:, 0].tolist(),
        **{name: ragged(x) for name, x in given.items()},
        "kl_of_tokens": verl_kl(),
        "of_groups": of_groups,
        "cases": cases,
    }
    lines = ",\n".join(f'"{name}": {rows(value)}' for name, value in written.items())
    Path(__file__).with_name("references.json").write_text(f"{{\n{lines}\n}}\n")


def rows(value: Any) -> str:
    """JSON with a line for each of several cases; 9 digits tell one float32 from the next."""
    short = json.loads(json.dumps(value), parse_float=lambda digits: float(f"{float(digits):.9g}"))
    if isinstance(short, list) and isinstance(short[0], dict):
        return "[\n" + ",\n".join(json.dumps(row) for row in short) + "\n]"
    return json.dumps(short)


if __name__ == "__main__":
    main()
