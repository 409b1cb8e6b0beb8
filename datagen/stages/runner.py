"""Runs a stage: compare its folder's identity with the one asked for, process the shards that are not there yet, write
each atomically, check the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from datagen import records, shards
from datagen.config.model import Config
from datagen.errors import EngineError, InputError, StaleStage, UnfinishedStage
from datagen.executors.local import Map
from datagen.llm import drive
from datagen.llm import usage as usages
from datagen.llm.base import Request
from datagen.llm.drive import OverBudget
from datagen.llm.traffic import Traffic
from datagen.records import Dropped
from datagen.run import identity as ids
from datagen.run import ledger as ledgers
from datagen.run import resume as resuming
from datagen.run.identity import Identity
from datagen.run.ledger import Ledger
from datagen.run.resume import Resume
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.run.share import WHOLE, Share
from datagen.run.status import seconds_spent, stage_status
from datagen.stages import context, conversing, spending
from datagen.stages.stage import Conversations, Global, PerShard, Source, Stage

Job = tuple[Stage, Shard, Any, str]  # what was read, decided or talked about for the shard, and the identity's digest


class Progress(Protocol):
    """What is told how a stage gets on."""

    def start(self, stage: str, unit: str, total: int | None, done: int, ticks: bool) -> None:
        """A stage begins: `total` units are to be done (None: not known yet), of which `done` are there already.

        `ticks`: parts of a shard are reported as well.
        """

    def advance(self, n: int) -> None:
        """So many more units are done."""

    def heard(self, traffic: Traffic) -> None:
        """What has gone to and from a language model so far; about once a second, in another thread."""

    def finish(self, ledger: Ledger, seconds: float) -> None:
        """The stage is done, with this ledger, after so long."""

    def say(self, message: str) -> None:
        """Something that a person should read."""


@dataclass(frozen=True)
class _Task:
    """A stage to be run."""

    stage: Stage
    run: Run
    config: Config
    pool: Map
    progress: Progress
    offline: bool
    share: Share
    on_gpus: Map | None
    identity: str = ""  # the digest of what shards are written under

    def shards(self) -> list[str]:
        """The names of those it is to process, as far as is known."""
        return self.share.of(self.run.layout or [])


def run(
    stage: Stage,
    folder: str,
    config: Config,
    resume: Resume,
    pool: Map,
    progress: Progress,
    offline: bool = False,
    share: Share = WHOLE,
    on_gpus: Map | None = None,
) -> Ledger:
    """Bring a stage, or a job's share of it, to its end and return its ledger. Does nothing when it is already there.

    `offline`: a stage that asks a language model takes all replies from its journal. A job of several may run beside
    the others; what is the whole stage's alone is left to a run of all of it. `on_gpus` processes the shards of work
    that is to be done by a GPU, where GPUs are elsewhere.
    Raises StaleStage when the folder was written under another identity and `resume` is "if-possible", UnfinishedStage
    when a stage before it is not finished.
    """
    task = _Task(stage, Run(folder), config, pool, progress, offline, share, on_gpus)
    here = task.run.folder(stage.name)
    wanted = _identity(stage, task.run, config)
    if resume == "never":
        if offline and isinstance(stage.work, Conversations):
            conversing.check_journals(stage, stage.work, task.run, config)
        shards.remove(here)
    stored = ids.load(here)
    done = _done(stage, task.run) if stored else _fitting(stage, task.run, wanted)
    found: list[ids.Change] = []
    if stored and (done or not share.is_whole):  # without a finished shard, or jobs beside this, nothing is to be kept
        found = resuming.check(here, stored, wanted, resume)
        wanted = replace(wanted, mixed=[*stored.mixed, _earlier(stored)]) if found else stored
    layout = task.run.layout
    again = set() if offline or resume == "never" else _failed(task, done & set(task.shards()))
    complete = layout is not None and done >= set(task.shards())
    if found:
        progress.say(f"{stage.name}: kept as it is, although " + "; ".join(map(str, found)))
        unsplittable = sorted({c.name for c in found} & _layout(stage))
        if unsplittable and not complete:
            what = f"which shard holds what depends on {', '.join(unsplittable)}"
            raise StaleStage(f"{here} is unfinished, and {what}", stage.name)
    if complete and not again:
        if not stored:
            ids.save(here, wanted)
        return _summary(task, None)
    for name in stage.table.reads:
        if not _is_readable(stage, task.run, name, share):
            raise UnfinishedStage(f"{stage.name} needs the output of {name}, which is not finished in {folder}", name)
    if wanted is not stored:  # it may have been saved under names that are others by now, and its hash is of those
        ids.save(here, wanted)
    task = replace(task, identity=wanted.digest)
    started = time.monotonic()
    if not complete:
        _process(task, done)
    if again:
        _ask_again(task, again)
    return _summary(task, time.monotonic() - started)


def preview(stage: Stage, folder: str, config: Config, n: int) -> list[Request]:
    """The first requests that a stage would make of its language model."""
    found: list[Request] = []
    for name in Run(folder).layout or []:
        if len(found) < n and isinstance(stage.work, Conversations):
            begin = partial(stage.work.start, Shard(folder, name, config))
            found += [request for request in drive.first_requests(begin, n - len(found)) if request]
    return found


def fits(stage: Stage, folder: str, config: Config) -> bool:
    """Whether the stage's folder was written under the settings asked for now."""
    stored = ids.load(Run(folder).folder(stage.name))
    return stored is not None and not ids.changes(stored, _identity(stage, Run(folder), config))


