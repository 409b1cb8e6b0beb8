"""Checkpoints that cannot be read, and those of an earlier version."""

import shutil
from pathlib import Path

import pytest

from datagen.errors import UserError
from datagen.train import checkpoint


def test_a_checkpoint_of_0_1_0_goes_on_in_the_middle_of_a_batch(tmp_path):
    """Its classes were in other modules, and some names were others."""
    shutil.copy(Path(__file__).with_name("trainer-0.1.0.pt"), tmp_path / checkpoint.STATE)
    state = checkpoint.read(tmp_path)["state"]
    [group] = state.groups
    assert (state.warmed, state.step, state.drawn, state.taken, state.tokens) == (4, 3, 12, 1, 40)
    assert state.sums == {"loss": 0.5, "mismatch_kl": 0.25}
    assert group.example == 4
    assert group.usable().totals == [2.0, 0.0]
    assert [response.tokens for response in group.responses] == [[5, 6], [7]]
    assert group.scored[0].reward.fbeta == 1


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / checkpoint.STATE).write_bytes(b"PK and no more")
    with pytest.raises(UserError, match=tmp_path.name):
        checkpoint.read(tmp_path)


def test_the_latest_checkpoint_is_the_furthest(tmp_path):
    assert checkpoint.latest(tmp_path) is None
    for name in ("step-000002", "warm-000050", "step-000002-1", "step-000001"):
        (tmp_path / checkpoint.FOLDER / name).mkdir(parents=True)
    assert checkpoint.latest(tmp_path) == tmp_path / checkpoint.FOLDER / "step-000002-1"
