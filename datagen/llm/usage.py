"""What a run paid for: where its journals are, what their replies took and cost, and what may still be spent."""

from __future__ import annotations

from typing import Any

from datagen.config.llm import PriceConfig
from datagen.config.model import Config, engine_of
from datagen.llm import cost, journal
from datagen.llm.cost import Budget
from datagen.run.paths import RunPaths

STAGES = ("generate", "judge")  # those with an engine of their own in the configuration


def usage(run: RunPaths, stage: str, config: Config) -> dict[str, Any]:
    """Requests, attempts, tokens, mean seconds, requests by endpoint, and US dollars (None without prices); by check,
    too, where a stage has several.
    """
    found = journal.usage(sorted(run.journals(stage).glob(f"*{journal.SUFFIX}")))
    price, others = prices(config, stage)
    for check, part in found.get("checks", {}).items():
        part["dollars"] = _dollars(others.get(check, price), part)
    parts = [part["dollars"] for part in found.get("checks", {}).values()] or [_dollars(price, found)]
    priced = [dollars for dollars in parts if dollars is not None]
    return found | {"dollars": round(sum(priced), 6) if priced else None}


def prices(config: Config, stage: str) -> tuple[PriceConfig, dict[str, PriceConfig]]:
    """What a stage's requests cost, and those for certain checks."""
    policy = config.judge.policy_engine
    return engine_of(config, stage).price, {"policy": policy.price} if stage == "judge" and policy else {}


def budget(run: RunPaths, config: Config, stage: str) -> Budget:
    """What a stage may still spend, after what this run's journals hold."""
    price, others = prices(config, stage)
    if config.max_cost is None:
        return Budget(price, other_prices=others)
    spent = sum(usage(run, name, config)["dollars"] or 0.0 for name in STAGES)
    return Budget(price, config.max_cost, spent, other_prices=others)


def sentences(name: str, usage: dict[str, Any]) -> list[str]:
    """What a stage took, and each of its checks."""
    checks = usage.get("checks", {}).items()
    return [f"{name:10}{sentence(usage)}", *(f"{'':10}{check}: {sentence(part)}" for check, part in checks)]


def _dollars(price: PriceConfig, usage: dict[str, Any]) -> float | None:
    return round(cost.of(price, usage), 6) if price.prompt + price.completion else None


def sentence(usage: dict[str, Any]) -> str:
    """What `usage` returns, or a check in it, as a person reads it."""
    words = [f"{usage['requests']:,} replies", f"{usage['prompt_tokens']:,} prompt tokens"]
    if usage["cached_tokens"]:
        words[-1] += f" ({usage['cached_tokens'] / usage['prompt_tokens']:.0%} cached)"
    words += [f"{usage['completion_tokens']:,} completion tokens", f"{usage['mean_seconds']:.1f} s each"]
    if usage["estimated"]:
        words.append(f"{usage['estimated']:,} of them at the most they can have had (the server did not say)")
    if lost := usage["lost_prompt_tokens"] + usage["lost_completion_tokens"]:
        words.append(f"at most {lost:,} tokens of attempts without a reply")
    if usage["dollars"] is not None:
        words.append(f"${usage['dollars']:,.2f}")
    return ", ".join(words)
