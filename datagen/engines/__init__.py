"""Where completions come from: servers that speak the OpenAI API, its batch API, or vLLM in this process."""

from __future__ import annotations

from datagen import config
from datagen.engines.base import Engine
from datagen.errors import ConfigError


def check(settings: config.Engine, asks: bool) -> None:
    """Find out before any work is done what would stop it later: no model's name; and if it is asked anything, a
    missing key or package. Raises UserError.
    """
    if not settings.model:
        raise ConfigError("no language model is named: give --model, or set engine.model")
    if asks:
        start(settings, "").close()


def start(settings: config.Engine, folder: str) -> Engine:
    """The engine that the settings name. `folder` is where it may keep what must survive a crash."""
    if settings.kind == "openai":
        from datagen.engines.openai import OpenAIEngine

        return OpenAIEngine(settings)
    if settings.kind == "openai-batch":
        from datagen.engines.batch import BatchEngine

        return BatchEngine(settings, folder)
    from datagen.engines.vllm import VLLMEngine

    return VLLMEngine(settings)
