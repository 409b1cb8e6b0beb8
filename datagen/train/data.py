"""The rows of a dataset as prompts in tokens, with what a response is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import TemplateError

from datagen.dataset import read
from datagen.dataset.encode import encode
from datagen.errors import ConfigError, InputError
from datagen.grounding import tags
from datagen.train.types import Example, Split


def load(
    files: list[Path],
    tokenizer: Any,
    limit: int,
    most: int | None = None,
    vocabulary: int | None = None,
    evidence: bool = False,
) -> Split:
    """The rows of some files, the first `most` of them. A row that the chat template refuses, or whose prompt or gold
    output has a token that the model has no embedding of, is set aside. `evidence`: keep the text of the labelled
    chunks, too.

    Raises InputError as `dataset.read.rows` does, where a prompt is longer than `limit` tokens, since cutting it would
    cut away evidence, and where the text of the evidence is wanted and not there.
    """
    examples: list[Example] = []
    parts: list[np.ndarray] = []
    set_aside: list[str] = []
    at = 0
    for row in read.rows(files):
        if most is not None and len(examples) == most:
            break
        try:
            ids = np.asarray(encode(tokenizer, row.messages), np.int32)
        except TemplateError as e:
            set_aside.append(f"{row.where}: the chat template of the model refuses the prompt ({e})")
            continue
        gold = tokenizer(tags.render_response(row.ref_chunks, row.answer), add_special_tokens=False)["input_ids"]
        if vocabulary and (largest := max(*ids, *gold, 0)) >= vocabulary:
            set_aside.append(f"{row.where}: token {largest:,} of the tokenizer is beyond the model's {vocabulary:,}")
            continue
        if len(ids) > limit:
            raise InputError(
                f"{row.where}: the prompt has {len(ids):,} tokens, and {limit:,} is the most that leaves room for a "
                "response (train.max_prompt_tokens, and the model's positions less train.rollout.max_tokens). Nothing "
                "is cut, since that would cut away evidence: select with a lower select.max_prompt_tokens, or choose a "
                "model with more positions"
            )
        parts.append(ids)
        shown = _evidence(row) if evidence else ""
        examples.append(Example(row.qa_id, row.question, row.answer, row.ref_chunks, at, at + len(ids), shown))
        at += len(ids)
    return Split(examples, np.concatenate(parts) if parts else np.zeros(0, np.int32), set_aside)


def _evidence(row: read.Row) -> str:
    if not any(text.strip() for text in row.evidence):
        raise InputError(
            f"{row.where}: extra_info.ref_chunks_text, the text of the labelled chunks, is not there, and the verifier "
            "is to be shown it: let it judge without, --set train.reward.verifier=llm"
        )
    return "\n\n".join(row.evidence)


def check_tokenizer(tokenizer: Any, name: str, vocabulary: int) -> None:
    """Raise ConfigError unless prompts can be written for the model, of tokens that it has embeddings of."""
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError(
            f"{name} has no chat template, so there is no way to tell where its response begins: use its "
            "instruction-tuned version, or add a chat_template to its tokenizer"
        )
    frame = _frame(tokenizer)
    beyond = {i: token.content for i, token in tokenizer.added_tokens_decoder.items() if i in frame and i >= vocabulary}
    if beyond:
        raise ConfigError(
            f"train.model: {name} has {vocabulary:,} embeddings, and its tokenizer writes every prompt with "
            f"{', '.join(f'{content} (token {i:,})' for i, content in sorted(beyond.items()))}: the two do not belong "
            "together. Get the model's own tokenizer, or resize its embeddings to the tokenizer's length"
        )


def _frame(tokenizer: Any) -> set[int]:
    """The tokens of the shortest prompt, and of the end of a turn."""
    try:
        ids = encode(tokenizer, [{"role": "user", "content": "?"}])
    except TemplateError:  # of a conversation like this; the rows may have others
        ids = []
    return {*ids, *([tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else [])}
