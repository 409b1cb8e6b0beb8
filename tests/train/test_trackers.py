"""Weights & Biases, written to the disk instead of sent."""

import json
import os
import subprocess
import sys

import pytest

from tests.train.calls import config, train
from tests.train.train_worlds import dataset

pytest.importorskip("wandb")
SETTINGS = {
    "model": "tiny",
    "batch": 2,
    "mini_batch": 2,
    "max_redraws": 0,
    "rollout": {"n": 8, "max_tokens": 40},
    "reward": {"overlong_buffer": 39},  # rewards differ by length, if by nothing else
    "wandb": "trees",
    "sft": {"steps": 1, "batch": 2},
}


def test_a_run_goes_on_as_the_same_one(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    data, out = dataset(tmp_path / "data"), tmp_path / "out"
    for steps in (1, 2):
        train(data, "-c", config(tmp_path, **SETTINGS), "-o", out, "--steps", steps)
    name = (out / "wandb-run").read_text()
    first, second = sorted((out / "wandb").glob(f"offline-run-*-{name}*/*.wandb"))
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    for step, path in ((1, first), (2, second)):
        [row] = [r for r in rows if r["step"] == step and "length" in r]
        written = path.read_bytes()
        assert b"trees" in written
        assert b"rollout_s" in written
        assert json.dumps(row["rollout_s"]).encode() in written
    assert b"sft/loss" in first.read_bytes()


def test_no_account(tmp_path):
    """In a process of its own: wandb does not look again."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    how = ["-c", str(config(tmp_path, **SETTINGS)), "-o", str(tmp_path / "out"), "--steps", "1", "--device", "cpu"]
    command = [sys.executable, "-m", "datagen", "train", str(dataset(tmp_path / "data")), *how]
    env |= {"NETRC": str(tmp_path / "none")}
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    told = " ".join(done.stderr.split())
    assert "train.wandb: No API key configured" in told
    assert "With WANDB_MODE=offline it is written to" in told
