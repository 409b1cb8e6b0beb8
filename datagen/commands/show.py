"""`show`: the bundled configurations and prompts."""

from __future__ import annotations

from typing import Annotated, Literal, Optional

import typer


def show(
    kind: Annotated[
        Literal["config", "prompt"], typer.Argument(metavar="KIND", help="What to show: config or prompt.")
    ],
    name: Annotated[
        Optional[str], typer.Argument(metavar="[NAME]", help="Its name. Without one, the names are listed.")
    ] = None,
) -> None:
    """Print a bundled configuration or prompt.

    \b
    Examples:
      longrlvr-data show config
      longrlvr-data show config quickstart > my.yaml
      longrlvr-data show prompt judge-quality
    """
    from datagen.commands import guard

    raise guard.guarded(lambda _: _print("configs" if kind == "config" else "prompts", name))


def _print(kind: Literal["configs", "prompts"], name: str | None) -> int:
    from datagen import resources
    from datagen.commands import guard

    if name is None:
        print("\n".join(resources.names(kind)))
    else:
        print(resources.path(kind, name).read_text(encoding="utf-8"), end="")
    return guard.COMPLETE
