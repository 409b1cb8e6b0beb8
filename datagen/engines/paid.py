"""What a run paid for: where its journals are, what their replies took and cost, and what may still be spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datagen import shards
from datagen.config import Config, Engine, engine_of
from datagen.engines import cost, journal
from datagen.engines.cost import Budget
from datagen.errors import ConfigError

STAGES = ("generate", "judge")  # those with an engine of their own in the configuration


def folder(run: str, stage: str) -> Path:
    """Where a stage's journals are. They stay when its shards are made anew. Raises ConfigError for a remote run."""
    if not shards.is_local(run):
        raise ConfigError(
            f"{run}: a stage that asks a language model keeps a journal, which needs a local run directory"
        )
    return Path(run.removeprefix("file://")) / "journal" / stage


def usage(run: str, stage: str, config: Config) -> dict[str, Any]:
    """Requests, attempts, tokens, mean seconds, requests by endpoint, and US dollars (None without prices)."""
    found = journal.usage(sorted(folder(run, stage).glob(f"*{journal.SUFFIX}")))
    price = engine_of(config, stage).price
    return found | {"dollars": round(cost.of(price, found), 6) if price.prompt + price.completion else None}


def budget(run: str, config: Config, settings: Engine) -> Budget:
    """What is left to spend, after what this run's journals hold."""
    if config.max_cost is None:
        return Budget(settings.price)
    spent = sum(usage(run, stage, config)["dollars"] or 0.0 for stage in STAGES)
    return Budget(settings.price, config.max_cost, spent)


def sentence(usage: dict[str, Any]) -> str:
    words = [f"{usage['requests']:,} replies", f"{usage['prompt_tokens']:,} prompt tokens"]
    if usage["cached_tokens"]:
        words[-1] += f" ({usage['cached_tokens'] / usage['prompt_tokens']:.0%} cached)"
    words += [f"{usage['completion_tokens']:,} completion tokens", f"{usage['mean_seconds']:.1f} s each"]
    if usage["dollars"] is not None:
        words.append(f"${usage['dollars']:,.2f}")
    return ", ".join(words)
