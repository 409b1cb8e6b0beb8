"""What a run has spent on language models, and what it may still spend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datagen.config.llm import EngineConfig
from datagen.config.model import Config, engine_of
from datagen.errors import ConfigError
from datagen.llm import usage as usages
from datagen.llm.cost import Budget
from datagen.run.run import Run
from datagen.run.share import WHOLE, Share
from datagen.stages import STAGES
from datagen.stages.stage import Stage


def usage(run: Run, stage: Stage, config: Config, share: Share = WHOLE) -> dict[str, Any]:
    """What a stage's replies, or those for a job's share of it, took in tokens, seconds and US dollars, as
    `llm.usage.usage` says it.

    Raises ConfigError where a task or a check of the user's own can't be loaded.
    """
    # What was asked before the stage came to ask nothing was paid for all the same.
    return usages.usage(run, stage.name, stage.models(config) or {"": engine_of(config, stage.name)}, share)


def budget(run: Run, stage: Stage, config: Config, share: Share = WHOLE) -> Budget:
    """What a stage may still spend, after what this run's journals hold. A job of several knows nothing of what the
    others spend meanwhile: each may spend its part of what the run may. Raises ConfigError as `check` does.
    """
    engines = stage.models(config)
    check(stage.name, engines, config.max_cost)
    main, prices = engines[""].price, {name: engine.price for name, engine in engines.items()}
    if config.max_cost is None:
        return Budget(main, other_prices=prices)
    asked = [s for s in STAGES if run.journal_files(s.name, share)]
    spent = sum(usage(run, s, config, share)["dollars"] or 0.0 for s in asked)
    return Budget(main, config.max_cost / share.count, spent, other_prices=prices)


def check(stage: str, engines: Mapping[str, EngineConfig], max_cost: float | None) -> None:
    """Raise ConfigError where there is a limit, and a model without a price: it would not hold for that one."""
    for name, engine in engines.items():
        if max_cost is not None and not engine.price.prompt + engine.price.completion:
            by = f"the check {name} of {stage}" if name and stage == "judge" else stage
            raise ConfigError(
                f"max_cost needs the prices of {engine.model}, which {by} asks: set the `price` of that engine, "
                "in dollars for a million tokens, such as\n  --set engine.price.prompt=0.15 --set "
                "engine.price.completion=0.6\nGive a model that costs nothing a price that is as good as none, such as "
                "0.000001"
            )
