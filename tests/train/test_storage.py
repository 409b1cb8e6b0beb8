"""What a disk can do to a run: a sentence with the way on, and a run that goes on when it was put right."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from datagen.cli import app
from datagen.errors import UserError
from datagen.train import trackers
from datagen.train.log import METRICS, Log
from datagen.train.types import State
from tests.train.train_worlds import dataset

SETTINGS: dict[str, Any] = {
    "model": "tiny",
    "batch": 2,
    "mini_batch": 2,
    "max_redraws": 0,
    "eval_every": 0,
    "save_every": 1,
    "rollout": {"n": 8, "max_tokens": 40},
    "reward": {"overlong_buffer": 39},  # rewards differ by length, if by nothing else
}


def train(data: Path, out: Path, steps: int, expect: int = 0, **changes: Any) -> str:
    file = data / "c.yaml"
    file.write_text(yaml.safe_dump({"train": SETTINGS | changes}))
    how = ["-c", str(file), "-o", str(out), "--steps", str(steps), "--device", "cpu"]
    done = CliRunner().invoke(app, ["train", str(data), *how])
    assert done.exit_code == expect, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


@pytest.fixture
def data(tmp_path) -> Path:
    return dataset(tmp_path / "data")


def test_truncated_weights_are_named_and_the_checkpoint_before_goes_on(data, tmp_path):
    out = tmp_path / "out"
    train(data, out, 2)
    last = out / "checkpoints" / "step-000002"
    weights = last / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    told = train(data, out, 3, expect=1)
    assert f"error: {last} cannot be loaded (" in told
    assert "remove it to go on from the one before" in told
    last.rename(tmp_path / "damaged")
    assert "going on from" in train(data, out, 3)


def test_a_damaged_line_of_metrics_is_named(data, tmp_path):
    out = tmp_path / "out"
    train(data, out, 2)
    whole = (out / METRICS).read_text()
    for damaged in ("{" + whole, "5\n" + whole, "{}\n" + whole, '{"step": "1"}\n' + whole, "[" * 10_000 + "\n" + whole):
        (out / METRICS).write_text(damaged)
        for steps in (2, 3):
            told = train(data, out, steps, expect=1)
            assert f"{out / METRICS}, line 1 is damaged: delete this line and run the same command again" in told
    (out / METRICS).write_bytes(whole.encode() + b'{"step": 3, "rew\xff')  # cut short by a kill
    train(data, out, 3)
    assert [json.loads(line)["step"] for line in (out / METRICS).read_text().splitlines()] == [1, 2, 3]


def test_a_disk_that_fills_up_while_metrics_are_written(small_disk):
    log = Log(small_disk, None, 3)
    (small_disk / "filler").write_bytes(bytes(1024 * 56))
    row = {"step": 1, "note": "x" * 5000}

    def fill() -> None:
        with log:
            for _ in range(9):
                log.write(row)

    with pytest.raises(UserError, match=rf"{METRICS}: no space left.*run the same command again"):
        fill()
    (small_disk / "filler").unlink()
    again = Log(small_disk, State(step=1), 3)
    again.file.close()
    lines = (small_disk / METRICS).read_text().splitlines()
    assert lines
    assert all(json.loads(line) == row for line in lines)


def test_a_disk_too_small_for_the_tiny_model(data, small_disk):
    told = train(data, small_disk / "out", 1, expect=1)
    assert "no space left. Free some space and run the same command again" in told
    assert not [path for path in small_disk.rglob("*") if path.is_dir() and path != small_disk / "out"]


def test_what_a_kill_left_half_written_is_cleared_away(data, tmp_path):
    left = tmp_path / "out" / "checkpoints" / ".step-000001.longrlvr-tmp"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    train(data, tmp_path / "out", 0)
    assert not left.exists()


def test_steps_without_contrast_are_no_success(data, tmp_path):
    """All responses are worth nothing, so that no step changes the model."""
    told = train(data, tmp_path / "out", 2, expect=1, reward={})
    assert (
        "nothing was learned: in every step, all responses to a prompt had the same reward (0.00 on average; " in told
    )
    assert "0% of the responses could be read" in told
    assert "--sft-steps" in told
    assert "nothing was learned" in train(data, tmp_path / "out", 2, expect=1, reward={})


def test_steps_without_contrast_among_others_are_counted(data, tmp_path):
    out = tmp_path / "out"
    assert "the model after 2 steps, as" in train(data, out, 2)
    rows = [json.loads(line) for line in (out / METRICS).read_text().splitlines()]
    rows[0]["optimizer_steps"] = 0
    (out / METRICS).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert "the model after 2 steps, of which 1 changed it, as" in train(data, out, 2)


def test_metrics_for_tensorboard_are_read_back_and_a_full_disk_is_a_sentence(small_disk):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    row = {f"figure {i}": i / 2 for i in range(100)}

    def fill() -> None:
        with Log(small_disk, None, 99, [trackers.tensorboard(small_disk)]) as log:
            for step in range(1, 99):
                log.write({"step": step, **row})

    with pytest.raises(UserError, match=r"no space left.*run the same command again"):
        fill()
    found = EventAccumulator(str(small_disk / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("figure 3")][:3] == [(1, 1.5), (2, 1.5), (3, 1.5)]
