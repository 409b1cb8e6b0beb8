"""Reads YAML as settings: a key that stands twice is an error, and every value knows the line it stands in."""

from __future__ import annotations

from typing import Any

import yaml

from datagen.errors import ConfigError

MOST_VALUES = 100_000  # with every alias written out: a few of them, one in the other, stand for billions
MOST_DIGITS = 100  # of a number: one of thousands takes quadratic time, and Python does not write it
_NUMBERS = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float")}
_SCALARS = _NUMBERS | {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "str", "timestamp")}
_KNOWN = {
    yaml.ScalarNode: _SCALARS,
    yaml.SequenceNode: {"tag:yaml.org,2002:seq"},
    yaml.MappingNode: {"tag:yaml.org,2002:map"},
}


def read(text: str, source: str) -> tuple[dict[str, Any], yaml.Node | None]:
    """The settings, and the node they came from (for `find`). Raises ConfigError naming the source and the line."""
    try:
        node = yaml.compose(text)
        data = {} if node is None else _plain(_bounded(node, source), source)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        problem = getattr(e, "problem", None) or str(e).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML: {clipped(problem)}") from e
    except RecursionError as e:
        raise ConfigError(f"{source}: nested too deeply, or an alias stands inside what it names") from e
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: expected sections such as 'chunk:', found a {type(data).__name__}")
    return data, node


def value(text: str, source: str) -> Any:
    """One value, as YAML reads it: a number, a word, `[a, b]`, nothing (None). Raises ConfigError naming the source."""
    try:
        node = yaml.compose(text)
        return None if node is None else _plain(_bounded(node, source), source)
    except (yaml.YAMLError, RecursionError) as e:
        problem = getattr(e, "problem", None) or str(e).splitlines()[0]
        raise ConfigError(f"{source}: not valid YAML: {clipped(problem)}") from e


def find(node: Any, loc: tuple[int | str, ...]) -> tuple[int, int | None]:
    """How many parts of a setting's path a document has, and the line of the last of them (from 1)."""
    line = None
    for depth, part in enumerate(loc):
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
            continue
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        match = next(((k, v) for k, v in pairs if k.value == part), None)
        if match is None:
            return depth, line
        line, node = match[0].start_mark.line + 1, match[1]
    return len(loc), line


def clipped(text: str) -> str:
    """At most 80 characters of a text, for a message."""
    return text if len(text) <= 80 else f"{text[:79]}…"


def _bounded(node: yaml.Node, source: str) -> yaml.Node:
    """The node. Raises ConfigError where it stands for too much, before any of it is written out."""
    if _values(node, {}) > MOST_VALUES:
        raise ConfigError(f"{source}: its aliases stand for more than {MOST_VALUES:,} values: write out what is meant")
    return node


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for; `known` those of the nodes that were counted."""
    if id(node) not in known:
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        inner = sum(_values(part, known) for part in parts) if isinstance(node, yaml.CollectionNode) else 0
        known[id(node)] = 1 + inner
    return known[id(node)]


def _plain(node: yaml.Node, source: str) -> Any:
    """A YAML node as Python values; a key that stands twice is an error (YAML would keep the last in silence), and so
    is any tag: `!!map x` would be an empty section, `!!binary aGk=` the text "hi".
    """
    where = f"{source}:{node.start_mark.line + 1}"
    if node.tag not in _KNOWN[type(node)]:
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise ConfigError(f"{where}: {clipped(tag)} is no kind of value that a setting has; a text goes in quotes")
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            where = f"{source}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{where}: a setting's name is a word, not a list or a mapping")
            if key.value in mapping:
                raise ConfigError(f"{where}: '{clipped(key.value)}' is set twice")
            mapping[key.value] = _plain(value, source)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value, source) for value in node.value]
    if node.tag in _NUMBERS and len(node.value) > MOST_DIGITS:
        raise ConfigError(f"{where}: a number of {len(node.value):,} digits is none that a setting has")
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (ValueError, LookupError, AttributeError) as e:  # a day in a thirteenth month; what is no day at all
        raise ConfigError(f"{where}: not valid YAML: {clipped(repr(node.value))}: {clipped(str(e))}") from e
