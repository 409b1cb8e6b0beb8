"""vLLM serves a checkpoint as it is, and says what the trainer's own sampler says."""

import importlib.util
from typing import Any

import pytest
import torch

from datagen.config.train import TrainConfig
from datagen.train import checkpoint, models, rollout, tiny
from datagen.train.parallel import World
from tests.servers import tiny_model
from tests.train.train_worlds import row

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed", allow_module_level=True)

pytestmark = pytest.mark.vllm


def test_vllm_says_the_same(tmp_path, monkeypatch):
    for name, value in tiny_model.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    from vllm import LLM, SamplingParams  # pyright: ignore[reportMissingImports]

    settings, world = TrainConfig(), World(0, 1, torch.device("cpu"))
    shape: dict[str, Any] = {"num_attention_heads": 2, "max_position_embeddings": 256}
    start = tiny.build(tmp_path / "start", [row(0)["prompt"][0]["content"]], 300, **shape)
    model, tokenizer = models.load(str(start), settings, world), models.tokenizer_of(settings, str(start))
    with torch.no_grad():  # so that what was loaded can't be mistaken for what was saved
        for parameter in model.parameters():
            parameter.mul_(1.1)
    checkpoint.save_model(tmp_path / "saved", model, tokenizer, world, settings)

    prompt = torch.arange(20, 60)
    [[ours]] = rollout.sample(model, [prompt], [[(0,)]], (), 0.0, 24)
    llm = LLM(str(tmp_path / "saved"), dtype="float32", enforce_eager=True, max_model_len=256)
    sampling = SamplingParams(temperature=0, max_tokens=24, ignore_eos=True)
    [theirs] = llm.generate([{"prompt_token_ids": prompt.tolist()}], sampling)
    assert list(theirs.outputs[0].token_ids) == ours.tokens
    assert len(set(ours.tokens)) > 1
