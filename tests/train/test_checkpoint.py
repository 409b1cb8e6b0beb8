"""Checkpoints: what is written goes on to the bit, cannot run, and is whole or named; also those of 0.1.0."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from datagen.config.train import TrainConfig
from datagen.errors import UserError
from datagen.grounding.rewards import Reward
from datagen.train import checkpoint, model_folder, models, run_folder, setup, stored_state, tiny
from datagen.train.parallel import World
from datagen.train.types import Group, Response, Scored, State

CPU = World(0, 1, torch.device("cpu"))
SETTINGS = TrainConfig(model="mine", save_total_limit=1)
IN_HAND = Group(
    4,
    [Response([5, 6], [-0.1, -1 / 3], True), Response([7], [-2.5e-9], False)],
    [Scored("a", Reward(2.0, 1.0, 1.0, 1.0, 1.0), True, 2.0), Scored("b", None, False, None)],
    [-0.1, -0.2, -0.3],
)
STATE = State(4, 3, 12, 1, [IN_HAND], {"reward": 0.1, "verifier_failed": 0}, {"loss": 0.1 + 0.2}, 40)


def made(folder: Path, dtype: torch.dtype = torch.float32, **shape: Any) -> tuple[Any, Any, Any]:
    """A model of one layer whose files are in a number format, its optimizer after one step, and its tokenizer."""
    tiny.build(folder, ["ash birch"], 300, num_hidden_layers=1, hidden_size=16, intermediate_size=16, **shape)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"dtype": str(dtype).removeprefix("torch.")}))
    model = models.load(str(folder), SETTINGS, CPU)
    optimizer = setup.adamw(model, SETTINGS.optimizer)
    model(torch.arange(5)[None]).logits.sum().backward()
    optimizer.step()
    return model, optimizer, models.tokenizer_of(SETTINGS, str(folder))


def save(target: Path, model: Any, optimizer: Any, tokenizer: Any) -> None:
    checkpoint.save(target, model, optimizer, tokenizer, STATE, CPU, SETTINGS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_stored_comes_back_to_the_bit_and_files_keep_their_number_format(dtype, tmp_path):
    model, optimizer, tokenizer = made(tmp_path / "model", dtype)
    save(tmp_path / "step-000003-1", model, optimizer, tokenizer)
    assert {x.dtype for x in load_file(tmp_path / "step-000003-1" / "model.safetensors").values()} == {dtype}
    again = models.load(str(tmp_path / "step-000003-1"), SETTINGS, CPU)
    stored = stored_state.read(tmp_path / "step-000003-1")
    again.load_state_dict(stored.weights, strict=False)
    moments = setup.adamw(again, SETTINGS.optimizer)
    assert checkpoint.load(stored, again, moments) == STATE
    assert {type(v) for v in stored.state.sampled.values()} == {float, int}
    for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(moments.state.values(), optimizer.state.values(), strict=True):
        assert all(torch.equal(ours[key], theirs[key]) for key in ("step", "exp_avg", "exp_avg_sq"))
    assert again.config.dtype == dtype


@pytest.mark.parametrize(
    "scaling", [None, {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}]
)
def test_earlier_versions_of_transformers_find_their_rotary_keys(scaling, tmp_path):
    rope = {"rope_type": "default", "rope_theta": 1_000_000.0} | (scaling or {})
    model, optimizer, tokenizer = made(tmp_path / "model", rope_parameters=rope)
    save(tmp_path / "step-000001", model, optimizer, tokenizer)
    for folder in (tmp_path / "model", tmp_path / "step-000001"):
        written = json.loads((folder / "config.json").read_text())
        assert (written["rope_theta"], written["torch_dtype"]) == (1_000_000.0, "float32")
        assert written["rope_scaling"] == scaling
        assert written["rope_parameters"] == rope
    before, after = (models.config_of(SETTINGS, str(tmp_path / name)) for name in ("model", "step-000001"))
    assert {k: after.rope_parameters[k] for k in rope} == {k: before.rope_parameters[k] for k in rope} == rope


def test_later_versions_find_theirs_in_what_an_earlier_one_wrote():
    earlier = {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}
    found = model_folder._rotary(earlier)
    assert found["rope_parameters"] == {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0}
    assert model_folder._rotary({"rope_theta": 5e5})["rope_parameters"] == {"rope_theta": 5e5, "rope_type": "default"}


def test_a_full_disk_is_a_sentence_and_leaves_nothing(small_disk, tmp_path):
    """However far the writing comes: weights, state and tokenizer are written by libraries with errors of their own."""
    model, optimizer, tokenizer = made(tmp_path / "model")
    save(tmp_path / "step-000003", model, optimizer, tokenizer)
    size = sum(file.stat().st_size for file in (tmp_path / "step-000003").iterdir())
    assert size > 60_000
    (small_disk / "step-000002").mkdir()
    for kilobytes in range(0, 60, 6):
        (small_disk / "filler").write_bytes(bytes(1024 * kilobytes))
        with pytest.raises(UserError, match=r"step-000003: no space left\. Free some space and run the same command"):
            save(small_disk / "step-000003", model, optimizer, tokenizer)
        assert {path.name for path in small_disk.iterdir()} == {"step-000002", "filler"}


def test_only_folders_that_are_checkpoints_count(tmp_path):
    assert run_folder.latest(tmp_path) is None
    folder = tmp_path / run_folder.CHECKPOINTS
    for name in ("step-000002", "warm-000050", "step-000002-1", "step-000002-10", "step-000002-2", "step-000001"):
        (folder / name).mkdir(parents=True)
    for name in ("step-000003 (copy)", "step-best", "step-000004-old", ".step-000009.longrlvr-tmp"):
        (folder / name).mkdir()
    (folder / "step-000008").write_text("a note")
    (folder / "step-000007.zip").write_bytes(b"PK")
    assert run_folder.latest(tmp_path) == folder / "step-000002-10"
    made_now = made(tmp_path / "model")
    save(folder / "step-000003", *made_now)
    kept = {path.name for path in folder.iterdir()}
    assert kept == {
        "step-000003",
        "step-000003 (copy)",
        "step-best",
        "step-000004-old",
        ".step-000009.longrlvr-tmp",
        "step-000008",
        "step-000007.zip",
    }


def test_a_checkpoint_of_0_1_0_goes_on_in_the_middle_of_a_batch(tmp_path):
    """Its classes were in other modules, and some names were others."""
    shutil.copy(Path(__file__).with_name("trainer-0.1.0.pt"), tmp_path / stored_state.PICKLED)
    state = stored_state.read(tmp_path).state
    [group] = state.groups
    assert (state.warmed, state.step, state.drawn, state.taken, state.tokens) == (4, 3, 12, 1, 40)
    assert state.sums == {"loss": 0.5, "mismatch_kl": 0.25}
    assert group.example == 4
    usable = group.usable()
    assert usable
    assert usable.totals == [2.0, 0.0]
    assert [response.tokens for response in group.responses] == [[5, 6], [7]]
    assert group.scored[0].reward
    assert group.scored[0].reward.fbeta == 1


class Runs:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("by", ["torch", "pickle"])
def test_nothing_in_a_checkpoint_is_run(by, tmp_path):
    stored = {"state": Runs(tmp_path / "ran"), "optimizer": None, "lora": {}}
    if by == "torch":
        torch.save(stored, tmp_path / stored_state.PICKLED)
    else:
        (tmp_path / stored_state.PICKLED).write_bytes(pickle.dumps(stored, 2))
    with pytest.raises(UserError, match=rf"{tmp_path.name} cannot be used .*start over with --resume never"):
        stored_state.read(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (stored_state.PICKLED, b"PK and no more"),
        (stored_state.VALUES, b"{"),
        (stored_state.VALUES, b"[]"),
        (stored_state.VALUES, b'{"param_groups": null, "state": {"groups": 5}}'),
        (stored_state.TENSORS, None),
    ],
)
def test_a_damaged_checkpoint_is_named(file, content, tmp_path):
    stored_state.write(tmp_path, stored_state.Stored(STATE, None, {"w": torch.ones(64)}))
    if file == stored_state.PICKLED:
        (tmp_path / stored_state.VALUES).unlink()
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:-9] if content is None else content)
    with pytest.raises(UserError, match=rf"{tmp_path.name} cannot be used .*start over with --resume never"):
        stored_state.read(tmp_path)
