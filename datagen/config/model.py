"""The one strict YAML model: a section per stage (a module a group of sections), an unknown key is an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from datagen.config import layers
from datagen.config.data import ChunkConfig, ClusterConfig, DatasetConfig, EmbedConfig, InputConfig, SelectConfig
from datagen.config.layers import Layer
from datagen.config.llm import EngineConfig
from datagen.config.questions import GenerateConfig, JudgeConfig
from datagen.config.section import RUNTIME, Section
from datagen.config.train import TrainConfig
from datagen.errors import ConfigError


class Config(Section):
    """All settings of a run: a section per stage, and the few that concern all of them."""

    seed: int = Field(default=0, ge=0, description="The seed of everything that is drawn at random.")
    workers: int | None = Field(
        default=None, ge=1, description="Number of worker processes. Default: one per core.", json_schema_extra=RUNTIME
    )
    max_cost: float | None = Field(
        default=None,
        gt=0,
        description="Most US dollars that a run may spend, by the `price` of every engine that is asked.",
        json_schema_extra=RUNTIME,
    )
    input: InputConfig = InputConfig()
    chunk: ChunkConfig = ChunkConfig()
    embed: EmbedConfig = EmbedConfig()
    cluster: ClusterConfig = ClusterConfig()
    engine: EngineConfig = EngineConfig()
    generate: GenerateConfig = GenerateConfig()
    judge: JudgeConfig = JudgeConfig()
    select: SelectConfig = SelectConfig()
    dataset: DatasetConfig = DatasetConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _fitting(self) -> Config:
        if self.judge.method == "llm" and "quality" not in self.judge.checks:
            raise ValueError("judge.checks must have quality: it gives the rating that select goes by")
        if (self.generate.method, self.judge.method) == ("llm", "rules"):
            raise ValueError(
                "judge.method must be llm when generate.method is: the rules prove extractive questions only"
            )
        return self


def engine_of(config: Config, stage: str) -> EngineConfig:
    """The engine that a stage asks: its own, else the one for all."""
    return getattr(config, stage).engine or config.engine


def load(path: str | Path | None, overrides: dict[str, Any] | None = None) -> Config:
    """Read a YAML file (None: the defaults) and put the overrides over it. Raises ConfigError, as `parse` does."""
    return _with(() if path is None else (layer(path),), overrides)


def parse(text: str, source: str, overrides: dict[str, Any] | None = None, saved: bool = False) -> Config:
    """Check YAML text, with overrides (dotted name → value, None is skipped) over it.

    Old names of settings are read, with a warning unless this program `saved` them. Raises ConfigError naming the
    source, the line and the setting.
    """
    return _with((layers.read(text, source, saved),), overrides)


def merge(config: Config, overrides: dict[str, Any]) -> Config:
    """A copy of a configuration with some settings replaced (None is skipped), checked again."""
    return _with((Layer(layers.COMMAND_LINE, config.model_dump(), saved=True),), overrides)


def layer(path: str | Path) -> Layer:
    """A YAML file as a layer. Raises ConfigError if it can't be read."""
    try:
        return layers.read(Path(path).read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as e:
        raise ConfigError(f"{path}: no such configuration file") from e
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: cannot be read as a configuration file: {e}") from e


def _with(under: Sequence[Layer], overrides: dict[str, Any] | None) -> Config:
    return layers.combined(Config, under, layers.given(overrides or {}, (), Config))


def settings_of(config: Config, *sections: str) -> dict[str, Any]:
    """The settings of these sections (or single fields) that can change bytes, by dotted name."""
    flat: dict[str, Any] = {}
    for name in sections:
        value = getattr(config, name)
        if not isinstance(value, Section):
            flat[name] = value
            continue
        flat |= _flattened(name, value)
        if f"{name}.engine" in flat:
            del flat[f"{name}.engine"]
            flat |= _flattened("engine", engine_of(config, name))
    return flat


def default(name: str) -> Any:
    """The default of a setting, by its dotted name, also in a section that is not there unless it is given.

    Raises AttributeError where there is no such setting.
    """
    value, kind = Config(), Config
    for part in name.split("."):
        value = getattr(kind() if value is None and kind else value, part)
        kind = layers.section_of(kind.model_fields[part].annotation) if kind else None
    return value


def _flattened(name: str, section: Section) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, info in type(section).model_fields.items():
        marks: Any = info.json_schema_extra or {}
        if marks.get("runtime") or (marks.get("llm") and not section.asks_model):
            continue
        value = section.counted(key)
        if isinstance(value, Section) and key != "engine":
            flat |= _flattened(f"{name}.{key}", value)
        else:
            flat[f"{name}.{key}"] = value
    return flat