def check_upstream(
    stages: tuple[Stage, ...], folder: str, config: Config, resume: Resume, share: Share = WHOLE
) -> None:
    """Refuse to build on upstream folders that are unfinished, or written under other settings (unless `resume` is
    "always"), or hold shards of another run. Content is not hashed again; of a job's share, only its own shards have to
    be there. Raises UnfinishedStage, StaleStage or DamagedFile.
    """
    run = Run(folder)
    for stage in stages:
        here = run.folder(stage.name)
        stored = ids.load(here)
        if stored is None:
            raise UnfinishedStage(f"{here} is not there yet", stage.name)
        wanted = replace(stage.identity(config), fingerprints=stored.fingerprints, upstream=stored.upstream)
        resuming.check(here, stored, wanted, resume)
        if not run.is_complete(stage.name, share):
            raise UnfinishedStage(f"{here} is not finished", stage.name)
        stage_status(run, stage.table, share=share)  # reads its footers


def _is_readable(stage: Stage, run: Run, upstream: str, share: Share) -> bool:
    """Whether what a stage reads of one before it is there."""
    return run.is_complete(upstream, WHOLE if stage.table.whole else share)


def _done(stage: Stage, run: Run) -> set[str]:
    """The finished shards. One whose side table was deleted is made again."""
    return set.intersection(*(set(run.names(stage.name, table)) for table in ("", "dropped", *stage.table.side)))


def _ask_again(task: _Task, failed: set[str]) -> None:
    """Ask for the rows that failed in these shards. If that goes nowhere, they stay as they are: all else is done."""
    task.progress.say(f"{task.stage.name}: rows that failed in {len(failed):,} shards are asked for again")
    try:
        _process(task, set(task.shards()) - failed)
    except (EngineError, OverBudget) as e:
        task.progress.say(f"{task.stage.name}: rows that failed stay so: {e}")


def _failed(task: _Task, done: set[str]) -> set[str]:
    """The finished shards with rows to which a language model gave no reply of use. The others' are in the journal."""
    if not task.stage.models(task.config):
        return set()
    here = task.stage.name
    return {name for name in done if ledgers.failures(shards.read_footer(task.run.shard(here, name)).ledger)}


def _rows_in(task: _Task, name: str) -> int:
    """The rows that a shard took, if it is there already."""
    table = task.stage.table
    if not shards.exists(task.run.shard(table.name, name)):
        return 0
    return shards.read_footer(task.run.shard(table.name, name)).ledger[table.input_unit]["in"]


