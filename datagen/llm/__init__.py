"""Where completions come from: servers that speak the OpenAI API, its batch API, or vLLM in this process."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from datagen.config.llm import EngineConfig
from datagen.errors import ConfigError
from datagen.llm.base import Backend

BACKENDS = {  # by engine.kind: "module:class", imported when it is asked for; made of (settings, folder, others)
    "openai": "datagen.llm.chat:ChatBackend",
    "openai-batch": "datagen.llm.batch:BatchBackend",
    "vllm": "datagen.llm.vllm:VLLMBackend",
}


def check(settings: EngineConfig, others: Sequence[EngineConfig], asks: bool) -> None:
    """Find out before any work is done what would stop it later: no model's name; and if it is asked anything, a
    missing key or package. Raises ConfigError, and MissingExtra for the package.
    """
    if not all(engine.model for engine in (settings, *others)):
        raise ConfigError("no language model is named: give --model, or set engine.model", ("--model", "NAME"))
    if others and any(engine.kind != "openai" for engine in (settings, *others)):
        raise ConfigError("a stage that asks two models needs servers for both: set engine.kind to openai")
    if asks:
        start(settings, "", others)


def start(settings: EngineConfig, folder: str, others: Sequence[EngineConfig] = ()) -> Backend:
    """The backend that the settings name, for requests to its model and to those of the others (see `check`).

    `folder` is where it may keep what must survive a crash. Raises ConfigError, and MissingExtra without its package.
    """
    module, name = BACKENDS[settings.kind].split(":")
    return getattr(import_module(module), name)(settings, folder, others)
