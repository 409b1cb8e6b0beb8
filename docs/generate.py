"""Writes docs/cli.md and docs/configuration.md from the code: `make docs`. A test fails when they are out of date."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.main import get_command

from datagen.cli import app
from datagen.config.llm import EndpointConfig, PriceConfig, SamplingConfig
from datagen.config.model import Config
from datagen.config.section import Section
from datagen.config.train import BenchmarkConfig, LoraConfig, TrainConfig

HERE = Path(__file__).parent
PARTS: dict[str, type[Section]] = {
    "engine.endpoints, embed.endpoints, each": EndpointConfig,
    "engine.price": PriceConfig,
    "train.lora": LoraConfig,
    "train.eval": BenchmarkConfig,
    "generate.sampling, judge.sampling": SamplingConfig,
}

CONFIGURATION = """# Configuration

One YAML file, a section per stage. An unknown key is an error; whatever is left out has its default. `-c` takes a path
or the name of a bundled file: `quickstart`, `extractive`, `openai`, `paper`, and for `train` `train-tiny`,
`train-world` and `train-paper`. Options such as `--input`, `--seed` and `--model` take precedence over the file, and so
does `--set section.key=value`, for any setting; the value is read as YAML. A run keeps its configuration as
`RUN/config.yaml`, so later commands on the same run need no `-c`; a file given there changes only the settings that are
in it. `train` reads its section from `-c` alone.

A setting marked † says how the work is done and changes no byte of the result: it may differ when a run is resumed. Any
other change makes the stages it concerns stale; see [Runs](runs.md#when-a-setting-changed). One marked ‡ counts only
where the stage's method is `llm`.
"""


def cli() -> str:
    group: Any = get_command(app)
    parts = [f"# Command line\n\n{_prose(group.help)}\n"]
    for name, command in _commands(group):
        arguments = "".join(f" {p.metavar}" for p in command.params if not _flags(p))
        usage = f"```\nlongrlvr-data {name} [OPTIONS]{arguments}\n```\n"
        parts += [f"## {name}\n", f"{_prose(command.help)}\n", usage, "| option | meaning |", "| --- | --- |"]
        for p in command.params:
            names = ", ".join(_flags(p)) or p.metavar
            value = "" if not _flags(p) or p.is_flag else f" {p.metavar}"
            default = f" Default: `{p.default}`." if isinstance(p.default, str) else ""
            parts.append(f"| `{names}{value}` | {(p.help or '').replace('|', chr(92) + '|')}{default} |")
        parts.append("")
    return "\n".join(parts)


def _commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The commands of a group, and those of the groups in it, by their whole names."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def _flags(parameter: Any) -> list[str]:
    return [name for name in [*parameter.opts, *parameter.secondary_opts] if name.startswith("-")]


def _prose(help: str) -> str:
    """Help text as Markdown: a paragraph that Click leaves as it is becomes a block of code."""
    parts = inspect.cleandoc(help).replace("\b\n", "\b").split("\n\n")
    found = []
    for part in parts:
        if part.startswith("\b"):
            title, *lines = part.removeprefix("\b").splitlines()
            found.append(f"{title}\n\n```bash\n" + textwrap.dedent("\n".join(lines)) + "\n```")
        else:
            found.append(part)
    return "\n\n".join(found)


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
        mark = " †" if "runtime" in marks else " ‡" if "llm" in marks else ""
        lines.append(f"| `{name}`{mark} | {_default(info.default)} | {_meaning(info)} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    if isinstance(value, Section) or (isinstance(value, tuple) and value and isinstance(value[0], Section)):
        value = value if isinstance(value, Section) else value[0]
        given = value.model_dump(exclude_defaults=True)
        return ", ".join(f"`{k}: {v}`" for k, v in given.items())
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return "" if value is None or value is PydanticUndefined else f"`{value}`"


def _meaning(info: FieldInfo) -> str:
    return (info.description or "").replace("|", "\\|")


if __name__ == "__main__":
    (HERE / "cli.md").write_text(cli(), encoding="utf-8")
    (HERE / "configuration.md").write_text(configuration(), encoding="utf-8")
