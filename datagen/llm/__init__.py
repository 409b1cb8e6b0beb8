"""Where completions come from: servers that speak the OpenAI API, its batch API, or vLLM in this process."""

from __future__ import annotations

from collections.abc import Sequence

from datagen.config.llm import EngineConfig
from datagen.errors import ConfigError
from datagen.llm.base import Engine


def check(settings: EngineConfig, others: Sequence[EngineConfig], asks: bool) -> None:
    """Find out before any work is done what would stop it later: no model's name; and if it is asked anything, a
    missing key or package. Raises UserError.
    """
    if not all(engine.model for engine in (settings, *others)):
        raise ConfigError("no language model is named: give --model, or set engine.model")
    if others and any(engine.kind != "openai" for engine in (settings, *others)):
        raise ConfigError("a stage that asks two models needs servers for both: set engine.kind to openai")
    if asks:
        start(settings, "", others).close()


def start(settings: EngineConfig, folder: str, others: Sequence[EngineConfig] = ()) -> Engine:
    """The engine that the settings name, for requests to its model and to those of the others (see `check`).

    `folder` is where it may keep what must survive a crash.
    """
    if settings.kind == "openai":
        from datagen.llm.openai import OpenAIEngine

        return OpenAIEngine(settings, others)
    if settings.kind == "openai-batch":
        from datagen.llm.batch import BatchEngine

        return BatchEngine(settings, folder)
    from datagen.llm.vllm import VLLMEngine

    return VLLMEngine(settings)
