"""The rows of a dataset as prompts in tokens, with what a response is held against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from datagen.errors import ConfigError, InputError
from datagen.train.types import Example, Split

SPLITS = ("train", "validation")
WANTED = ("prompt", "extra_info.qa_id", "extra_info.question", "extra_info.answer", "extra_info.ref_chunks")
FORMAT = "docs/dataset.md has the columns"


def find(path: str) -> dict[str, list[Path]]:
    """The files of each split, in a run directory, a dataset's folder or one file. Raises InputError without any."""
    root = Path(path)
    if root.is_file():
        return {"train": [root], "validation": []}
    for folder in (root / "dataset" / "data", root / "data", root):
        files = {split: sorted(folder.glob(f"{split}-*.parquet")) for split in SPLITS}
        if files["train"]:
            return files
    raise InputError(f"{path}: no dataset is there: give a finished run, or a folder with data/train-*.parquet")


def load(files: list[Path], tokenizer: Any, limit: int, most: int | None = None) -> Split:
    """The rows of some files, the first `most` of them. Raises InputError naming file and row where a column is
    missing, or where a prompt is longer than `limit` tokens: cutting it would cut away evidence.
    """
    examples: list[Example] = []
    parts: list[np.ndarray] = []
    at = 0
    for where, row in rows(files):
        if most is not None and len(examples) == most:
            break
        info, messages = row["extra_info"], row["prompt"]
        if not info["ref_chunks"]:
            raise InputError(f"{where}: ref_chunks is empty: there is no evidence to reward")
        ids = np.asarray(encode(tokenizer, messages), np.int32)
        if len(ids) > limit:
            raise InputError(
                f"{where}: the prompt has {len(ids):,} tokens, and {limit:,} is the most that leaves room for a "
                "response (train.max_prompt_tokens, and the model's positions less train.rollout.max_tokens). Nothing "
                "is cut, since that would cut away evidence: select with a lower select.max_prompt_tokens, or choose a "
                "model with more positions"
            )
        parts.append(ids)
        refs = tuple(info["ref_chunks"])
        examples.append(Example(info["qa_id"], info["question"], info["answer"], refs, at, at + len(ids)))
        at += len(ids)
    return Split(examples, np.concatenate(parts) if parts else np.zeros(0, np.int32))


def encode(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """A prompt in tokens, up to where the response begins."""
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def check_tokenizer(tokenizer: Any, name: str) -> None:
    """Raise ConfigError unless prompts can be written for the model, and read back."""
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError(
            f"{name} has no chat template, so there is no way to tell where its response begins: use its "
            "instruction-tuned version, or add a chat_template to its tokenizer"
        )


def rows(files: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where each row stands, and the row. Raises InputError for a file that is damaged or lacks a column."""
    for file in files:
        try:
            parquet = pq.ParquetFile(file)
            _check_columns(file, parquet)
            number = 0
            for group in range(parquet.num_row_groups):
                for row in parquet.read_row_group(group, ["prompt", "extra_info"]).to_pylist():
                    number += 1
                    yield f"{file}, row {number}", row
        except (OSError, ValueError) as e:
            raise InputError(f"{file} cannot be read as parquet: {str(e).splitlines()[0]}") from e


def _check_columns(file: Path, parquet: pq.ParquetFile) -> None:
    schema = parquet.schema_arrow
    there = set(schema.names)
    if "extra_info" in there:
        kind = schema.field("extra_info").type
        there |= {f"extra_info.{kind.field(i).name}" for i in range(kind.num_fields)} if kind.num_fields else set()
    if missing := [name for name in WANTED if name not in there]:
        raise InputError(f"{file} has no {', '.join(missing)}: it can't be trained on. {FORMAT}")
