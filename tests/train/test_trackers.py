"""Weights & Biases, written to the disk instead of sent."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from datagen.cli import app
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
    data, out, file = dataset(tmp_path / "data"), tmp_path / "out", tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump({"train": SETTINGS}))
    for steps in (1, 2):
        how = ["-c", str(file), "-o", str(out), "--steps", str(steps), "--device", "cpu"]
        done = CliRunner().invoke(app, ["train", str(data), *how])
        assert done.exit_code == 0, done.output
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
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump({"train": SETTINGS}))
    how = ["-c", str(file), "-o", str(tmp_path / "out"), "--steps", "1", "--device", "cpu"]
    command = [sys.executable, "-m", "datagen", "train", str(dataset(tmp_path / "data")), *how]
    env |= {"NETRC": str(tmp_path / "none")}
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    told = " ".join(done.stderr.split())
    assert "train.wandb: No API key configured" in told
    assert "With WANDB_MODE=offline it is written to" in told
