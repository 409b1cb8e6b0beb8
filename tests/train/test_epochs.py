"""How long a run is: a number of batches, or of passes over the rows."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from datagen.config.train import TrainConfig
from datagen.train.log import METRICS, read
from datagen.train.types import Group, State
from tests.train.calls import config, train
from tests.train.test_launch import CLOCK
from tests.train.test_storage import SETTINGS
from tests.train.train_worlds import dataset


@pytest.fixture
def data(tmp_path) -> Path:
    return dataset(tmp_path / "data")  # six rows


def go(data: Path, out: Path, epochs: int, *more: Any, code: int = 0, **changes: Any) -> str:
    return train(data, "-c", config(data, **SETTINGS | changes | {"epochs": epochs}), "-o", out, *more, code=code)


def steps(out: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in read(out / METRICS) if "reward" in row]


def test_passes_over_the_rows_are_gone_on_with_to_the_bit(data, tmp_path):
    halves, whole = tmp_path / "halves", tmp_path / "whole"
    told = go(data, halves, 1)
    assert "step 3/3: " in told
    assert "the model after 3 steps" in told
    assert "step 4/6: " in go(data, halves, 2)
    again = go(data, halves, 2)
    assert "the model after 6 steps" in again
    assert "/6: " not in again  # nothing was left to do
    go(data, whole, 2)
    assert [row["step"] for row in steps(halves)] == [1, 2, 3, 4, 5, 6]
    assert steps(halves) == steps(whole)
    ours, theirs = (load_file(out / "checkpoints" / "step-000006" / "model.safetensors") for out in (halves, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_prompts_that_replace_others_are_part_of_a_pass(data, tmp_path):
    """All rewards are the same: a batch of two is drawn twice, so that two passes over six rows are three batches."""
    told = go(data, tmp_path / "out", 2, "--json", code=1, reward={}, max_redraws=1)
    assert [row["groups_drawn"] for row in steps(tmp_path / "out")] == [4, 4, 4]
    assert "step 1/5: " in told  # four more, if none of their prompts is replaced
    assert "step 3/3: " in told
    assert json.JSONDecoder().raw_decode(told, told.index("{"))[0]["steps"] == 3


@pytest.mark.parametrize(
    ("groups", "drawn", "left"),
    [(0, 0, 6), (0, 4, 4), (0, 5, 3), (0, 11, 0), (0, 12, 0), (0, 14, 0), (1, 4, 5), (2, 11, 1), (1, 14, 1)],
)
def test_what_is_left_of_the_passes(groups, drawn, left):
    """Twelve prompts, in batches of two; a batch in hand is still to be trained on."""
    state = State(step=99, drawn=drawn, groups=[Group(0, [], [])] * groups)
    assert state.left(TrainConfig(batch=2, mini_batch=2, epochs=2), 6) == left


def test_what_is_left_of_the_steps():
    for step, left in ((0, 7), (6, 1), (7, 0), (8, 0)):
        assert State(step=step, drawn=10**6).left(TrainConfig(steps=7), 1) == left
    assert TrainConfig().steps == 200


def test_a_run_has_one_length(data, tmp_path):
    told = go(data, tmp_path / "out", 2, "--set", "train.steps=3", code=2)
    assert "steps (3) and epochs (2) are two lengths of one run" in told
    assert "--set train.epochs=null" in told
    assert "the model after 1 step," in go(data, tmp_path / "out", 2, "--steps", 1)  # instead of the file's
    assert "the run has no length" in go(
        data, tmp_path / "out", 2, "--set", "train.epochs=null", "--set", "train.steps=null", code=2
    )


def test_passes_of_less_than_a_batch_are_refused(data, tmp_path):
    told = go(data, tmp_path / "out", 2, code=2, batch=32, mini_batch=8)
    assert "train.epochs: 2 × 6 rows are less than one batch of 32 prompts" in told
    more = told.partition("prompts: ")[2].split()
    assert more == ["--set", "train.batch=6", "--set", "train.mini_batch=6"]
    assert "step 2/2: " in go(data, tmp_path / "out", 2, *more, batch=32, mini_batch=8)


@pytest.mark.parametrize(("most", "prompts"), [(1, 1), (None, 2)])
def test_all_of_the_validation_split_can_be_evaluated_on_and_is_first(data, tmp_path, most, prompts):
    go(data, tmp_path / "out", 1, eval_every=3, eval_prompts=most)
    found = [(row["step"], row["eval/prompts"]) for row in read(tmp_path / "out" / METRICS) if "eval/prompts" in row]
    assert found == [(0, prompts), (3, prompts)]
    assert read(tmp_path / "out" / METRICS)[0]["step"] == 0
