"""What can't be trained is said in a sentence, before anything is loaded or written."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import LlamaConfig, MistralConfig, Qwen2Config

from datagen.run.identity import digest
from datagen.train import tiny
from tests.train.calls import config, train
from tests.train.train_worlds import dataset, row


@pytest.fixture
def data(tmp_path) -> Path:
    return dataset(tmp_path / "data")


@pytest.fixture
def model(tmp_path) -> Path:
    return tiny.build(tmp_path / "model", [row(0)["prompt"][0]["content"]], 300, max_position_embeddings=512)


SMALL = {"rollout": {"max_tokens": 16}}


def test_no_model(data, tmp_path):
    assert "no model is named: give --model" in train(data, "-o", tmp_path / "out", code=2)


def test_no_dataset(tmp_path):
    told = train(tmp_path, "-o", tmp_path / "out", "--model", "tiny", code=1)
    assert "no dataset is there: give a finished run" in told


def test_nowhere_to_write(data):
    assert "say with -o where checkpoints and metrics go" in train(data, "--model", "tiny", code=2)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (lambda r: r.pop("extra_info"), "extra_info.question"),
        (lambda r: r.pop("prompt"), "prompt"),
        (lambda r: r["extra_info"].pop("ref_chunks"), "extra_info.ref_chunks"),
    ],
)
def test_missing_columns(change, missing, data, tmp_path):
    rows = [row(i) for i in range(3)]
    for r in rows:
        change(r)
    pq.write_table(pa.Table.from_pylist(rows), data / "data" / "train-00000.parquet")
    told = train(data, "-o", tmp_path / "out", "--model", "tiny", code=1)
    assert missing in told
    assert "it can't be trained on" in told


def test_a_row_without_evidence(data, model, tmp_path):
    rows = [row(0), row(1)]
    rows[1]["extra_info"]["ref_chunks"] = []
    pq.write_table(pa.Table.from_pylist(rows), data / "data" / "train-00000.parquet")
    told = train(data, "-o", tmp_path / "out", "--model", model, "-c", config(tmp_path, **SMALL), code=1)
    assert "train-00000.parquet, row 2: ref_chunks is empty" in told


def test_a_damaged_file(data, tmp_path):
    (data / "data" / "train-00000.parquet").write_bytes(b"PAR1 and no more")
    assert "train-00000.parquet cannot be read as parquet" in train(
        data, "-o", tmp_path / "out", "--model", "tiny", code=1
    )


def test_a_model_that_is_not_there(data, tmp_path):
    told = train(data, "-o", tmp_path / "out", "--model", tmp_path / "nothing", code=2)
    assert "nothing' cannot be loaded" in told


def test_a_model_without_a_chat_template(data, model, tmp_path):
    (model / "chat_template.jinja").unlink()
    told = train(data, "-o", tmp_path / "out", "--model", model, code=2)
    assert "has no chat template" in told
    assert "instruction-tuned" in told


def test_a_prompt_that_is_too_long_is_not_cut(data, model, tmp_path):
    settings = config(tmp_path, max_prompt_tokens=40, **SMALL)
    told = train(data, "-o", tmp_path / "out", "--model", model, "-c", settings, code=1)
    assert "train-00000.parquet, row 1: the prompt has" in told
    assert "and 40 is the most" in told
    assert "Nothing is cut" in told


def test_fewer_positions_than_a_response(data, model, tmp_path):
    settings = config(tmp_path, rollout={"max_tokens": 600})
    told = train(data, "-o", tmp_path / "out", "--model", model, "-c", settings, code=2)
    assert "train.rollout.max_tokens: 600" in told
    assert "512 positions" in told


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_sampling_by_vllm_that_is_not_there(data, model, tmp_path):
    settings = config(tmp_path, rollout={"max_tokens": 16, "sampler": "vllm"})
    told = train(data, "-o", tmp_path / "out", "--model", model, "-c", settings, code=1)
    assert "train.rollout.sampler" in told
    assert "'longrlvr-data[vllm]'" in told


def shape_of_7b(folder: Path, kind: Any) -> None:
    """A configuration alone: no weights are looked at before it is refused."""
    sizes = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28}
    kind(**sizes, num_key_value_heads=4, vocab_size=152064, max_position_embeddings=32768).save_pretrained(folder)


@pytest.mark.parametrize("kind", [Qwen2Config, LlamaConfig])
def test_seven_billion_parameters_without_a_gpu(kind, data, model, tmp_path):
    shape_of_7b(model, kind)
    told = train(data, "-o", tmp_path / "out", "--model", model, code=2)
    assert "billion parameters and there is no GPU" in told


def test_what_does_not_fit_says_how_much_is_needed_for_what(data, model, tmp_path):
    settings = config(tmp_path, rollout={"max_tokens": 300, "n": 64, "prompts_at_once": 10**9})
    told = train(data, "-o", tmp_path / "out", "--model", model, "-c", settings, code=2)
    assert "GB on each of 1 device" in told
    assert "keys and values of rollouts" in told
    assert "train.rollout.prompts_at_once" in told


def test_a_verifier_that_does_not_answer(data, model, tmp_path):
    engine = {"model": "judge", "endpoints": [{"base_url": "http://127.0.0.1:9/v1"}], "max_attempts": 1}
    engine |= {"timeout": 2}
    settings = config(tmp_path, reward={"verifier": "llm"}, engine=engine, **SMALL)
    told = train(data, "-o", tmp_path / "out", "--model", model, "-c", settings, code=1)
    assert "127.0.0.1:9" in told
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_an_unknown_setting(data, tmp_path):
    told = train(data, "-o", tmp_path / "out", "--model", "tiny", "-c", config(tmp_path, rolout={"n": 4}), code=2)
    assert "train.rolout" in told


def test_a_model_of_another_kind(data, model, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    shape: dict[str, Any] = {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 512}
    other = GPT2LMHeadModel(
        GPT2Config(vocab_size=json.loads((model / "config.json").read_text())["vocab_size"], **shape)
    )
    other.save_pretrained(model)
    told = train(data, "-o", tmp_path / "out", "--model", model, "-c", config(tmp_path, **SMALL), code=2)
    assert "is no decoder like Llama or Qwen" in told


def test_starting_over_removes_nothing_before_all_is_well(data, tmp_path):
    """Whether the settings or the dataset are wrong, what an earlier run left stays there."""
    kept = tmp_path / "out" / "checkpoints" / "step-000001" / "model.safetensors"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    settings = config(tmp_path, max_prompt_tokens=4, **SMALL)
    train(data, "-o", tmp_path / "out", "--model", "tiny", "-c", settings, "--resume", "never", code=1)
    assert kept.read_bytes() == b"weights"
    assert not (tmp_path / "out" / "model").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer_config.json"])
def test_a_model_that_changed_under_its_name_is_not_gone_on_with(name, data, model, tmp_path):
    """What is compared with it, or was trained beside it, was another."""
    given = (data, "-o", tmp_path / "out", "--model", model, "-c", config(tmp_path, **SMALL), "--steps", 0)
    train(*given)
    (model / "README.md").write_text("a word more")
    train(*given)
    file = model / name
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"\1" if name == "model.safetensors" else whole + b"\n")
    told = train(*given, code=2)
    assert "model: " in told
    assert "--resume always" in told
    noted = json.loads((tmp_path / "out" / "stage.json").read_text())
    del noted["identity"], noted["fingerprints"]["model"]  # as an earlier version wrote it
    (tmp_path / "out" / "stage.json").write_text(json.dumps({"identity": digest(noted), **noted}))
    train(*given)


def test_a_setting_of_0_1_0_counts_under_its_new_name(data, model, tmp_path):
    """What the folder was trained under, and the configuration, may both use the old one."""
    settings = config(tmp_path, loss={"kl": 0.1}, steps=0, **SMALL)
    given = (data, "-o", tmp_path / "out", "--model", model, "-c", settings)
    assert "train.loss.kl is now called train.loss.kl_coef" in train(*given)
    stored = tmp_path / "out" / "stage.json"
    written = json.loads(stored.read_text().replace("loss.kl_coef", "loss.kl"))
    written["identity"] = digest({name: value for name, value in written.items() if name != "identity"})
    stored.write_text(json.dumps(written))
    train(*given)
    told = train(*given[:-2], "-c", config(tmp_path, loss={"kl_coef": 0.2}, steps=0, **SMALL), code=2)
    assert "loss.kl_coef: 0.1 there, 0.2 now" in told


def test_a_model_with_a_sliding_window_is_refused_before_anything_is_written(data, model, tmp_path):
    shape = json.loads((model / "config.json").read_text())
    sizes = {name: shape[name] for name in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")}
    MistralConfig(**sizes, sliding_window=64, max_position_embeddings=512).save_pretrained(model)
    told = train(data, "-o", tmp_path / "out", "--model", model, "-c", config(tmp_path, **SMALL), code=2)
    assert "sliding_window: 64" in told
    assert "Choose a model with full attention" in told
    assert not (tmp_path / "out" / "stage.json").exists()
