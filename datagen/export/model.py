"""What a model has room for, and how its tokens are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datagen.errors import ConfigError, reason
from datagen.export.folder import Options


def named(options: Options) -> str:
    """The name of the model. Raises ConfigError where none was given: only the Hub does without."""
    if options.model is None:
        raise ConfigError(f"--to {options.to} needs the model that is to be trained, to count by: add --model NAME")
    return options.model


def room(name: str, options: Options) -> int:
    """The most tokens of a prompt, so that a response has its place too. Raises ConfigError where there is none."""
    there = positions(config_of(name))
    if not there:
        return options.max_prompt_tokens
    limit = min(options.max_prompt_tokens, there - options.max_response_tokens)
    if limit < 1:
        raise ConfigError(
            f"--max-response-tokens: {name} has {there:,} positions, and a response of "
            f"{options.max_response_tokens:,} tokens leaves no room for a prompt"
        )
    return limit


def config_of(name: str) -> Any:
    """The configuration of the model, or of its text part. Raises ConfigError where it can't be had."""
    from transformers import AutoConfig

    if not Path(name).exists() and name.startswith((".", "/", "~")):
        raise ConfigError(f"--model {name}: there is no such folder")
    try:
        return AutoConfig.from_pretrained(name, trust_remote_code=False).get_text_config()
    except Exception as e:  # of many kinds: no such name, no network, a damaged file
        raise ConfigError(_unknown(name, e)) from e


def positions(config: Any) -> int:
    """The positions of a model, as far as its rotary angles are stretched; 0 if it has no number of them."""
    own = getattr(config, "max_position_embeddings", None) or 0
    stretched = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if stretched.get("rope_type") not in ("yarn", "linear"):
        return own
    before = stretched.get("original_max_position_embeddings") or own
    return max(own, int(before * float(stretched.get("factor") or 1)))


def tokenizer_of(name: str) -> Any:
    """The model's tokenizer. Raises ConfigError where it can't be had, has no chat template, or counts nothing."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except Exception as e:
        raise ConfigError(_unknown(name, e)) from e
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError(f"--model {name}: it has no chat template: give its instruction-tuned version")
    if not tokenizer("some words", add_special_tokens=False)["input_ids"]:
        raise ConfigError(f"--model {name}: its tokenizer makes no token of words: is tokenizer.json there?")
    return tokenizer


def _unknown(name: str, e: Exception) -> str:
    why = f"it cannot be loaded: {reason(e)}"
    return f"--model {name}: {why}. Give a folder that holds the model, or its name on the hub"
