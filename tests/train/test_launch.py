"""The command, whole: a run, a killed run, an interrupted one, and two ranks instead of one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from filelock import FileLock
from safetensors.torch import load_file

from tests.train.train_worlds import dataset

# Nothing that rests on what the model can do: the length of a response is rewarded, too, so that rewards differ.
SETTINGS: dict[str, Any] = {
    "model": "tiny",
    "steps": 6,
    "batch": 4,
    "mini_batch": 2,
    "max_redraws": 1,
    "eval_every": 3,
    "save_every": 2,
    "samples_every": 3,
    "tensorboard": True,
    "rollout": {"n": 4, "max_tokens": 20, "prompts_at_once": 2},
    "reward": {"overlong_buffer": 19},
    "loss": {"kl_coef": 0.05},
    "optimizer": {"lr": 1e-3, "warmup": 2},
    "sft": {"steps": 4, "batch": 4, "lr": 1e-3, "save_every": 2},
}
CLOCK = {"seconds", "tokens_per_s", "rollout_s", "eval/seconds"}


def config(folder: Path, **changes: Any) -> Path:
    file = folder / f"{len(list(folder.glob('*.yaml')))}.yaml"
    file.write_text(yaml.safe_dump({"seed": 3, "train": SETTINGS | changes}))
    return file


def command(data: Path, settings: Path, out: Path, *more: str) -> list[str]:
    how = [str(data), "-c", str(settings), "-o", str(out), "--device", "cpu", *more]
    return [sys.executable, "-m", "datagen", "train", *how]


def train(data: Path, settings: Path, out: Path, *more: str, expect: int = 0) -> str:
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command(data, settings, out, *more), capture_output=True, text=True, env=env)
    assert done.returncode == expect, done.stderr
    return done.stdout + done.stderr


def start(data: Path, settings: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    env, run = os.environ | {"OMP_NUM_THREADS": "1"}, command(data, settings, out, *more)
    return subprocess.Popen(run, text=True, env=env, stderr=subprocess.PIPE, start_new_session=True)


def rows(out: Path) -> list[dict[str, Any]]:
    path = out / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def figures(out: Path) -> list[dict[str, Any]]:
    """All but what the clock says."""
    return [{name: value for name, value in row.items() if name not in CLOCK} for row in rows(out)]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoints" / "step-000006" / "model.safetensors")


def same(out: Path, whole: Path) -> None:
    """To the bit."""
    for ours, wanted in zip(figures(out), figures(whole), strict=True):
        assert ours == wanted
    theirs = weights(whole)
    assert all(torch.equal(value, theirs.pop(name)) for name, value in weights(out).items())
    assert not theirs


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data) -> Path:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    told = train(data, config(folder), folder / "out")
    assert "\ntiny (127,936 parameters), 6 rows (2 to evaluate on), " in told
    assert len([line for line in told.splitlines() if line.startswith("step ")]) == 9  # six, and three evaluations
    return folder / "out"


def test_a_run_leaves_metrics_samples_and_checkpoints(whole):
    steps = [row for row in rows(whole) if "reward" in row]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows(whole) if "eval/reward" in row] == [0, 3, 6]
    assert all(row["groups_kept"] and row["grad_norm"] > 0 and row["tokens_per_s"] > 0 for row in steps)
    assert steps[-1]["kl_ref"] > steps[0]["kl_ref"] >= 0
    assert {p.name for p in (whole / "checkpoints").iterdir()} == {"step-000004", "step-000006"}
    assert list((whole / "tensorboard").glob("events.*"))
    samples = pq.read_table(whole / "samples" / "step-000001.parquet").to_pylist()
    assert {"qa_id", "question", "expected_answer", "ref_chunks", "response", "cited", "total"} <= set(samples[0])
    assert all(sample["n_tokens"] <= 20 for sample in samples)


def test_a_checkpoint_loads_as_it_is(whole):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = whole / "checkpoints" / "step-000006"
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "ash"}], return_tensors="pt", return_dict=True)
    assert model(**ids).logits.isfinite().all()
    assert set(weights(whole)) == set(load_file(whole / "model" / "model.safetensors"))  # vLLM goes by the names
    start = AutoModelForCausalLM.from_pretrained(whole / "model")
    assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), start.parameters(), strict=True))


def test_the_same_run_again_does_nothing(whole, data):
    files = [p for p in whole.rglob("*") if p.is_file() and p.name != "stage.json" and not p.name.startswith(".lock")]
    before = {p: p.stat().st_mtime_ns for p in files}
    assert "the model after 6 steps" in train(data, config(whole.parent), whole)
    told = json.loads(train(data, config(whole.parent), whole, "--json").splitlines()[0])
    assert told["schema_version"] == 1
    page = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in page for key in told)
    assert told["checkpoint"] == str(whole / "checkpoints" / "step-000006")
    assert (told["last_step"]["step"], told["last_evaluation"]["step"]) == (6, 6)
    assert before == {p: p.stat().st_mtime_ns for p in files}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_goes_on_as_if_nothing_had_been(seed, whole, data, tmp_path):
    """Killed twice, at moments between its start and its end: metrics and weights are the same to the bit."""
    draw, settings = random.Random(seed), config(tmp_path)
    for _ in range(2):
        process = start(data, settings, tmp_path)
        at = len(rows(tmp_path)) + draw.randint(1, 6)
        while process.poll() is None and len(rows(tmp_path)) < at:
            time.sleep(0.005)
        time.sleep(draw.random() * 0.3)
        process.kill()
        process.communicate()
    train(data, settings, tmp_path)
    same(tmp_path, whole)
    assert not [p for p in tmp_path.rglob(".*") if p.is_dir()]


@pytest.mark.parametrize(
    ("after", "ranks", "number"),
    [
        ("sft/step", 1, signal.SIGINT),
        ("reward", 1, signal.SIGHUP),
        ("reward", 2, signal.SIGINT),
        ("reward", 2, signal.SIGHUP),
    ],
)
def test_an_interrupted_run_saves_and_goes_on(after, ranks, number, whole, data, tmp_path):
    settings = config(tmp_path)
    process = start(data, settings, tmp_path, "--processes", str(ranks))
    assert process.stderr
    while process.poll() is None and not any(after in row for row in rows(tmp_path)):
        time.sleep(0.005)
    os.killpg(process.pid, number)  # as a terminal does
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "interrupted; the same command goes on from" in told
    assert "Traceback" not in told
    if ranks == 1:
        train(data, settings, tmp_path)
        same(tmp_path, whole)


@pytest.mark.slow
def test_ranks_end_with_the_process_that_started_them(data, tmp_path):
    """Killed in the way that can't be passed on: the ranks let go of the run, which goes on from its checkpoint."""
    settings = config(tmp_path, steps=100_000)
    process = start(data, settings, tmp_path, "--processes", "2")
    try:
        while process.poll() is None and not any("reward" in row for row in rows(tmp_path)):
            time.sleep(0.005)
        process.kill()
        process.communicate(timeout=60)  # returns when the ranks, too, have closed what they write to
        with FileLock(tmp_path / ".lock", timeout=0):
            assert (tmp_path / "checkpoints").exists()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_lora_resumes_and_merges(data, tmp_path):
    """Weights that nothing trains stay as they were, those with matrices beside them move; a second try goes on."""
    settings = config(tmp_path, lora={"rank": 4}, steps=6)
    train(data, settings, tmp_path / "halves", "--steps", "3")
    train(data, settings, tmp_path / "halves")
    train(data, settings, tmp_path / "whole")
    same(tmp_path / "halves", tmp_path / "whole")
    before = load_file(tmp_path / "whole" / "model" / "model.safetensors")
    moved = {name for name, value in weights(tmp_path / "whole").items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if "proj.weight" in name}


def test_other_settings_are_refused(whole, data):
    settings = config(whole.parent, batch=2)
    told = train(data, settings, whole, "--seed", "3", expect=2)
    assert "batch: 4 there, 2 now" in told
    again = f"  longrlvr-data train {data} --config {settings} --output-dir {whole} --seed 3 --device cpu --resume"
    assert f"{again} never\n" in told
    assert f"{again} always\n" in told


def test_an_error_of_the_ranks_is_one_sentence(data, tmp_path):
    settings = config(tmp_path, optimizer={"stop_grad_norm": 1e-9})
    told = train(data, settings, tmp_path, "--processes", "2", expect=1)
    assert "error: warm start, step 1: the gradient has the length" in told
    assert "Traceback" not in told


def test_two_ranks_give_the_curve_of_one(whole, data, tmp_path):
    train(data, config(tmp_path), tmp_path / "out", "--processes", "2")
    one, two = figures(whole), figures(tmp_path / "out")
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
    theirs = weights(tmp_path / "out")
    for name, value in weights(whole).items():
        torch.testing.assert_close(theirs[name], value, atol=1e-4, rtol=1e-3)
