"""Which models are taken, and that they keep their own ways."""

from typing import Any

import pytest
import torch

from datagen.errors import ConfigError
from datagen.train import policy
from tests.train.train_worlds import ids, model_of


def test_the_model_keeps_its_own_forward():
    model = model_of()
    text = ids(8)[None]
    before = model(text).logits
    assert torch.equal(before, model(text).logits)
    assert model(text, labels=text).loss > 0
    assert model.generate(text, max_new_tokens=3, do_sample=False).shape == (1, 11)


def test_a_model_of_another_kind_is_refused():
    from transformers import AutoModelForCausalLM, GPT2Config

    model = AutoModelForCausalLM.from_config(GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=2))
    with pytest.raises(ConfigError, match="GPT2LMHeadModel is no decoder like Llama or Qwen"):
        policy.adapt(model)


def test_a_model_whose_results_differ_is_refused():
    """Here one whose attention scores are bent in its own code, which the check has to notice."""
    model = model_of(dtype=torch.float32)
    policy.check(model)
    inner = model.model.layers[1].self_attn
    own = inner.forward
    inner.forward = lambda *args, **given: (lambda out: (out[0] * (1.1 if "attend" in given else 1.0), out[1]))(
        own(*args, **given)
    )
    with pytest.raises(ConfigError, match="gives other log-probs here"):
        policy.check(model)


def test_softcapped_attention_is_refused():
    from transformers import AutoModelForCausalLM, Gemma2Config

    shape: dict[str, Any] = {"vocab_size": 9, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2}
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4}
    model = AutoModelForCausalLM.from_config(Gemma2Config(**shape, **heads))
    policy.adapt(model)
    with pytest.raises(ConfigError, match="computes its attention in a way"):
        policy.check(model)
