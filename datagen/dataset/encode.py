"""A prompt in a model's tokens, and as it may be shown to that model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen.grounding import fences


def special_tokens(tokenizer: Any) -> set[str]:
    """The tokens that a text must not hold, since they end a turn or begin another: the tokenizer's special ones."""
    return {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}


def neutralised(messages: Iterable[dict[str, str]], tokens: Iterable[str]) -> list[dict[str, str]]:
    """The messages with a backslash in whatever they say that is one of the tokens."""
    tokens = list(tokens)
    return [message | {"content": fences.escape_tokens(message["content"], tokens)} for message in messages]


def encode(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """A prompt in tokens, up to where the response begins. What it says holds none of the tokenizer's special ones.

    Raises jinja2.TemplateError where the chat template refuses the messages, or fails.
    """
    from jinja2 import TemplateError

    said = neutralised(messages, special_tokens(tokenizer))
    try:
        text = tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    except TemplateError:
        raise
    except Exception as e:  # whatever a template's own code does wrong
        raise TemplateError(f"{type(e).__name__}: {e}") from e
    return tokenizer(text, add_special_tokens=False)["input_ids"]
