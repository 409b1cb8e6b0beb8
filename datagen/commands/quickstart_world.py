"""`quickstart-world`: a dataset in miniature, on which training can be watched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datagen.commands.options import Seed


def quickstart_world(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to write the dataset and the model to.")],
    k: Annotated[
        int, typer.Option("--k", min=1, max=16, metavar="N", help="Number of chunks that a question needs.")
    ] = 6,
    seed: Seed = None,
) -> None:
    """Write a dataset of short made-up documents, and a tiny model to train on it.

    What a real run takes days for can be watched there in minutes: citations rise from luck to nearly always right.

    \b
    Example:
      longrlvr-data quickstart-world runs/world
    """
    from datagen.commands import guard

    raise guard.guarded(lambda _: _write(folder, k, seed or 0))


def _write(folder: Path, k: int, seed: int) -> int:
    from datagen.commands import guard
    from datagen.errors import UserError
    from datagen.train import world

    try:
        world.write(folder, k, seed)
    except OSError as e:
        raise UserError(f"{folder}: cannot be written to: {e.strerror or e}") from e
    rows = ", ".join(f"{n:,} {split} rows in {folder / name / 'data'}" for name, split, n, _ in world.PARTS)
    print(f"{rows}; a model in {folder / 'model'}")
    return guard.COMPLETE
