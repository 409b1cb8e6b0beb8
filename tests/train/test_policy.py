"""Which models are taken, and that they keep their own ways."""

from typing import Any

import pytest
import torch

from datagen.config.train import TrainConfig
from datagen.errors import ConfigError
from datagen.train import models, policy, tiny
from datagen.train.parallel import World
from tests.train.train_worlds import SHAPE, ids, model_of

LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 64, "factor": 4.0}
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64}


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


@pytest.mark.parametrize(
    ("name", "more", "what"),
    [
        ("MistralConfig", {"sliding_window": 32}, "sliding_window: 32"),
        ("Phi3Config", {"sliding_window": 32, "pad_token_id": 0}, "sliding_window: 32"),
        ("Starcoder2Config", {"sliding_window": 32}, "sliding_window: 32"),
        (
            "Qwen2Config",
            {"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 1},
            "sliding_attention",
        ),
        (
            "LlamaConfig",
            {"layer_types": ["full_attention", "chunked_attention", "full_attention"]},
            "chunked_attention",
        ),
        ("LlamaConfig", {"rope_parameters": DYNAMIC}, "dynamic"),
        (
            "Qwen2Config",
            {"rope_parameters": LONGROPE | {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}},
            "longrope",
        ),
        ("LlamaConfig", {"rope_parameters": {"rope_type": "of tomorrow", "rope_theta": 1e4}}, "of tomorrow"),
    ],
)
def test_what_depends_on_the_length_of_a_text_is_refused_by_configuration(name, more, what):
    import transformers

    config = getattr(transformers, name)(**SHAPE | more)
    with pytest.raises(ConfigError, match=f"mine .*{what}"):
        models.check_lengths(config, "mine")


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("MistralConfig", {"sliding_window": None}),
        ("Qwen2Config", {"use_sliding_window": False, "sliding_window": 32}),
        ("Qwen2Config", {"use_sliding_window": True, "sliding_window": 32, "max_window_layers": 3}),
        ("LlamaConfig", {"rope_parameters": YARN}),
        ("LlamaConfig", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}}),
    ],
)
def test_what_does_not_is_computed_right(name, more):
    import transformers

    config = getattr(transformers, name)(**SHAPE | more)
    models.check_lengths(config, "mine")
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    policy.adapt(model)
    policy.check(model)


@pytest.mark.parametrize("rope", [DYNAMIC, LONGROPE | {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4}])
def test_angles_that_change_with_the_length_are_noticed_on_the_model_itself(rope):
    with pytest.raises(ConfigError, match="angles of its positions depend on how long a text is"):
        policy.check(model_of("qwen2", torch.float32, rope_parameters=rope))


def test_a_window_that_only_the_attention_is_told_of_is_noticed():
    """Its configuration says `full_attention` of every layer, which its code does not read."""
    more = {"sliding_window": 32, "layer_types": ["full_attention"] * 3}
    with pytest.raises(ConfigError, match="sliding_window"):
        policy.check(model_of("mistral", torch.float32, **more))


def test_a_window_that_nobody_is_told_of_is_noticed():
    model = model_of(dtype=torch.float32, window_of_old=40)
    own = policy.sdpa_mask

    def windowed(*args: Any, **given: Any) -> torch.Tensor:
        mask = own(*args, **given | {"allow_is_causal_skip": False})
        assert mask is not None
        return mask & ~torch.ones_like(mask).tril(-40)

    policy.AttentionMaskInterface.register(policy.NAME, windowed)
    try:
        with pytest.raises(ConfigError, match="gives other log-probs here"):
            policy.check(model)
    finally:
        policy.AttentionMaskInterface.register(policy.NAME, own)


def test_dropout_is_off_in_all_that_is_trained(tmp_path):
    """Hidden dropout, in a model that has it; the same text twice has the same log-probs."""
    from transformers import Starcoder2Config, Starcoder2ForCausalLM

    tiny.build(tmp_path, ["ash birch"], 300)
    noisy: dict[str, Any] = {"residual_dropout": 0.5, "embedding_dropout": 0.5, "sliding_window": None}
    torch.manual_seed(0)
    Starcoder2ForCausalLM(Starcoder2Config(**SHAPE | noisy)).save_pretrained(tmp_path)
    model = models.load(str(tmp_path), TrainConfig(), World(0, 1, torch.device("cpu")))
    text = ids(24)
    first, second = (
        policy.responses(model, text[11:-1], text[12:], [12], policy.prefix(model, text[:11])) for _ in "12"
    )
    assert torch.equal(first[0], second[0])
    with pytest.raises(ConfigError, match="gives other log-probs"):
        policy.check(model.train())
