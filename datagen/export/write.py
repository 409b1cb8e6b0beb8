"""What goes into the folder of an export: the rows, the reward, a launch, and a record of what it was made of."""

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
from datagen.errors import ConfigError, InputError
from datagen.export import folder, reward_file, rows, targets
from datagen.export.rows import Count

RECORD = "export.json"  # what the folder was made of
EPOCHS, PROMPTS = 5, 32  # as published: how often each row is seen, and how many of them make a batch


@dataclass(frozen=True)
class Options:
    """What is exported to whom, for which model; the Hub needs none."""

    dataset: str
    to: str
    output_dir: str
    model: str
    verifier: str
    max_prompt_tokens: int
    max_response_tokens: int


def export(options: Options) -> tuple[dict[str, Count], int]:
    """Write an export; returns what became of the rows of each split, and the most tokens that a prompt may have.

    Nothing that is there is touched. Raises InputError where no dataset is there or no row fits, ConfigError where the
    model's tokenizer can't be had or has no room, and where the folder is there already.
    """
    target = folder.new(options.output_dir)
    files = read.find(options.dataset)
    limit, tokenizer = room(options), tokenizer_of(options.model)
    with folder.building(target) as unfinished:
        counts = _rows(options, unfinished, files, tokenizer, limit)
        _others(options, unfinished, counts, limit)
    return counts, limit


def room(options: Options) -> int:
    """The most tokens of a prompt, so that a response has its place too. Raises ConfigError where there is none."""
    from transformers import AutoConfig

    if not Path(options.model).exists() and options.model.startswith((".", "/", "~")):
        raise ConfigError(f"--model {options.model}: there is no such folder")
    try:
        config: Any = AutoConfig.from_pretrained(options.model, trust_remote_code=False).get_text_config()
    except Exception as e:  # of many kinds: no such name, no network, a damaged file
        raise ConfigError(_unknown(options.model, e)) from e
    positions = _positions(config)
    if not positions:
        return options.max_prompt_tokens
    limit = min(options.max_prompt_tokens, positions - options.max_response_tokens)
    if limit < 1:
        raise ConfigError(
            f"--max-response-tokens: {options.model} has {positions:,} positions, and a response of "
            f"{options.max_response_tokens:,} tokens leaves no room for a prompt"
        )
    return limit


def _positions(config: Any) -> int:
    """The positions of a model, as far as its rotary angles are stretched; 0 if it has no number of them."""
    own = getattr(config, "max_position_embeddings", None) or 0
    stretched = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if stretched.get("rope_type") not in ("yarn", "linear"):
        return own
    before = stretched.get("original_max_position_embeddings") or own
    return max(own, int(before * float(stretched.get("factor") or 1)))


def tokenizer_of(model: str) -> Any:
    """The model's tokenizer. Raises ConfigError where it can't be had, has no chat template, or counts nothing."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    except Exception as e:
        raise ConfigError(_unknown(model, e)) from e
    if not getattr(tokenizer, "chat_template", None):
        raise ConfigError(f"--model {model}: it has no chat template: give its instruction-tuned version")
    if not tokenizer("some words", add_special_tokens=False)["input_ids"]:
        raise ConfigError(f"--model {model}: its tokenizer makes no token of words: is tokenizer.json there?")
    return tokenizer


def _unknown(model: str, e: Exception) -> str:
    why = str(e).strip().splitlines()[0].rstrip(".") if str(e).strip() else type(e).__name__
    return f"--model {model}: it cannot be loaded: {why}. Give a folder that holds the model, or its name on the hub"


def _rows(options: Options, place: Path, files: dict[str, list[Path]], tokenizer: Any, limit: int) -> dict[str, Count]:
    """Write the rows of each split that has any."""
    counts = {split: Count() for split in SPLITS}
    for split, count in counts.items():
        if not files[split]:
            continue
        kept = rows.fitting(files[split], split, tokenizer, (limit, options.max_response_tokens), count)
        suffix = ".jsonl" if options.to == "jsonl" else ".parquet"
        path = place / targets.TARGETS[options.to].package / f"{split}{suffix}"
        if options.to == "jsonl":
            _write_lines(path, kept)
        else:
            rows.write_parquet(str(path), kept)
        if not count.written:
            path.unlink()
    if not counts["train"].written:
        raise InputError(f"{options.dataset}: no row is left for {options.to}. {why_none(counts['train'], limit)}")
    return counts


def why_none(count: Count, limit: int) -> str:
    """Why no row is left, and what to do."""
    if not count.left_out:
        return "It has none"
    said = f"{told(count, limit)}. "
    if rows.REFUSED in count.left_out:
        return f"{said}The template says: {count.refusal}"
    return f"{said}Allow more with --max-prompt-tokens, or choose a model with more positions"


def _write_lines(path: Path, kept: Iterator[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with shards.writing(str(path)), open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        f.flush()
        os.fsync(f.fileno())


def _others(options: Options, place: Path, counts: dict[str, Count], limit: int) -> None:
    """Write the reward, the launch, and what all of it was made of."""
    target, n = targets.TARGETS[options.to], counts["train"].written
    is_folder = Path(options.model).is_dir()
    total = limit + options.max_response_tokens
    values: dict[str, str | int] = {
        "model": str(Path(options.model).resolve()) if is_folder else options.model,
        "prompt_tokens": limit,
        "response_tokens": options.max_response_tokens,
        "total_tokens": total,
        "quarter_tokens": total // 4 + 5120,  # as published: 22,528 of 69,632
        "verifier": options.verifier,
        "version": target.version,
        "rows": "\n".join(f"- {split}: {told(count, limit)}" for split, count in counts.items()),
        "n_rows": n,
        "batch": min(PROMPTS, n),
        "mini_batch": min(PROMPTS // 4, n),
        "steps": -(-n * EPOCHS // PROMPTS),
        "warmup_ratio": f"{min(1.0, 20 / max(1, n * 8 // 64 * EPOCHS)):.4g}",  # OpenRLHF's: 20 optimizer steps
    }
    reward = os.path.join(target.package, reward_file.NAME)
    made = {reward: reward_file.source(options.verifier)} | targets.files(options.to, values)
    made[RECORD] = json.dumps(record(options, counts, limit), indent=1, ensure_ascii=False) + "\n"
    for name, text in made.items():
        shards.write_bytes(str(place / name), text.encode())


def told(count: Count, limit: int) -> str:
    """What became of a split's rows, in words."""
    n = count.written
    longest = f", the longest prompt of {count.longest:,} tokens" if count.longest else ""
    said = f"{n:,} {'row' if n == 1 else 'rows'}{longest}"
    for reason, left_out in sorted(count.left_out.items()):
        why = f"{reason}, {limit:,} tokens at most" if reason == rows.TOO_LONG else reason
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