def _fitting(stage: Stage, run: Run, wanted: Identity) -> set[str]:
    """The finished shards that say themselves that they were written under this identity; their folder does not."""
    origins = {name: shards.read_footer(run.shard(stage.name, name)).origin for name in _done(stage, run)}
    return {name for name, origin in origins.items() if origin.get("identity") == wanted.digest}


def _layout(stage: Stage) -> frozenset[str]:
    return stage.work.layout if isinstance(stage.work, Source) else frozenset()


def _identity(stage: Stage, run: Run, config: Config) -> Identity:
    upstream = {}
    for name in stage.table.reads:
        stored = ids.load(run.folder(name))
        if stored is None:
            raise UnfinishedStage(f"{stage.name} needs the output of {name}, which is not in {run.path}", name)
        upstream[name] = stored.digest
    return replace(stage.identity(config), fingerprints=stage.fingerprints(config, run), upstream=upstream)


def _earlier(identity: Identity) -> dict[str, Any]:
    parts = {k: v for k, v in identity.parts.items() if k not in ("stage", "mixed")}
    return parts | {"identity": identity.digest}


def _process(task: _Task, done: set[str]) -> None:
    """Process the shards that are not done."""
    stage, table, config, progress = task.stage, task.stage.table, task.config, task.progress
    mapper = _mapper(task)
    if isinstance(stage.work, Source):
        _read(task, stage.work, done, mapper)
        return
    todo = [Shard(task.run.path, name, config) for name in task.shards() if name not in done]
    status = stage_status(task.run, table, share=task.share)
    again = sum(_rows_in(task, shard.name) for shard in todo)
    before = status.ledger.get(table.input_unit, {"in": 0})["in"] - again
    pending = (status.pending or 0) + again
    if isinstance(stage.work, Conversations) and stage.work.models(config):
        n = stage.work.per_row(config)
        for sentence in [] if task.offline else context.said(stage, task.run, config, task.share):
            progress.say(sentence)
        progress.start(stage.name, table.output_unit, (before + pending) * n, before * n, ticks=True)
        asked = stage, stage.work, task.run, config, iter(todo), pending * n
        results = conversing.results(*asked, progress.advance, progress.heard, task.offline, task.share)
        with closing(results):  # else they would go on asking as long as anyone holds the traceback of an error
            for _ in mapper(_process_shard, ((stage, shard, given, task.identity) for shard, given in results)):
                pass
        return
    reports = isinstance(stage.work, PerShard) and stage.work.reports_progress
    progress.start(stage.name, table.input_unit, before + pending, before, reports)
    plan = stage.work.plan(config, task.run) if isinstance(stage.work, Global) else {}
    for n in mapper(_process_shard, ((stage, shard, plan.get(shard.name), task.identity) for shard in todo)):
        if not reports:
            progress.advance(n)


def _mapper(task: _Task) -> Map | type[map]:
    """Where the shards are processed. Whether this machine has a GPU says nothing about those of a cluster."""
    if task.on_gpus and task.stage.names_gpu(task.config):
        return task.on_gpus
    return map if task.stage.main_process_only(task.config) else task.pool


def _read(task: _Task, work: Source, done: set[str], mapper: Map | type[map]) -> None:
    """Process the shards of the input, and fix which there are. Raises InputError if no row of it can be used."""
    stage, run, progress = task.stage, task.run, task.progress
    seen: list[str] = []

    def todo() -> Iterator[Job]:
        for place, (name, rows) in enumerate(work.read(task.config)):
            seen.append(name)
            if not task.share.has(place):
                continue
            if name not in done:
                yield stage, Shard(run.path, name, task.config), rows, task.identity
            else:
                progress.advance(len(rows))

    progress.start(stage.name, stage.table.input_unit, None, 0, False)
    for n in mapper(_process_shard, todo()):
        progress.advance(n)
    ledger = stage_status(run, stage.table).ledger
    if task.share.is_whole and ledger.get(stage.table.input_unit, {"kept": 0})["kept"] == 0:
        reasons = _reasons(run, stage, ledger)
        shards.remove(run.folder(stage.name))
        raise InputError(f"{task.config.input.path}: no document could be used: {reasons or 'it holds none'}")
    shards.write_json(run.layout_file, seen)


