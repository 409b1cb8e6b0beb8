"""What a disk can do to a run: a sentence with the way on, and a run that goes on when it was put right."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from datagen.cli import app
from datagen.errors import UserError
from datagen.train import run_folder, trackers
from datagen.train.log import METRICS, Log, read
from datagen.train.parallel import World
from datagen.train.types import State
from tests.train.calls import config, train
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


CPU = World(0, 1, torch.device("cpu"))
SAME = "and run the same command again"


def go(data: Path, out: Path, steps: int, code: int = 0, **changes: Any) -> str:
    return train(data, "-c", config(data, **SETTINGS | changes), "-o", out, "--steps", steps, code=code)


@pytest.fixture
def data(tmp_path) -> Path:
    return dataset(tmp_path / "data")


def test_truncated_weights_are_named_and_the_checkpoint_before_goes_on(data, tmp_path):
    out = tmp_path / "out"
    go(data, out, 2)
    last = out / "checkpoints" / "step-000002"
    weights = last / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    told = go(data, out, 3, code=1)
    assert f"error: {last} cannot be used (model.safetensors: some of its bytes have changed" in told
    assert f"To go on from the checkpoint before it, step-000001, put it aside {SAME}: mv {last} {last}-damaged" in told
    last.rename(f"{last}-damaged")
    assert f"going on from {last.with_name('step-000001')}" in go(data, out, 3)


def test_a_flipped_bit_is_noticed_wherever_it_is(data, tmp_path):
    """In the weights, in the optimizer's state, in the place in the run, in a checksum; also without its command."""
    out = tmp_path / "out"
    go(data, out, 2)
    last, draw = out / "checkpoints" / "step-000002", random.Random(0)
    files = {path: path.read_bytes() for path in last.iterdir()}
    assert {"model.safetensors", "trainer.safetensors", "trainer.json", "SHA256SUMS"} <= {path.name for path in files}
    for path, whole in files.items():
        for at in {0, len(whole) - 1, *(draw.randrange(len(whole)) for _ in range(10))}:
            flipped = bytearray(whole)
            flipped[at] ^= 1 << draw.randrange(8)
            path.write_bytes(flipped)
            with pytest.raises(UserError, match=rf"mv \S*{last.name} \S*{last.name}-damaged"):
                run_folder.verify(last, CPU)
        if path.name in ("model.safetensors", "trainer.safetensors"):
            assert "step-000001, put it aside" in go(data, out, 3, code=1)
        path.write_bytes(whole)
    run_folder.verify(last, CPU)


def test_a_checkpoint_with_a_file_too_few_and_one_with_others(data, tmp_path):
    out = tmp_path / "out"
    go(data, out, 1)
    last = out / "checkpoints" / "step-000001"
    (last / "notes.txt").write_text("the good one")
    run_folder.verify(last, CPU)
    (last / "tokenizer.json").rename(last / "elsewhere.json")
    told = go(data, out, 2, code=1)
    assert "(tokenizer.json: it is missing). There is none before it: restore it from a copy, or start over" in told


def test_a_checkpoint_without_checksums_is_read(data, tmp_path):
    """As earlier versions wrote it; what it takes to load it is still noticed."""
    out = tmp_path / "out"
    go(data, out, 2)
    last = out / "checkpoints" / "step-000002"
    (last / "SHA256SUMS").unlink()
    assert f"going on from {last}" in go(data, out, 3)
    last = out / "checkpoints" / "step-000003"
    (last / "SHA256SUMS").unlink()
    weights = last / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    told = go(data, out, 4, code=1)
    assert f"error: {last} cannot be used (" in told
    assert f"step-000002, put it aside {SAME}: mv {last} {last}-damaged" in told


def test_the_model_that_it_is_compared_with_is_verified_too(data, tmp_path):
    out, how = tmp_path / "out", {"loss": {"kl_coef": 0.1}, "sft": {"steps": 1, "batch": 2}}
    go(data, out, 1, **how)
    weights = out / "reference" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    told = go(data, out, 2, code=1, **how)
    assert f"error: {out / 'reference'} cannot be used (model.safetensors: some of its bytes have changed" in told
    assert "start over with --resume never" in told


