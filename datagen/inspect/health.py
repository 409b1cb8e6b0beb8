"""Whether every file of a run holds what was written to it: shards, ledgers, bookkeeping, journals, the dataset, and
what was trained on it.

Nothing is believed that can be computed again: each file's checksums, where its footer says that it belongs, and the
ledger of each shard from the rows before and after it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen import checksums, records, shards
from datagen.errors import DamagedFile, LedgerError, UserError
from datagen.llm import journal
from datagen.records import Dropped
from datagen.run import hashes, identity
from datagen.run import ledger as ledgers
from datagen.run.identity import Identity
from datagen.run.run import Run
from datagen.run.tables import TABLES, Table


@dataclass(frozen=True)
class Checked:
    """A file that was looked at, of which part of the run, and what is wrong with it, if anything is. `removable`: the
    next run makes it again, the same to the byte.
    """

    part: str  # "run", a stage, "journal", "dataset" or "training"
    path: str
    problem: str = ""
    removable: bool = False


def examine(run: Run) -> Iterator[Checked]:
    """Every file of a run, one by one. Reads all of them, a shard in memory at a time; writes nothing."""
    yield _settings(run)
    if shards.exists(run.input_hashes):
        yield _checked("run", run.input_hashes, lambda: hashes.load(run))
    if shards.exists(run.layout_file):
        yield _layout(run)
    unsound: set[tuple[str, str]] = set()
    for table in TABLES.values():
        if shards.exists(run.folder(table.name)):
            yield from _stage(run, table, unsound)
    for path in sorted(path for name in TABLES for path in run.journal_files(name)):
        yield _checked("journal", path, lambda path=path: _read(path))
    if shards.exists(run.dataset_folder):
        yield from _dataset(run)
    if shards.is_local(run.path) and is_training(run.local / "train"):
        yield from examine_training(run.local / "train")


def is_training(folder: Path) -> bool:
    """Whether `train` wrote to this folder."""
    return (folder / "checkpoints").is_dir()


def examine_training(folder: Path) -> Iterator[Checked]:
    """Every file that a training run in this folder wrote checksums of: those of its checkpoints, and of the model that
    it was compared with.
    """
    yield _checked("training", str(folder / identity.FILE), lambda: identity.load(str(folder)), removable=False)
    # Not those that are being written, or were put aside.
    checkpoints = [path for kind in ("warm", "step") for path in sorted(folder.glob(f"checkpoints/{kind}-*[0-9]"))]
    for place in (folder / "reference", *checkpoints):
        found = list(checksums.check(place)) if (place / checksums.FILE).exists() else []
        if place.exists():  # else training removed it meanwhile
            yield from (Checked("training", str(path), p and f"{p}. {_without(place)}") for path, p in found)


def _without(saved: Path) -> str:
    """The way on without a checkpoint, or without the reference, which nothing makes again."""
    if saved.parent.name != "checkpoints":
        return "Without it, training must start over (--resume never)"
    aside = shlex.join(["mv", str(saved), f"{saved}-damaged"])
    return f"`{aside}` lets training go on from the checkpoint before, if there is one"


def repair(checked: Iterable[Checked]) -> set[str]:
    """Take out what is damaged and can be made again: whole files, of journals the damaged lines. Returns the files."""
    found = {c.path: c for c in checked if c.problem and c.removable}
    for path, c in sorted(found.items()):
        if c.part == "journal":
            journal.mend(path)
        else:
            shards.remove(path)
    return set(found)


def _read(path: str) -> None:
    for _ in journal.read(path):
        pass


def _checked(part: str, path: str, look: Callable[[], Any], removable: bool = True) -> Checked:
    """What `look` finds wrong with a file: it raises, or returns a problem as text."""
    try:
        found = look()
    except DamagedFile as e:
        return Checked(part, path, e.reason, removable)
    except LedgerError as e:
        return Checked(part, path, str(e), removable)
    except UserError as e:  # what the file system, or another version, is to blame for
        return Checked(part, path, str(e), False)
    return Checked(part, path, found, removable) if isinstance(found, str) and found else Checked(part, path)


def _settings(run: Run) -> Checked:
    """A run that ended before it made anything keeps none."""

    def look() -> None:
        if shards.exists(run.settings) or any(map(run.names, TABLES)):
            _ = run.config

    return _checked("run", run.settings, look, removable=False)


def _layout(run: Run) -> Checked:
    """One that leaves out shards of this run is short; a shard of another run is found by its origin."""

    def look() -> str:
        listed = shards.read_json(run.layout_file)
        if not isinstance(listed, list):
            return "it holds no list of names"
        stored = _identity(run, "chunk")
        for name in sorted(set(run.names("chunk")) - set(listed)):
            footer = shards.read_footer(run.shard("chunk", name))
            if not identity.problem(stored, footer.origin, f"chunk/{name}"):
                return f"it does not name {name}, which is there"
        return ""

    return _checked("chunk", run.layout_file, look)


def _identity(run: Run, stage: str) -> Identity | None:
    """None where the file is missing or damaged; `_stage` says so."""
    try:
        return identity.load(run.folder(stage))
    except UserError:
        return None


def _stage(run: Run, table: Table, unsound: set[tuple[str, str]]) -> Iterator[Checked]:
    """The files of a stage. `unsound`: shards, by stage and name, that later ones can't be held against; adds to it."""
    folder, stored = run.folder(table.name), _identity(run, table.name)
    yield _checked(table.name, shards.join(folder, "stage.json"), lambda: identity.load(folder))
    total: list[ledgers.Ledger] = []
    names = run.names(table.name)
    for name in names:
        above_is_sound = not table.reads or (table.reads[0], name) not in unsound
        found = list(_shard(run, table, stored, name, total, above_is_sound))
        if any(checked.problem for checked in found):
            unsound.add((table.name, name))
        yield from found
    sound = not any((table.name, name) in unsound for name in names)
    summary = run.summary(table.name)
    if shards.exists(summary):

        def look() -> str:
            units = (shards.read_object(summary) or {}).get("units")
            return "it does not add up to the ledgers of the shards" if sound and units != ledgers.add(total) else ""

        yield _checked(table.name, summary, look)


