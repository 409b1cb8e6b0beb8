"""Where a turn ends: what the model declares of it is trained, sampled, and written into checkpoints."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from datagen.config.train import TrainConfig
from datagen.errors import ConfigError
from datagen.grounding import tags
from datagen.train import model_folder, models, sft, tiny
from datagen.train.data import encode
from datagen.train.parallel import World
from datagen.train.types import Example
from tests.train.calls import config, train
from tests.train.train_worlds import dataset, row

TEXTS = ["ash birch cedar elm"]
HASH = "0123456789abcdef0123456789abcdef01234567"
END, PAD = 2, 0  # in the tokenizer of `tiny`


def ends_of(folder: Path | str, name: str = "mine", revision: str | None = None) -> tuple[list[int], Any]:
    settings = TrainConfig(model=name, revision=revision)
    tokenizer = models.tokenizer_of(settings, str(folder))
    return models.end_tokens(settings, str(folder), models.config_of(settings, str(folder)), tokenizer), tokenizer


def declare(folder: Path, ends: Any) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))


@pytest.fixture
def model(tmp_path) -> Path:
    return tiny.build(tmp_path / "model", TEXTS, 300)


def test_all_that_the_model_declares_the_one_of_the_template_first(model):
    declare(model, [PAD, 1, END])
    assert ends_of(model)[0] == [END, PAD, 1]
    (model / "generation_config.json").unlink()
    assert ends_of(model)[0] == [END]


def test_the_template_decides_which_of_them_ends_a_gold_output(model):
    template = model / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", "<|endoftext|>"))
    declare(model, [PAD])
    ends, tokenizer = ends_of(model)
    assert ends == [PAD, END]
    gold = sft.gold(Example("q", "?", "ash", (0, 1), 0, 0), tokenizer, ends[0])
    assert gold[-1] == PAD
    assert PAD not in gold[:-1]
    assert tokenizer.decode(gold[:-1]) == tags.render_response((0, 1), "ash")


def test_a_template_without_an_end_leaves_the_tokenizers_own(model):
    template = model / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", ""))
    declare(model, [1])
    assert ends_of(model)[0] == [END, 1]


def test_those_of_a_model_in_the_hubs_cache_are_found(model, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    declare(model, [PAD, END])
    kept = tmp_path / "cache" / "models--ours--small"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text(HASH)
    (kept / "snapshots").mkdir()
    model.rename(kept / "snapshots" / HASH)
    assert ends_of("ours/small")[0] == [END, PAD]
    assert ends_of("ours/small", revision=HASH)[0] == [END, PAD]
    (kept / "snapshots" / HASH / "generation_config.json").unlink()
    assert ends_of("ours/small")[0] == [END]


def test_a_model_without_any_is_refused(model):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"eos_token_id": None}))
    (model / "generation_config.json").unlink()
    tokenizer = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"eos_token": None}))
    with pytest.raises(ConfigError, match=r"mine declares no token that ends a turn.*eos_token_id"):
        ends_of(model)


def test_a_damaged_declaration_is_named(model):
    (model / "generation_config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"generation_config\.json cannot be read"):
        ends_of(model)


def test_a_checkpoint_ends_its_turns_by_itself(tmp_path):
    """After a warm start, `generate` without any string to stop at writes one answer and ends."""
    from transformers import AutoModelForCausalLM

    data = dataset(tmp_path / "data", train=3, validation=1)
    settings = {"model": "tiny", "steps": 0, "eval_every": 0, "sft": {"steps": 40, "batch": 3, "lr": 3e-3}}
    train(data, "-c", config(tmp_path, **settings), "-o", tmp_path / "out")
    saved = tmp_path / "out" / "checkpoints" / "step-000000"
    loaded: Any = AutoModelForCausalLM.from_pretrained(saved)
    ends, tokenizer = ends_of(saved)
    prompt = torch.tensor([encode(tokenizer, row(0)["prompt"])])
    written = loaded.generate(prompt, max_new_tokens=80, do_sample=False)[0, prompt.shape[1] :].tolist()
    assert written[-1] == END
    reading = tags.read_response(tokenizer.decode(written, skip_special_tokens=True))
    assert (reading.answers_found, reading.trailing) == (1, "")
    assert json.loads((saved / "generation_config.json").read_text())["eos_token_id"] == ends


def test_sampling_settings_that_contradict_each_other_are_written_as_they_came(model):
    """Transformers loads them with a warning, and refuses to save them."""
    (model / "generation_config.json").write_text(
        json.dumps({"do_sample": False, "temperature": 0.6, "eos_token_id": END})
    )
    loaded = models.load(str(model), TrainConfig(), World(0, 1, torch.device("cpu")))
    model_folder.write(model, loaded, ends_of(model)[1], loaded.state_dict(), None, torch.float32)
    assert json.loads((model / "generation_config.json").read_text())["temperature"] == 0.6