def test_doctor_looks_at_what_was_trained(data, tmp_path):
    out = tmp_path / "out"
    go(data, out, 2)

    def doctor(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["doctor", str(out), *words])
        return done.exit_code, done.output

    assert doctor()[0] == 0
    told = json.loads(doctor("--json")[1])
    assert (told["checked"]["training"] > 10, told["problems"]) == (True, [])
    weights = out / "checkpoints" / "step-000002" / "trainer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    code, told = doctor("--repair")
    assert (code, "nothing makes a checkpoint again" in told) == (1, True)
    code, told = doctor()
    assert code == 1
    assert f"{weights}: some of its bytes have changed since it was written. `mv {weights.parent} " in told
    assert "copy" not in told
    weights.parent.rename(f"{weights.parent}-damaged")  # as is said
    assert doctor()[0] == 0


def test_a_damaged_line_of_metrics_is_named(data, tmp_path):
    out = tmp_path / "out"
    go(data, out, 2)
    whole = (out / METRICS).read_text()
    for damaged in ("{" + whole, "5\n" + whole, "{}\n" + whole, '{"step": "1"}\n' + whole, "[" * 10_000 + "\n" + whole):
        (out / METRICS).write_text(damaged)
        for steps in (2, 3):
            told = go(data, out, steps, code=1)
            assert f"{out / METRICS}, line 1 is damaged: delete this line and run the same command again" in told
    (out / METRICS).write_bytes(whole.encode() + b'{"step": 3, "rew\xff')  # cut short by a kill
    go(data, out, 3)
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
    told = go(data, small_disk / "out", 1, code=1)
    assert "no space left. Free some space and run the same command again" in told
    assert not [path for path in small_disk.rglob("*") if path.is_dir() and path != small_disk / "out"]


def test_what_a_kill_left_half_written_is_cleared_away(data, tmp_path):
    left = tmp_path / "out" / "checkpoints" / ".step-000001.longrlvr-tmp"
    left.mkdir(parents=True)
    (left / "model.safetensors").write_bytes(b"half")
    go(data, tmp_path / "out", 0)
    assert not left.exists()


def test_steps_without_contrast_are_no_success(data, tmp_path):
    """All responses are worth nothing, so that no step changes the model."""
    told = go(data, tmp_path / "out", 2, code=1, reward={})
    assert (
        "nothing was learned: in every step, all responses to a prompt had the same reward (0.00 on average; " in told
    )
    assert "0% of the responses could be read" in told
    assert "--sft-steps" in told
    assert "nothing was learned" in go(data, tmp_path / "out", 2, code=1, reward={})


def test_what_was_sampled_is_there_where_all_groups_were_dropped(data, tmp_path):
    """It is what tells why: each such step has its file, and what is said names it."""
    out = tmp_path / "out"
    told = go(data, out, 3, code=1, reward={}, samples_every=3)
    files = [out / "samples" / f"step-{step:06d}.parquet" for step in (1, 2, 3)]
    for step, file in enumerate(files, 1):
        assert f"step {step}: no prompt had responses of different reward" in told
        assert f"What was sampled: {file}" in told
        rows = pq.read_table(file).to_pylist()
        assert len(rows) == 2 * 8  # all that was drawn: a batch of 2, 8 responses each
        assert all(row["response"] and row["total"] == 0 and not row["used"] for row in rows)
    assert f"{out}/samples: what the model writes, every 3 steps" in told  # at the start
    assert "nothing was learned: in every step, all responses to a prompt had the same reward" in told
    assert f"What was sampled last: {files[-1]}" in told


def test_the_samples_of_a_step_tell_what_was_trained_on(data, tmp_path):
    out = tmp_path / "out"
    told = go(data, out, 1, max_redraws=3)
    file = out / "samples" / "step-000001.parquet"
    assert f"{file}: what the model wrote last" in told
    rows, (step, *_) = pq.read_table(file).to_pylist(), [row for row in read(out / METRICS) if "reward" in row]
    assert len(rows) == 8 * step["groups_drawn"]
    assert sum(row["used"] for row in rows) == 8 * step["groups_kept"] > 0


def test_nothing_is_said_of_samples_where_none_are_taken(data, tmp_path):
    assert "samples" not in go(data, tmp_path / "out", 0)


def test_steps_without_contrast_among_others_are_counted(data, tmp_path):
    out = tmp_path / "out"
    assert "the model after 2 steps, as" in go(data, out, 2)
    rows = [json.loads(line) for line in (out / METRICS).read_text().splitlines()]
    rows[0]["optimizer_steps"] = 0
    (out / METRICS).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert "the model after 2 steps, of which 1 changed it, as" in go(data, out, 2)


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
