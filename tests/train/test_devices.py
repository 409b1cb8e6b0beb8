"""What a run is told of its devices: too many ranks, too little memory, another number format than theirs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

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
