"""`doctor`: whether every file of a run is what was written."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datagen.commands.options import RUN, Json

if TYPE_CHECKING:
    from datagen.inspect.health import Checked

Repair = Annotated[
    bool,
    typer.Option("--repair", help="Remove the damaged files that the next run makes again, the same to the byte."),
]


def doctor(
    run: Annotated[
        str, typer.Argument(metavar="[RUN]", help="The run directory, or the folder that `train` wrote to.")
    ] = RUN,
    repair: Repair = False,
    json: Json = False,
) -> None:
    """Check every file of a run: shards, ledgers, journals, the dataset and checkpoints.

    \b
    Examples:
      longrlvr-data doctor runs/mine
      longrlvr-data doctor runs/mine --repair
      longrlvr-data doctor runs/mine/train
    """
    from datagen.commands import guard

    raise guard.guarded(lambda _: _examine(run, repair, json))


def _examine(run: str, repair: bool, as_json: bool) -> int:
    from datagen.commands import guard
    from datagen.console import print_json
    from datagen.errors import UserError
    from datagen.inspect import health
    from datagen.run import lock
    from datagen.run.run import Run

    if health.is_training(Path(run)):
        if repair:
            raise UserError(f"{run}: nothing makes a checkpoint again: without --repair, the way on is said")
        checked, removed = list(health.examine_training(Path(run))), set()
    else:
        Run(run).check()
        with lock.locked(run) if repair else nullcontext():
            checked = list(health.examine(Run(run)))
            removed = health.repair(checked) if repair else set()
    left = [c for c in checked if c.problem and c.path not in removed]
    if as_json:
        counts = {part: sum(c.part == part for c in checked) for part in dict.fromkeys(c.part for c in checked)}
        problems = [vars(c) | {"removed": c.path in removed} for c in checked if c.problem]
        print_json({"run": run, "checked": counts, "problems": problems})
    else:
        _show(run, checked, removed)
    return guard.ERROR if left else guard.COMPLETE


def _show(run: str, checked: list[Checked], removed: set[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from datagen.commands.advice import command_line
    from datagen.console import screen
    from datagen.run.paths import JOURNAL

    console = screen()
    table = Table("part", "files", "damaged", box=None, pad_edge=False)
    for part in dict.fromkeys(c.part for c in checked):
        of_part = [c for c in checked if c.part == part]
        table.add_row(part, f"{len(of_part):,}", str(sum(bool(c.problem) for c in of_part) or ""))
    console.print(table)
    damaged = [c for c in checked if c.problem]
    for c in damaged:
        copy = "" if c.removable or c.part == "training" else " (put it back from a copy)"
        asked = "; it is asked for again once the rows that were made of it are" * c.path.endswith(JOURNAL)
        done = f" (taken out{asked})" if c.path in removed else copy
        console.print(Text(f"{c.path}: {c.problem.removeprefix(f'{c.path}:').strip()}{done}"), soft_wrap=True)
    if removed:
        console.print(
            Text(f"\nTo make again what was taken out:\n  {command_line('run', run, None, {})}"), soft_wrap=True
        )
    elif any(c.removable for c in damaged):
        console.print(
            Text(f"\nTo take out what the next run can make again:\n  longrlvr-data doctor {_quoted(run)} --repair"),
            soft_wrap=True,
        )


def _quoted(run: str) -> str:
    import shlex

    return shlex.quote(run)