def _reasons(run: Run, stage: Stage, ledger: Ledger) -> str:
    """Why no row of the unit a stage takes was kept: the reasons with their counts, and the first row's."""
    left = ledger.get(stage.table.input_unit, {"rejected": {}, "failed": {}})
    counts = ", ".join(f"{reason} ({n})" for reason, n in {**left["failed"], **left["rejected"]}.items())
    first = next((row for row in run.dropped(stage.name) if row.unit == stage.table.input_unit), None)
    return f"{counts}; the first: {first.detail}" if first and first.detail else counts


def _process_shard(job: Job) -> int:
    """Process and write one shard; runs in a worker. Returns how many rows of the unit it takes it dealt with."""
    stage, shard, given, identity = job
    table = stage.table
    try:
        output = _output(stage, shard, given)
        if isinstance(stage.work, Source):
            came_in = {row.row_id if isinstance(row, Dropped) else row.doc_id for row in given}
        else:
            columns = list(records.UNIT_COLUMNS[table.input_unit])
            came_in = records.unit_keys_of_table(table.input_unit, shard.table(table.reads[0], columns))
        units = table.input_unit, table.output_unit
        entry = ledgers.account(stage.name, *units, came_in, output.rows, output.dropped)
    except Exception as e:
        e.add_note(f"while {stage.name} processed {shard.name}")
        raise
    _write(stage, shard, output, entry, identity)
    return entry[table.input_unit]["in"]


def _write(stage: Stage, shard: Shard, output: Output, entry: Ledger, identity: str) -> None:
    """Write a shard, the rows last. What later stages made of the same shard as it was before goes first."""
    table = stage.table
    for record, rows, side in ((table.record, output.rows, ""), (Dropped, output.dropped, "dropped")):
        there = shard.path(table.name, side)
        if shards.exists(there) and not records.to_table(record, rows).equals(shards.read_table(there)):
            shard.discard_after(table)

    def origin(*place: str) -> dict[str, str]:
        return {"identity": identity, "place": "/".join((stage.name, *place, shard.name))}

    shards.write_rows(shard.path(table.name, "dropped"), Dropped, output.dropped, origin=origin("dropped"))
    for name, record in table.side.items():
        shards.write_rows(shard.path(table.name, name), record, output.tables[name], origin=origin(name))
    shards.write_rows(shard.path(table.name), table.record, output.rows, entry, origin())


def _output(stage: Stage, shard: Shard, given: Any) -> Output:
    match stage.work:
        case Source(process=process):
            return process(shard, given)
        case PerShard(process=process):
            return process(shard)
        case Global(apply=apply):
            return apply(shard, given)
        case Conversations(start=start, finish=finish):
            return finish(shard, drive.unasked(partial(start, shard)) if given is None else given)


def _summary(task: _Task, seconds: float | None) -> Ledger:
    """Check the stage's ledger against its upstream's, store it beside the shards and return it; a job's share of it is
    only returned.
    """
    stage, place = task.stage, task.run.summary(task.stage.name)
    total = stage_status(task.run, stage.table, share=task.share).ledger
    if not task.share.is_whole:
        if seconds is not None:
            task.progress.finish(total, seconds)
        return total
    stored = shards.read_object(place)
    if seconds is not None or stored is None or stored.get("units") != total:  # jobs of an array write none
        spent = _sum_known(seconds_spent(task.run, stage.name), seconds)
        usage = spending.usage(task.run, stage, task.config) if stage.models(task.config) else None
        summary = {"units": total, "seconds": spent} | ({"usage": usage} if usage else {})
        shards.write_json(place, summary)
        if seconds is not None:
            task.progress.finish(total, seconds)
            if usage:
                task.progress.say(f"{'':9}in all {usages.sentence(usage)}")
    return total


def _sum_known(*seconds: float | None) -> float | None:
    """The sum of the times that are known; None where none is."""
    known = [each for each in seconds if each is not None]
    return round(sum(known), 3) if known else None
