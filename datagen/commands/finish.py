"""`finish`: end a run whose shards were made by several jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from datagen.commands.options import Json, StageOptions, Verbose, Workers


def finish(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run directory.")],
    workers: Workers = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check that the jobs of an array have made every shard, select from all of them, and write RUN/dataset.

    \b
    Example, in a Slurm script for an array of eight, and after it:
      longrlvr-data run -c my.yaml -o runs/mine --num-shards 8 --shard-index $SLURM_ARRAY_TASK_ID
      longrlvr-data finish runs/mine
    """
    from datagen.commands import guard, running

    options = StageOptions(output_dir=run, workers=workers, json=json, verbose=verbose)
    raise guard.guarded(lambda said: running.finish(said, options), verbose)
