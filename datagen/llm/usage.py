"""What a run paid for: where its journals are, what their replies took and cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datagen import figures
from datagen.config.llm import EngineConfig, PriceConfig
from datagen.llm import cost, journal
from datagen.run.paths import RunPaths
from datagen.run.share import WHOLE, Share


def usage(run: RunPaths, stage: str, engines: Mapping[str, EngineConfig], share: Share = WHOLE) -> dict[str, Any]:
    """Requests, attempts, tokens, mean seconds, requests by endpoint, and US dollars (None without prices); by check,
    too, where a stage has several. `engines` by the check that asks them, the main one under "".
    """
    found = journal.usage(run.journal_files(stage, share))
    for check, part in found.get("checks", {}).items():
        part["dollars"] = _dollars(engines.get(check, engines[""]).price, part)
    parts = [part["dollars"] for part in found.get("checks", {}).values()] or [_dollars(engines[""].price, found)]
    priced = [dollars for dollars in parts if dollars is not None]
    return found | {"dollars": _exact(sum(priced)) if priced else None}


def sentences(name: str, usage: dict[str, Any]) -> list[str]:
    """What a stage took, and each of its checks."""
    checks = usage.get("checks", {}).items()
    return [f"{name:10}{sentence(usage)}", *(f"{'':10}{check}: {sentence(part)}" for check, part in checks)]


def _dollars(price: PriceConfig, usage: dict[str, Any]) -> float | None:
    return _exact(cost.of(price, usage)) if price.prompt + price.completion else None


def _exact(dollars: float) -> float:
    """Without what rounding in binary adds. However little it is, it is not nothing."""
    return float(f"{dollars:.10g}")


def sentence(usage: dict[str, Any]) -> str:
    """What `usage` returns, or a check in it, as a person reads it."""
    words = [figures.replies(usage["requests"]), f"{usage['prompt_tokens']:,} prompt tokens"]
    if usage["cached_tokens"]:
        words[-1] += f" ({usage['cached_tokens'] / usage['prompt_tokens']:.0%} cached)"
    words += [f"{usage['completion_tokens']:,} completion tokens", f"{figures.seconds(usage['mean_seconds'])} each"]
    if usage["estimated"]:
        words.append(f"{usage['estimated']:,} of them at the most they can have had (the server did not say)")
    if lost := usage["lost_prompt_tokens"] + usage["lost_completion_tokens"]:
        words.append(f"at most {lost:,} tokens of attempts without a reply")
    if usage["dollars"] is not None:
        words.append(figures.dollars(usage["dollars"]))
    return ", ".join(words)
