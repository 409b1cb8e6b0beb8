"""The optional dependencies, which the base install leaves out."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from datagen.errors import MissingExtra


def require(what: str, extra: str, *modules: str) -> None:
    """Check that modules of an extra are installed, without importing them.

    Args:
        what: the setting, command or address that needs them; the message starts with it.
        extra: the extra that installs them, as in pyproject.toml.
        modules: top-level import names.

    Raises MissingExtra, with the command that installs what is missing.
    """
    if missing := [name for name in modules if not installed(name)]:
        raise MissingExtra(f"{what} needs {', '.join(missing)}: pip install 'longrlvr-data[{extra}]'")


def installed(module: str) -> bool:
    """Whether a top-level module can be found; it is not imported."""
    return sys.modules[module] is not None if module in sys.modules else find_spec(module) is not None
