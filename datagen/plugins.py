"""What can be chosen by name in the configuration, and how one's own is named: by import path.

A bundled check or task is an import path with a short name; `my_package.my_module:name` in its place, or in that of a
bundled verifier, names one of the user's own, with the same signature. The working directory is looked through last,
after what is installed.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from datagen.errors import ConfigError

T = TypeVar("T")

CHECKS = {  # in the order in which they run: the cheap ones first
    "lint": "datagen.checks.lint:CHECK",
    "quality": "datagen.checks.quality:CHECK",
    "closed_book": "datagen.checks.closed_book:CHECK",
    "sufficiency": "datagen.checks.sufficiency:CHECK",
    "necessity": "datagen.checks.necessity:CHECK",
    "completeness": "datagen.checks.completeness:CHECK",
    "policy": "datagen.checks.policy:CHECK",
}
TASKS = {
    "extractive": "datagen.tasks.cloze.task:TASK",
    "llm": "datagen.tasks.question:TASK",
}


def known(name: str, bundled: Collection[str]) -> str:
    """The name itself, if it is one of the bundled ones or an import path. Raises ValueError."""
    if name in bundled or all(name.partition(":")):
        return name
    near = difflib.get_close_matches(name, bundled, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    there = ", ".join(bundled)
    raise ValueError(f"{name!r} is unknown: {hint}there are {there}, and your own as my_package.my_module:name")


def load(name: str, bundled: Mapping[str, str], kind: type[T], setting: str) -> T:
    """What a bundled name or an import path names, which is a `kind`. `setting` is where the name was given.

    Raises ConfigError where there is no such module, nothing of that name in it, or something else.
    """
    module_name, _, attribute = bundled.get(name, name).partition(":")
    module = _module(module_name, f"{setting}: {name}")
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, vars(module), n=1)
        hint = f"; did you mean {module_name}:{near[0]}?" if near else ""
        raise ConfigError(f"{setting}: {module.__file__} has no {attribute!r}{hint}")
    found = getattr(module, attribute)
    if not isinstance(found, kind):
        wanted = f"{kind.__module__}.{kind.__qualname__}"
        raise ConfigError(f"{setting}: {name} is a {type(found).__name__}, and has to be a {wanted}")
    return found


def fingerprints(*names: str) -> dict[str, str]:
    """The sha256 of the source file of each import path among the names: an edit makes what was written with it stale.

    What is bundled has none: the version of its stage counts. Raises ConfigError where there is no such module.
    """
    found = {}
    for module_name in sorted({name.partition(":")[0] for name in names if ":" in name}):
        file = _module(module_name, module_name).__file__
        if file is None:
            raise ConfigError(f"{module_name} is a folder without an __init__.py: name a module in it")
        found[f"source of {module_name}"] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return found


def _module(name: str, what: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name and (name == e.name or name.startswith(f"{e.name}.")):
            where = "it must be installed, on PYTHONPATH or in the working directory"
            raise ConfigError(f"{what}: there is no module {e.name!r}: {where}, {os.getcwd()}") from e
        raise ConfigError(f"{what}: {name} imports {e.name!r}, which is not installed") from e
