"""Settings from several places, one over the other: a run's own, a file, the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from datagen.config import renamed, strict_yaml
from datagen.config.section import SECRET, Section
from datagen.config.strict_yaml import clipped
from datagen.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
COMMAND_LINE = "the command line"


@dataclass(frozen=True)
class Layer:
    """Settings as one source gives them, by their present names; `node` knows the lines they stand in. `saved`: this
    program wrote them, every one, whether a person had given it or not.
    """

    source: str
    data: dict[str, Any]
    node: yaml.Node | None = None
    saved: bool = False


def read(text: str, source: str, saved: bool = False) -> Layer:
    """YAML text as a layer. Old names are read, with a warning unless this program `saved` them.

    Raises ConfigError naming the source and the line.
    """
    data, node = strict_yaml.read(text, source)
    data = renamed.apply(data, source, warn=not saved)
    return Layer(source, renamed.without_former_default(data) if saved else data, node, saved)


def combined(model: type[M], layers: Sequence[Layer], overrides: dict[str, Any]) -> M:
    """The layers in order, the last one uppermost, and over all of them the overrides by dotted name.

    A layer changes only the settings it has: sections are merged; a value, a list or a free-form mapping is replaced.
    What a setting implies for another stands over that one's default, and under what a person gave.
    Raises ConfigError naming where each wrong setting stands.
    """
    data = reduce(lambda under, layer: _merged(under, _given(layer, model), model), layers, {})
    for name, value in overrides.items():
        _put(data, name.split("."), value)
    try:
        return model.model_validate(data)
    except ValidationError as e:
        inner = {err["loc"][:n] for err in e.errors() for n in range(1, len(err["loc"]))}
        errors = [err for err in e.errors() if err["loc"] not in inner]  # a list is too short without its wrong items
        found = [f"{_place(err['loc'], layers, overrides)}: {_sentence(err, model)}" for err in errors]
        raise ConfigError("\n".join(found)) from None  # pydantic's own text has all values, a key among them


def assignment(text: str, model: type[BaseModel]) -> tuple[str, Any]:
    """`section.key=value`, as `--set` takes it: the setting's present dotted name, and its value read as YAML.

    Raises ConfigError, with similar names, where `model` has no such setting.
    """
    given, equals, value = text.partition("=")
    name = renamed.current(given.strip())
    if not equals or not name:
        raise ConfigError(f"--set {clipped(text)}: expected section.key=value, such as chunk.max_tokens=256")
    if not _exists(name, model):
        raise ConfigError(f"--set {clipped(text)}: there is no setting {clipped(name)}{_near(name, model)}")
    return name, strict_yaml.value(value, f"--set {name}")


def given(options: dict[str, Any], assignments: Iterable[str], model: type[BaseModel]) -> dict[str, Any]:
    """The overrides of a command line by dotted name: its options, None where one is not given, and over them `--set`.

    Raises ConfigError if --set names a setting that `model` does not have.
    """
    set_ = dict(assignment(text, model) for text in assignments)  # null among them: given as null
    return {name: value for name, value in options.items() if value is not None} | set_


def names(model: type[BaseModel]) -> Iterator[str]:
    """The dotted names of all settings, sections left out."""
    for name, info in model.model_fields.items():
        inner = section_of(info.annotation)
        yield from (f"{name}.{below}" for below in names(inner)) if inner else (name,)


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a field holds, which may be optional; None for a plain value and for a list of sections."""
    parts = () if get_origin(annotation) in (tuple, list, dict) else (annotation, *get_args(annotation))
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Section)), None)


def _given(layer: Layer, model: type[BaseModel]) -> dict[str, Any]:
    """The settings of a layer; of a saved one, without those that say no more than what the others imply."""
    return _without_implied(layer.data, model) if layer.saved else layer.data


def _without_implied(data: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Settings without those at the values that the others imply (see `Section.implied`): so a layer that changes what
    is implied changes these, too.
    """
    kept = {}
    implied = model.implied(data) if issubclass(model, Section) else {}
    for name, value in data.items():
        if name in implied and value == implied[name]:
            continue
        info = model.model_fields.get(name)
        inner = section_of(info.annotation) if info else None
        kept[name] = _without_implied(value, inner) if inner and isinstance(value, dict) else value
    return kept


def _merged(under: dict[str, Any], over: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    result = dict(under)
    for name, value in over.items():
        info, below = model.model_fields.get(name), result.get(name)
        inner = section_of(info.annotation) if info else None
        nested = inner and isinstance(value, dict) and isinstance(below, dict)
        result[name] = _merged(below, value, inner) if nested else value  # pyright: ignore[reportArgumentType]
    return result


def _put(data: dict[str, Any], path: list[str], value: Any) -> None:
    *sections, leaf = path
    for section in sections:
        if data.get(section) is None:
            data[section] = {}
        if not isinstance(data[section], dict):
            return  # no section where one belongs: the model refuses it by name
        data[section] = data = dict(data[section])
    data[leaf] = value


def _exists(name: str, model: type[BaseModel]) -> bool:
    kind: Any = model
    for part in name.split("."):
        if not isinstance(kind, type):
            return False
        if issubclass(kind, BaseModel):
            if part not in kind.model_fields:
                return False
            annotation = kind.model_fields[part].annotation
            kind = section_of(annotation) or get_origin(annotation)
        elif kind is not dict:
            return False
    return True


def _near(name: str, model: type[BaseModel]) -> str:
    known = list(names(model))
    leaf = name.rpartition(".")[2]
    leaves = {other.rpartition(".")[2] for other in known}
    same = difflib.get_close_matches(leaf, leaves, n=1, cutoff=0.8)
    near = difflib.get_close_matches(name, known, n=2) or [n for n in known if same and n.endswith(f".{same[0]}")][:3]
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; the sections are {', '.join(n for n, i in model.model_fields.items() if section_of(i.annotation))}"


def _place(loc: tuple[int | str, ...], layers: Sequence[Layer], overrides: dict[str, Any]) -> str:
    """Where a setting stands: in the uppermost layer that has it."""
    dotted = ".".join(map(str, loc)) + "."
    if any(dotted.startswith(f"{name}.") for name in overrides):
        return COMMAND_LINE
    found = [(strict_yaml.find(layer.node, loc), i) for i, layer in enumerate(layers)]
    if not found:
        return COMMAND_LINE
    (_, line), i = max(found, key=lambda item: (item[0][0], item[1]))
    return layers[i].source if line is None else f"{layers[i].source}:{line}"


def _within(section: Any, part: int | str) -> Any:
    if isinstance(part, int):
        return section
    annotation = section.model_fields[part].annotation
    return section_of(annotation) or next((s for a in get_args(annotation) if (s := section_of(a))), annotation)


def _sentence(err: Any, model: type[BaseModel]) -> str:
    name = ".".join(clipped(str(p)) for p in err["loc"])
    if err["type"] == "extra_forbidden":
        section = reduce(_within, err["loc"][:-1], model)
        near = difflib.get_close_matches(str(err["loc"][-1]), section.model_fields, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(section.model_fields)}"
        return f"{name}: unknown setting; {hint}"
    message, got = err["msg"].removeprefix("Value error, ").replace("valid tuple", "list"), err["input"]
    if err["type"] == "model_type":
        section = reduce(_within, err["loc"], model)
        message = f"a section holds settings, such as '{next(iter(section.model_fields))}:'"
    if name and "{" not in repr(got) and err["type"] != SECRET:  # settings in it may be anything, a key among them
        message += f", got {'nothing' if got is None else clipped(repr(got))}"
    return f"{name}: {message[0].lower()}{message[1:]}" if name else message
