"""vLLM as the trainer's sampler: it samples by the weights that it was handed, and says by which log-probs."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datagen.config.train import TrainConfig
from datagen.train import logprobs, models, rollout_vllm, tiny
from datagen.train.parallel import World
from tests.servers import tiny_model
from tests.train import devices
from tests.train.calls import config, train
from tests.train.train_worlds import dataset, row

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed", allow_module_level=True)

pytestmark = pytest.mark.vllm
CPU = World(0, 1, torch.device("cpu"))
EAGER = {"enforce_eager": True}
HOW: dict[str, Any] = {"rollout": {"n": 4, "max_tokens": 24, "temperature": 0.7, "sampler": "vllm", "vllm": EAGER}}
ENVIRONMENT = {k: v for k, v in tiny_model.ENVIRONMENT.items() if k != "VLLM_ENABLE_V1_MULTIPROCESSING"}
END = 2  # of a turn, in the tokenizer of `tiny`


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING", raising=False)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # two that spin-wait on busy cores are ten times slower
        yield
        torch.set_num_threads(threads)


def prompts() -> list[Tensor]:
    return [torch.arange(20, 60), torch.arange(30, 95), torch.arange(5, 17)]


def seeds(run: int = 0) -> list[list[tuple[int, ...]]]:
    return [[(run, p, i) for i in range(4)] for p in range(3)]


def built(folder: Path, tied: bool) -> str:
    shape: dict[str, Any] = {"num_attention_heads": 2, "max_position_embeddings": 256, "tie_word_embeddings": tied}
    return str(tiny.build(folder, [row(0)["prompt"][0]["content"]], 300, **shape))


def sampled(sampler: rollout_vllm.VllmSampler, run: int, temperature: float = 0.7) -> list[list[Any]]:
    found = dict(pair for finished in sampler.sample(prompts(), seeds(run), temperature) for pair in finished)
    return [found[i] for i in range(3)]


def off(model: Any, groups: list[list[Any]]) -> float:
    """How far the log-probs are from the model's."""
    gaps = [
        logprobs.logprobs(model, prompt, [torch.tensor(r.tokens) for r in group], 0.7)[0]
        - torch.tensor([x for r in group for x in r.logprobs])
        for prompt, group in zip(prompts(), groups, strict=True)
    ]
    return torch.cat(gaps).abs().max().item()


@pytest.mark.parametrize("kind", ["tied", "untied", "lora"])
def test_it_samples_by_the_weights_it_was_handed(kind, tmp_path):
    settings = TrainConfig.model_validate(HOW | ({"lora": {"rank": 4}} if kind == "lora" else {}))
    source = built(tmp_path / "model", kind == "tied")
    model = models.load(source, settings, CPU)
    sampler = rollout_vllm.VllmSampler(settings, source, 65, torch.float32, [END], 1)
    for step in range(3):
        draw = torch.Generator().manual_seed(step)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.requires_grad and (step or "lora_B" not in name):
                    parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.05)
        before = sampled(sampler, step)
        if step:
            assert off(model, before) > 0.05  # so that the weights matter
        sampler.update_weights(model)
        after = sampled(sampler, step)
        assert off(model, after) < 1e-4
        assert [[r.tokens for r in group] for group in sampled(sampler, step)] == [
            [r.tokens for r in group] for group in after
        ]
        assert len({tuple(r.tokens) for group in after for r in group}) > 8
        assert [r.tokens for r in sampled(sampler, step + 10)[0]] != [r.tokens for r in after[0]]
    sampler.close()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_after_a_step_it_samples_by_the_new_weights(dtype, tmp_path):
    before, after = devices.handed_over(devices.source(tmp_path / "model", **devices.WIDE), "cpu", dtype, EAGER)
    assert after < (1e-4 if dtype == torch.float32 else devices.HANDED) < devices.HANDED * 2 < before


def test_responses_end_where_the_trainers_own_do(tmp_path):
    """At a token that ends a turn, which belongs to them; else they are cut."""
    settings = TrainConfig.model_validate(HOW)
    source = built(tmp_path / "model", True)
    also = 7
    sampler = rollout_vllm.VllmSampler(settings, source, 65, torch.float32, [END, also], 1)
    responses = [r for run in range(20) for group in sampled(sampler, run, 2.0) for r in group]
    sampler.close()
    lasts = {r.tokens[-1] for r in responses if r.finished}
    assert lasts == {also, END}
    for r in responses:
        assert not {also, END} & set(r.tokens[:-1])
        assert len(r.tokens) == len(r.logprobs)
        assert r.finished or len(r.tokens) == 24


CONFIG: dict[str, Any] = {
    "model": "tiny",
    "steps": 3,
    "batch": 4,
    "mini_batch": 2,
    "max_redraws": 1,
    "eval_every": 2,
    "save_every": 1,
    "samples_every": 1,
    "rollout": HOW["rollout"] | {"max_tokens": 20},
    "reward": {"overlong_buffer": 19},  # rewards differ by length, if by nothing else
    "optimizer": {"lr": 1e-2, "warmup": 0},
    "sft": {"steps": 4, "batch": 4, "lr": 1e-3},
}


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run(ranks, tmp_path):
    """Steps this large would show stale weights at once."""
    data, file = dataset(tmp_path / "data"), config(tmp_path, **CONFIG)
    command = [sys.executable, "-m", "datagen", "train", data, "-c", file, "-o", tmp_path / "out", "--device", "cpu"]
    env = os.environ | ENVIRONMENT
    run = [*map(str, command), "--processes", str(ranks)]
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    steps = [r for r in rows if "reward" in r]
    assert [r["step"] for r in steps] == [1, 2, 3]
    assert all(r["grad_norm"] > 0 and 0 <= r["mismatch_kl"] < 1e-6 for r in steps)
    assert "far from the trainer's" not in done.stderr
    assert (tmp_path / "out" / "checkpoints" / "step-000003" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"enforce_eagre": True}, "vLLM knows no enforce_eagre; did you mean enforce_eager?"),
        (
            {"tensor_parallel_size": 2},
            "tensor_parallel_size is 2, but each rank has a copy of the model on its own GPU",
        ),
        ({"max_model_len": 100}, "train.rollout.vllm: max_model_len is the trainer's to set"),
    ],
)
def test_arguments_that_will_not_do(arguments, told, tmp_path):
    settings = config(tmp_path, **CONFIG | {"rollout": CONFIG["rollout"] | {"vllm": arguments}})
    assert told in train(dataset(tmp_path / "data"), "-c", settings, "-o", tmp_path / "out", code=2)
