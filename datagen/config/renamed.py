"""Settings that have a new name. The old one is still read: with a warning that says the new one where a person wrote
it, in silence where this program did.
"""

from __future__ import annotations

import warnings
from typing import Any

from datagen.errors import ConfigError

RENAMED = {  # old dotted name → new dotted name, of a setting or a whole section
    "generate.max_rereads": "generate.max_parse_retries",
    "judge.max_rereads": "judge.max_parse_retries",
    "train.loss.kl": "train.loss.kl_coef",
    "train.keep": "train.save_total_limit",
    "train.tokens_per_pass": "train.max_tokens_per_microbatch",
}


class RenamedSetting(FutureWarning):
    """A configuration uses a setting's old name."""


def current(name: str) -> str:
    """The name that a setting has now, from any name that it ever had."""
    for old, new in RENAMED.items():
        if name == old or name.startswith(f"{old}."):
            return new + name.removeprefix(old)
    return name


def apply(data: dict[str, Any], source: str, warn: bool = True) -> dict[str, Any]:
    """Nested settings as read from `source`, with every old name replaced; changes `data` in place.

    Warns (RenamedSetting) once for each old name, if `warn`. Raises ConfigError where the old and the new name are both
    set.
    """
    for old, new in RENAMED.items():
        *sections, leaf = old.split(".")
        place = _section(data, sections)
        if place is None or leaf not in place:
            continue
        *sections, new_leaf = new.split(".")
        target = _section(data, sections, make=True)
        if target is None or new_leaf in target:
            raise ConfigError(f"{source}: {old} is now called {new}, and both are set: take out {old}")
        target[new_leaf] = place.pop(leaf)
        if warn:
            warnings.warn(f"{source}: {old} is now called {new}", RenamedSetting, stacklevel=3)
    return data


def without_former_default(data: dict[str, Any]) -> dict[str, Any]:
    """Nested settings as an earlier version saved them, without the one that nobody asked for and that has no default
    any more: the similarity of clusters, which `cluster.min_cohesion` says now. Changes `data` in place.
    """
    cluster = _section(data, ["cluster"]) or {}
    if "min_cohesion" not in cluster and cluster.get("published") is False and cluster.get("min_similarity") == 0.6:
        del cluster["min_similarity"]
    return data


def _section(data: dict[str, Any], names: list[str], make: bool = False) -> dict[str, Any] | None:
    """The nested section of that name, or None where there is none."""
    place: Any = data
    for name in names:
        place = place.setdefault(name, {}) if make else place.get(name)
        if not isinstance(place, dict):
            return None
    return place
