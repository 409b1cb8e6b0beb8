"""Finds the bundled prompts and configurations, from a checkout or from an installed wheel.

In a checkout `prompts/` and `configs/` lie beside the package; a wheel carries them inside it, under `_resources/`.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Literal

from datagen.errors import ConfigError

Kind = Literal["prompts", "configs"]
_SUFFIX = {"prompts": ".md", "configs": ".yaml"}


def path(kind: Kind, name: str | Path) -> Path:
    """The file a person means by `name`: a file that exists, else a bundled one.

    'quickstart', 'quickstart.yaml' and 'configs/quickstart.yaml' all name the same bundled configuration, from any
    working directory. Raises ConfigError, with the names there are.
    """
    given = Path(name)
    if given.is_file():
        return given
    bundled = _bundled(kind)
    wanted = given.as_posix().removeprefix(f"{kind}/").removesuffix(_SUFFIX[kind])
    if wanted in bundled:
        return bundled[wanted]
    near = difflib.get_close_matches(wanted, bundled, n=1, cutoff=0.7)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    there = ", ".join(bundled) or "none"
    raise ConfigError(f"{name}: no such file, and no such bundled {kind[:-1]}{hint} (bundled {kind}: {there})")


def names(kind: Kind) -> list[str]:
    """The names of all bundled files of a kind, sorted."""
    return list(_bundled(kind))


def _bundled(kind: Kind) -> dict[str, Path]:
    place = folder(kind)
    files = sorted(place.rglob(f"*{_SUFFIX[kind]}"))
    return {file.relative_to(place).with_suffix("").as_posix(): file for file in files if file.is_file()}


def folder(kind: Kind) -> Path:
    """Where the bundled files of a kind are."""
    package = Path(__file__).resolve().parent
    # The wheel's own folder first: what lies beside an installed package may be anyone's.
    installed = package / "_resources"
    return installed / kind if installed.is_dir() else package.parent / kind
