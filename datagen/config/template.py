"""A configuration file to start from: every setting with its description, its default commented out."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import yaml

from datagen.config.model import Config
from datagen.config.section import Section

WIDTH = 100
OPENING = """A configuration of longrlvr-data. Every setting stands here with its default, commented out: to change
one, remove the '#' before it and before the name of its section. Whatever stays commented out keeps its default."""


def text() -> str:
    """The file. As it stands it changes nothing; with each '#' that stands right before a name removed, it says the
    defaults.
    """
    lines = [*_remark(OPENING, ""), "", *_settings(Config(), "")]
    return "\n".join(lines) + "\n"


def _settings(section: Section, indent: str) -> Iterator[str]:
    for name, info in type(section).model_fields.items():
        value = getattr(section, name)
        nested = isinstance(value, Section)
        summary = inspect.getdoc(type(value)) if nested and type(value).__doc__ != Section.__doc__ else ""
        if nested and not indent:
            yield ""
        yield from _remark(info.description or (summary or "").split("\n\n")[0], indent)
        if nested:
            yield f"{indent}#{name}:"
            yield from _settings(value, indent + "  ")
        else:
            yield f"{indent}#{name}: {_flow(value)}"


def _remark(words: str, indent: str) -> list[str]:
    return textwrap.wrap(" ".join(words.split()), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def _flow(value: Any) -> str:
    plain = (
        [v.model_dump(exclude_defaults=True) if isinstance(v, Section) else v for v in value]
        if isinstance(value, tuple)
        else value
    )
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("...\n").strip()
