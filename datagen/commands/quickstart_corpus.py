"""`quickstart-corpus`: documents to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quickstart_corpus(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to write the documents to.")],
) -> None:
    """Write a few long documents to try things on.

    They are the Python language reference, which every CPython carries.

    \b
    Example:
      longrlvr-data quickstart-corpus corpus && longrlvr-data run -c quickstart --input corpus
    """
    from datagen.commands import guard

    raise guard.guarded(lambda _: _write(folder))


def _write(folder: Path) -> int:
    import sys

    from datagen.commands import guard
    from datagen.errors import UserError
    from datagen.text.quickstart import write_corpus

    try:
        files = write_corpus(folder)
    except OSError as e:
        raise UserError(f"{folder}: cannot be written to: {e.strerror or e}") from e
    size = sum(f.stat().st_size for f in files)
    version = sys.version.split()[0]
    print(f"{folder}: {len(files)} documents, {size:,} bytes, the language reference of Python {version}")
    return guard.COMPLETE
