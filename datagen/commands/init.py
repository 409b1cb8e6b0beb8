"""`init`: a configuration file to start from."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer


def init(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="The file to write, or '-' for standard output.")
    ] = "longrlvr.yaml",
) -> None:
    """Write a configuration file with every setting explained.

    All defaults are commented out, so that the file changes nothing until you edit it.

    \b
    Example:
      longrlvr-data init my.yaml && longrlvr-data run -c my.yaml --input my-documents/
    """
    from datagen.commands import guard

    raise guard.guarded(lambda _: _write(file))


def _write(file: str) -> int:
    from datagen.commands import guard
    from datagen.config import template
    from datagen.errors import UserError

    if file == "-":
        print(template.text(), end="")
        return guard.COMPLETE
    try:
        with open(file, "x", encoding="utf-8") as f:
            f.write(template.text())
    except FileExistsError as e:
        raise UserError(f"{file} exists already: give another name, such as `longrlvr-data init other.yaml`") from e
    except OSError as e:
        raise UserError(f"{file}: cannot be written: {e.strerror or e}") from e
    use = shlex.join(["longrlvr-data", "run", "-c", file, "--input", "PATH"])
    print(f"{file}: every setting, with its default commented out. Use it with `{use}`")
    return guard.COMPLETE
