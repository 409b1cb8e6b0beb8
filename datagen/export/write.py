"""What goes into the folder of an export: the rows, the reward, a launch, and a record of what it was made of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datagen import __version__, shards
from datagen.dataset import read
from datagen.dataset.schema import SPLITS
from datagen.errors import InputError
from datagen.export import folder, model, reward_file, rows, targets
from datagen.export.folder import Options
from datagen.export.rows import Count

EPOCHS, PROMPTS = 5, 32  # as published: how often each row is seen, and how many of them make a batch


def export(options: Options) -> tuple[dict[str, Count], int]:
    """Write an export; returns what became of the rows of each split, and the most tokens that a prompt may have.

    Nothing that is there is touched. Raises InputError where no dataset is there or no row fits, ConfigError where the
    model's tokenizer can't be had or has no room, and where the folder is there already.
    """
    name, target = model.named(options), folder.new(options.output_dir)
    files = read.find(options.dataset)
    limit, tokenizer = model.room(name, options), model.tokenizer_of(name)
    with folder.building(target) as unfinished:
        counts = _rows(options, unfinished, files, tokenizer, limit)
        _others(options, name, unfinished, counts, limit)
    return counts, limit


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
        raise InputError(f"{options.dataset}: no row is left for {options.to}. {rows.why_none(counts['train'], limit)}")
    return counts


def _write_lines(path: Path, kept: Iterator[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with shards.writing(str(path)), open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        f.flush()
        os.fsync(f.fileno())


def _others(options: Options, name: str, place: Path, counts: dict[str, Count], limit: int) -> None:
    """Write the reward, the launch, and what all of it was made of."""
    target, n = targets.TARGETS[options.to], counts["train"].written
    is_folder = Path(name).is_dir()
    total = limit + options.max_response_tokens
    values: dict[str, str | int] = {
        "model": str(Path(name).resolve()) if is_folder else name,
        "prompt_tokens": limit,
        "response_tokens": options.max_response_tokens,
        "total_tokens": total,
        "quarter_tokens": total // 4 + 5120,  # as published: 22,528 of 69,632
        "verifier": options.verifier,
        "version": target.version,
        "rows": "\n".join(f"- {split}: {rows.told(count, limit)}" for split, count in counts.items()),
        "n_rows": n,
        "batch": min(PROMPTS, n),
        "mini_batch": min(PROMPTS // 4, n),
        "steps": -(-n * EPOCHS // PROMPTS),
        "warmup_ratio": f"{min(1.0, 20 / max(1, n * 8 // 64 * EPOCHS)):.4g}",  # OpenRLHF's: 20 optimizer steps
    }
    reward = os.path.join(target.package, reward_file.NAME)
    made = {reward: reward_file.source(options.verifier)} | targets.files(options.to, values)
    made[folder.RECORD] = json.dumps(record(options, counts, limit), indent=1, ensure_ascii=False) + "\n"
    for file, text in made.items():
        shards.write_bytes(str(place / file), text.encode())


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
