"""The folder of an export, written beside its place and renamed into it when whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen import __version__, shards
from datagen.dataset import read
from datagen.dataset.schema import SPLITS
from datagen.errors import ConfigError, InputError, UserError
from datagen.export import reward_file, rows, targets
from datagen.export.rows import Count

RECORD = "export.json"  # what the folder was made of; and by it an export is known from any other folder


@dataclass(frozen=True)
class Options:
    """What is exported to whom, for which model."""

    dataset: str
    to: str
    output_dir: str
    model: str
    verifier: str
    max_prompt_tokens: int
    max_response_tokens: int


def export(options: Options) -> tuple[dict[str, Count], int]:
    """Write an export; returns what became of the rows of each split, and the most tokens that a prompt may have.

    Raises InputError where no dataset is there or no row fits, ConfigError where the model's tokenizer can't be had or
    has no room, UserError where the folder is not an export's.
    """
    target = Path(options.output_dir)
    if target.exists() and not (target / RECORD).exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} is there already, and is no export: give another folder with -o")
    files = read.find(options.dataset)
    if any(file.resolve().is_relative_to(target.resolve()) for split in files.values() for file in split):
        raise UserError(f"{target} holds the dataset itself: give another folder with -o")
    limit, tokenizer = room(options), tokenizer_of(options.model)
    building = target.parent / f".{target.name}.unfinished"
    shards.remove(str(building))
    try:
        counts = _rows(options, building, files, tokenizer, limit)
        _others(options, building, counts, limit)
        shards.replace_folder(str(building), str(target))
    finally:
        shards.remove(str(building))
    return counts, limit


def room(options: Options) -> int:
    """The most tokens of a prompt, so that a response has its place too. Raises ConfigError where there is none."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(options.model, trust_remote_code=False)
    except Exception as e:  # of many kinds: no such folder, no network, a damaged file
        raise ConfigError(_unknown(options.model, e)) from e
    positions = getattr(config, "max_position_embeddings", None)
    if not positions:
        return options.max_prompt_tokens
    limit = min(options.max_prompt_tokens, positions - options.max_response_tokens)
    if limit < 1:
        raise ConfigError(
            f"{options.model} has {positions:,} positions: a response of {options.max_response_tokens:,} tokens leaves "
            "no room for a prompt",
            ("--max-response-tokens", str(positions // 4)),
        )
    return limit


def tokenizer_of(model: str) -> Any:
    """The model's tokenizer. Raises ConfigError where it can't be had, or has no chat template."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    except Exception as e:
        raise ConfigError(_unknown(model, e)) from e
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError(f"--model: {model} has no chat template: give its instruction-tuned version")
    return tokenizer


def _unknown(model: str, e: Exception) -> str:
    why = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
    return f"--model: {model!r} cannot be loaded: {why}. Give a folder that holds the model, or its name on the hub"


def _rows(options: Options, folder: Path, files: dict[str, list[Path]], tokenizer: Any, limit: int) -> dict[str, Count]:
    """Write the rows of each split that has any."""
    counts = {split: Count() for split in SPLITS}
    for split, count in counts.items():
        if not files[split]:
            continue
        kept = rows.fitting(files[split], split, tokenizer, limit, count)
        path = folder / targets.TARGETS[options.to].package / f"{split}.parquet"
        if options.to == "jsonl":
            _write_lines(folder / f"{split}.jsonl", kept)
        else:
            rows.write_parquet(str(path), kept)
            if not count.written:
                path.unlink()
    if not counts["train"].written:
        raise InputError(
            f"{options.dataset}: no row is left for {options.to}: {told(counts['train'], limit)}. Allow more with "
            "--max-prompt-tokens, or choose a model with more positions"
        )
    return counts


def _write_lines(path: Path, kept: Iterator[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        f.flush()
        os.fsync(f.fileno())


def _others(options: Options, folder: Path, counts: dict[str, Count], limit: int) -> None:
    """Write the reward, the launch, and what all of it was made of."""
    target = targets.TARGETS[options.to]
    is_folder = Path(options.model).is_dir()
    values: dict[str, str | int] = {
        "model": str(Path(options.model).resolve()) if is_folder else options.model,
        "prompt_tokens": limit,
        "response_tokens": options.max_response_tokens,
        "total_tokens": limit + options.max_response_tokens,
        "quarter_tokens": (limit + options.max_response_tokens) // 4 + 5120,  # as published: 22,528 of 69,632
        "verifier": options.verifier,
        "version": target.version,
        "validation": "validation" if counts["validation"].written else "",
        "rows": "\n".join(f"- {split}: {told(count, limit)}" for split, count in counts.items()),
        "rows_train": counts["train"].written,
    }
    reward = os.path.join(target.package, reward_file.NAME)
    made = {reward: reward_file.source(options.verifier)} | targets.files(options.to, values)
    made[RECORD] = json.dumps(record(options, counts, limit), indent=1, ensure_ascii=False) + "\n"
    for name, text in made.items():
        shards.write_bytes(str(folder / name), text.encode())


def told(count: Count, limit: int) -> str:
    """What became of a split's rows, in words."""
    n = count.written
    said = f"{n:,} {'row' if n == 1 else 'rows'}" + (f", the longest prompt of {count.longest:,} tokens" if n else "")
    for reason, left_out in sorted(count.left_out.items()):
        why = f"longer than {limit:,} tokens" if reason == rows.TOO_LONG else reason
        said += f"; {left_out:,} left out: {why}"
    return said


def record(options: Options, counts: dict[str, Count], limit: int) -> dict[str, Any]:
    """What `export.json` holds, and `--json` prints."""
    return {
        "longrlvr_data": __version__,
        "to": options.to,
        "tried_with": targets.TARGETS[options.to].version,
        "model": options.model,
        "verifier": options.verifier,
        "max_prompt_tokens": limit,
        "max_response_tokens": options.max_response_tokens,
        "splits": {
            split: {"rows": c.written, "longest": c.longest, "left_out": dict(c.left_out), "left_out_ids": c.ids}
            for split, c in counts.items()
        },
    }
