"""What is said of documents that gave no row, and the end of a run that can give none."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from datagen.commands.advice import NAME, command_line
from datagen.errors import UserError

if TYPE_CHECKING:
    from datagen.config.model import Config
    from datagen.console import Reporter
    from datagen.inspect.missing import Missing
    from datagen.run.ledger import Ledger

SHOWN = 3  # documents that are named without being asked for


def line(missing: Missing) -> str:
    """A document without a row, and why, in a line."""
    script = f" ({missing.script})" if missing.script else ""
    detail = f" ({missing.detail.removeprefix(f'{missing.doc_id}: ')})" if missing.detail else ""
    return f"{missing.doc_id}{script}: {missing.stage}: {missing.reason}{detail}"


def helping(missing: Iterable[Missing], run: str) -> list[str]:
    """The commands that would let more of these documents pass, the one that helps most first."""
    settings = Counter((m.setting, m.value) for m in missing if m.setting)
    return [command_line("run", run, None, {setting: value}) for (setting, value), _ in settings.most_common(SHOWN)]


def say_missing(run: str, reporter: Reporter, again: bool) -> int:
    """Say which documents gave no row: how many, the first ones, and what would help them. Returns how many.

    Nothing is said `again`, of a run that was done before.
    """
    from datagen.inspect import missing
    from datagen.run.run import Run

    first: list[Missing] = []
    n = 0
    for found in missing.tell(Run(run)):
        n += 1
        if len(first) < SHOWN:
            first.append(found)
    if not n or again:
        return n
    reporter.say(f"{n:,} document{'s' * (n != 1)} gave no row:")
    for found in first:
        reporter.say(f"  {line(found)}")
    if n > SHOWN:
        reporter.say(f"  … and {n - SHOWN:,} more: {NAME} status {shlex.quote(run)} --documents")
    for command in helping(first, run):
        reporter.say(f"to let more pass: {command}")
    return n


def stop_if_none(stage: str, unit: str, run: str, config: Config, ledger: Ledger) -> None:
    """Raise UserError where no stage after this one would have anything to work on: the next costs time or money.

    `unit` is what the stage makes. After `chunk` it is enough that no document is long enough for a cluster.
    """
    from datagen.inspect import missing
    from datagen.run.run import Run

    if stage == "chunk":
        first = list(islice(missing.too_short(Run(run), config), SHOWN))
        if any(found is None for found in missing.too_short(Run(run), config)):
            return
        what, found = "no document has enough chunks for a cluster", [each for each in first if each]
    elif ledger.get(unit, {"kept": 0})["kept"]:
        return
    else:
        what, found = (
            f"{stage} kept no {unit}",
            list(islice((each for each in missing.tell(Run(run)) if each.stage == stage), SHOWN)),
        )
    said = "".join(f"\n  {line(each)}" for each in found)
    ways = "".join(f"\n  {command}" for command in helping(found, run))
    raise UserError(
        f"{run}: no row is left for a dataset: {what}, and nothing more was begun.{said}\n"
        f"`{NAME} status {shlex.quote(run)} --documents` names all documents."
        + (f" To let more pass:{ways}" if ways else "")
    )