def _shard(
    run: Run, table: Table, stored: Identity | None, name: str, total: list[ledgers.Ledger], above_is_sound: bool
) -> Iterator[Checked]:
    """The files of a shard; adds its ledger to `total`."""

    def look(side: str) -> str:
        path = run.shard(table.name, name, side)
        shards.verify(path)
        place = "/".join(filter(None, (table.name, side, name)))
        return identity.problem(stored, shards.read_footer(path).origin, place)

    sides = [side for side in ("dropped", *table.side) if shards.exists(run.shard(table.name, name, side))]
    found = [
        _checked(table.name, run.shard(table.name, name, side), lambda side=side: look(side)) for side in ("", *sides)
    ]
    if not any(checked.problem for checked in found):
        total.append(shards.read_footer(found[0].path).ledger)
    if above_is_sound and not any(checked.problem for checked in found):
        found[0] = _checked(table.name, found[0].path, lambda: _account(run, table, stored, name))
    yield from found


def _account(run: Run, table: Table, stored: Identity | None, name: str) -> str:
    """Hold a shard's ledger against the rows that came in, are there, and were dropped."""
    ledger = shards.read_footer(run.shard(table.name, name)).ledger
    rows = shards.read_rows(run.shard(table.name, name), table.record)
    if not shards.exists(run.shard(table.name, name, "dropped")):
        return ""  # it is made again anyway
    dropped = shards.read_rows(run.shard(table.name, name, "dropped"), Dropped)
    if not table.reads:
        documents = shards.read_rows(run.shard(table.name, name, "documents"), table.side["documents"])
        came_in = {d.row_id for d in dropped} | {d.doc_id for d in documents}
    else:
        before = _identity(run, table.reads[0])
        above = run.shard(table.reads[0], name)
        if not shards.exists(above) or not before or not stored or stored.upstream[table.reads[0]] != before.digest:
            return ""  # it is pending or stale, which `status` shows
        columns = list(records.UNIT_COLUMNS[table.input_unit])
        came_in = records.unit_keys_of_table(table.input_unit, shards.read_table(above, columns))
    counted = ledgers.account(table.name, table.input_unit, table.output_unit, came_in, rows, dropped)
    return "" if counted == ledger else "its ledger does not count the rows that it holds"


def _dataset(run: Run) -> Iterator[Checked]:
    made_from: dict[str, Any] = {}

    def provenance() -> None:
        made_from.update(shards.read_object(run.provenance) or {})

    yield _checked("dataset", run.provenance, provenance)
    rows = 0
    for split in ("train", "validation"):
        for path in run.dataset_files(split):
            checked = _checked("dataset", path, lambda path=path: shards.verify(path))
            yield checked
            rows += 0 if checked.problem else shards.read_footer(path).n_rows
            made_from = {} if checked.problem else made_from
    if made_from:

        def count() -> str:
            wanted = made_from["stages"]["select"]["ledger"]["candidate"]["kept"]
            return "" if wanted == rows else f"it tells of {wanted:,} rows, and there are {rows:,}"

        yield _checked("dataset", run.provenance, count)
