"""Writes docs/cli.md and docs/configuration.md from the code: `make docs`. A test fails when they are out of date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from datagen.config.llm import EndpointConfig, PriceConfig, SamplingConfig
from datagen.config.model import Config
from datagen.config.section import Section
from datagen.config.train import LoraConfig, TrainConfig

HERE = Path(__file__).parent
PARTS: dict[str, type[Section]] = {
    "engine.endpoints, embed.endpoints, each": EndpointConfig,
    "engine.price": PriceConfig,
    "train.lora": LoraConfig,
    "generate.sampling, judge.sampling": SamplingConfig,
}

CONFIGURATION = """# Configuration

One YAML file, a section per stage. An unknown key is an error; whatever is left out has its default. `-c` takes a path
or the name of a bundled file: `quickstart`, `extractive`, `openai`, `paper`, and for `train` `train-tiny` and
`train-paper`. Options such as `--input`, `--seed` and `--model` stand over the file. A run keeps its configuration as
`RUN/config.yaml`, so later commands on the same run need no `-c`; `train` reads its section from `-c` alone.

A setting marked † says how the work is done and changes no byte of the result: it may differ when a run is resumed. Any
other change makes the stages it concerns stale; see [Runs](runs.md#when-a-setting-changed). One marked ‡ counts only
where the stage's method is `llm`.
"""


def cli() -> str:
    command = [sys.executable, "-m", "typer", "datagen.cli", "utils", "docs", "--name", "longrlvr-data"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


def configuration() -> str:
    parts = [CONFIGURATION, "## At the top\n", _table(Config)]
    for name, section in [*_sections(Config, ""), *_sections(TrainConfig, "train.")]:
        summary = (section.__doc__ or "").strip().splitlines() if section.__doc__ != Section.__doc__ else []
        parts += [f"## {name}\n", *(line + "\n" for line in summary[:1]), _table(section)]
    for title, part in PARTS.items():
        summary = (part.__doc__ or "").strip() if part.__doc__ != Section.__doc__ else ""
        parts += [f"## {title}\n", *([summary.splitlines()[0] + "\n"] if summary else []), _table(part)]
    return "\n".join(parts)


def _sections(of: type[Section], prefix: str) -> list[tuple[str, type[Section]]]:
    fields: list[tuple[str, Any]] = [(name, info.annotation) for name, info in of.model_fields.items()]
    return [(prefix + name, kind) for name, kind in fields if isinstance(kind, type) and issubclass(kind, Section)]


def _table(section: type[Section]) -> str:
    lines = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, info in section.model_fields.items():
        if section in (Config, TrainConfig) and name in dict(_sections(section, "")):
            continue
        marks: Any = info.json_schema_extra or {}
        mark = " †" if "runtime" in marks else " ‡" if "method" in marks else ""
        lines.append(f"| `{name}`{mark} | {_default(info.default)} | {_meaning(info)} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if isinstance(value, Section) or (isinstance(value, tuple) and value and isinstance(value[0], Section)):
        value = value if isinstance(value, Section) else value[0]
        given = value.model_dump(exclude_defaults=True)
        return ", ".join(f"`{k}: {v}`" for k, v in given.items())
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return "" if value is None else f"`{value}`"


def _meaning(info: FieldInfo) -> str:
    return (info.description or "").replace("|", "\\|")


if __name__ == "__main__":
    (HERE / "cli.md").write_text(cli(), encoding="utf-8")
    (HERE / "configuration.md").write_text(configuration(), encoding="utf-8")
