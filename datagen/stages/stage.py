"""A stage is data: what it reads and writes, the settings that change its rows, and one function from rows to rows.

Running one means: compare its folder's identity with the one asked for, process the shards that are not there yet,
write each atomically, check the ledger.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from filelock import FileLock, Timeout

from datagen import llm as engines
from datagen import records, shards
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, settings_of
from datagen.errors import InputError, RunLocked, StaleStage, UserError
from datagen.executors.local import Map
from datagen.llm import converse, journal
from datagen.llm import usage as paid
from datagen.llm.base import Conversation, Request
from datagen.llm.journal import Journal
from datagen.records import Dropped
from datagen.run import identity as ids
from datagen.run import ledger as ledgers
from datagen.run.ledger import Ledger
from datagen.run.shard import Output, Shard

Resume = Literal["if-possible", "always", "never"]
LAYOUT = "shards.json"  # in chunk's folder: the shards of the run, fixed once the whole input was read


def _no_facts(config: Config, run: str) -> dict[str, Any]:
    return {}


def _never(config: Config) -> bool:
    return False


def _no_engine(config: Config) -> EngineConfig | None:
    return None


def _no_others(config: Config) -> list[EngineConfig]:
    return []


def _once(config: Config) -> int:
    return 1


@dataclass(frozen=True)
class Stage:
    name: str
    record: type
    takes: str  # the unit whose every row must be accounted for
    makes: str  # the unit of its own rows
    reads: tuple[str, ...]  # upstream stages; the first holds the rows it takes
    settings: tuple[str, ...]  # config sections or fields that change its bytes
    process: Callable[[Shard], Output]
    facts: Callable[[Config, str], dict[str, Any]] = _no_facts  # (config, run) → content hashes it depends on
    source: Callable[[Config, str], Iterator[tuple[str, list[Any]]]] | None = None  # chunk: (shard name, documents)
    layout: frozenset[str] = frozenset()  # settings and facts that decide which row is in which shard
    prepare: Callable[[Config, str], dict[str, Any]] | None = None  # a global step over narrow columns: by shard name
    alone: Callable[[Config], bool] = _never  # must run in one process (it owns the GPU)
    tables: tuple[str, ...] = ()  # its side tables besides "dropped"
    ticks: bool = False  # `process` reports its progress within a shard, by `executors.tick`
    engine: Callable[[Config], EngineConfig | None] = _no_engine  # the language model it asks, if it does
    others: Callable[[Config], list[EngineConfig]] = _no_others  # those that it asks besides
    talk: Callable[[Shard], list[Conversation]] | None = None  # what it asks about a shard; `process` gets the results
    talks_per_row: Callable[[Config], int] = _once  # conversations for each row it takes
    version: int = 1  # raise it when the code starts to write other bytes


class Progress(Protocol):
    def start(self, stage: str, unit: str, total: int | None, done: int, ticks: bool) -> None: ...
    def advance(self, n: int) -> None: ...
    def finish(self, ledger: Ledger, seconds: float) -> None: ...
    def say(self, message: str) -> None: ...


def run(
    stage: Stage, folder: str, config: Config, resume: Resume, pool: Map, progress: Progress, offline: bool = False
) -> Ledger:
    """Bring a stage to its end and return its ledger. Does nothing when it is already there.

    `offline`: a stage that asks a language model takes all replies from its journal.
    Raises StaleStage when the folder was written under another identity and `resume` is "if-possible".
    """
    here = shards.join(folder, stage.name)
    wanted = _identity(stage, folder, config)
    if resume == "never":
        shards.remove(here)
    stored = ids.load(here)
    done = _done(stage, here) if stored else set()
    found = ids.changes(stored, wanted) if stored and done else []  # without a finished shard there is nothing to keep
    layout = shards.read_json(shards.join(folder, "chunk", LAYOUT))
    complete = layout is not None and done >= set(layout)
    if found and resume == "if-possible":
        raise _stale(stage, here, found)
    if found:
        progress.say(f"{stage.name}: kept as it is, although " + "; ".join(map(str, found)))
        unsplittable = sorted({c.name for c in found} & stage.layout)
        if unsplittable and not complete:
            what = f"which shard holds what depends on {', '.join(unsplittable)}"
            raise StaleStage(f"{here} is unfinished, and {what}", stage.name)
    if complete:
        return _summary(stage, folder, config, None, progress)
    for name in stage.reads:
        if not _is_finished(folder, name, layout):
            raise UserError(f"{stage.name} needs the output of {name}, which is not finished in {folder}: run it first")
    if stored and found:
        wanted = replace(wanted, mixed=[*stored.mixed, _parts(stored)])
    elif stored and done:
        wanted = replace(wanted, mixed=stored.mixed)
    ids.save(here, wanted)
    started = time.monotonic()
    _process(stage, folder, config, layout, done, pool, progress, offline)
    return _summary(stage, folder, config, time.monotonic() - started, progress)


def preview(stage: Stage, folder: str, config: Config, n: int) -> list[Request]:
    """The first requests that a stage would make of its language model."""
    found: list[Request] = []
    for name in shards.read_json(shards.join(folder, "chunk", LAYOUT)) or []:
        if len(found) < n and stage.talk:
            talks = stage.talk(Shard(folder, name, config))
            found += [request for request in (next(talk, None) for talk in talks[: n - len(found)]) if request]
    return found


def fits(stage: Stage, folder: str, config: Config) -> bool:
    """Whether the stage's folder was written under the settings asked for now."""
    stored = ids.load(shards.join(folder, stage.name))
    return stored is not None and not ids.changes(stored, _identity(stage, folder, config))


def _done(stage: Stage, here: str) -> set[str]:
    """The finished shards. One whose side table was deleted is made again."""
    tables = ("", "dropped", *stage.tables)
    return set.intersection(*(set(shards.names(shards.join(here, t) if t else here)) for t in tables))


def check_upstream(stages: tuple[Stage, ...], folder: str, config: Config, resume: Resume) -> None:
    """Refuse to build on upstream folders that are unfinished, or written under other settings (unless `resume` is
    "always"). Content is not hashed again.
    """
    for stage in stages:
        here = shards.join(folder, stage.name)
        stored = ids.load(here)
        if stored is None:
            raise UserError(f"{here} is not there yet: run `longrlvr-data {stage.name} -o {folder}` first")
        found = ids.changes(replace(stored, upstream={}), replace(_parts_wanted(stage, config), facts=stored.facts))
        if found and resume != "always":
            raise _stale(stage, here, found)
        if not is_complete(stage, folder):
            raise UserError(f"{here} is not finished: run `longrlvr-data {stage.name} -o {folder}` first")


def _stale(stage: Stage, here: str, found: list[ids.Change]) -> StaleStage:
    changed = "\n  ".join(map(str, found))
    return StaleStage(f"{here} was written under other settings:\n  {changed}", stage.name)


def is_complete(stage: Stage, folder: str) -> bool:
    return _is_finished(folder, stage.name, shards.read_json(shards.join(folder, "chunk", LAYOUT)))


def _is_finished(folder: str, name: str, layout: list[str] | None) -> bool:
    return layout is not None and set(shards.names(shards.join(folder, name))) >= set(layout)


@contextmanager
def locked(folder: str) -> Iterator[None]:
    """One process at a time on a run directory. Raises RunLocked naming the other one.

    An object store has no locks: there, keeping to one process is up to the person.
    """
    if not shards.is_local(folder):
        yield
        return
    root = Path(folder.removeprefix("file://"))
    lock, owner = FileLock(root / ".lock", timeout=0), root / ".lock-owner"
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as e:
        who = owner.read_text() if owner.exists() else "another process"
        raise RunLocked(f"{folder} is in use by {who}: wait for it, or choose another --output-dir") from e
    except OSError as e:
        raise UserError(f"{folder}: cannot be made a run directory: {e.strerror or e}") from e
    try:
        shards.write_bytes(str(owner), f"process {os.getpid()} on {socket.gethostname()}".encode())
        shards.sweep(folder)
        yield
    finally:
        lock.release()


def _parts_wanted(stage: Stage, config: Config) -> ids.Identity:
    schema = ids.digest([(f.name, str(f.type)) for f in records.schema(stage.record)])
    return ids.Identity(stage.name, stage.version, schema, settings_of(config, *stage.settings), {}, {})


def _identity(stage: Stage, folder: str, config: Config) -> ids.Identity:
    upstream = {}
    for name in stage.reads:
        stored = ids.load(shards.join(folder, name))
        if stored is None:
            raise UserError(f"{stage.name} needs the output of {name}, which is not in {folder}: run it first")
        upstream[name] = stored.digest
    return replace(_parts_wanted(stage, config), facts=stage.facts(config, folder), upstream=upstream)


def _parts(identity: ids.Identity) -> dict[str, Any]:
    return {k: getattr(identity, k) for k in ("version", "schema", "settings", "facts", "upstream")}


def _process(
    stage: Stage,
    folder: str,
    config: Config,
    layout: list[str] | None,
    done: set[str],
    pool: Map,
    progress: Progress,
    offline: bool,
) -> None:
    shared = stage.prepare(config, folder) if stage.prepare else {}
    seen: list[str] = []

    def todo() -> Iterator[tuple[Stage, Shard]]:
        items = stage.source(config, folder) if stage.source else ((name, None) for name in layout or [])
        for name, payload in items:
            seen.append(name)
            if name not in done:
                yield stage, Shard(folder, name, config, payload, shared.get(name))
            elif stage.source:
                progress.advance(len(payload or []))

    status = ledgers.stage_status(folder, stage.name, stage.takes, stage.reads[0] if stage.reads else None)
    finished = status.ledger.get(stage.takes, {"in": 0})["in"]
    total = None if stage.source else finished + (status.pending or 0)
    mapper = map if stage.alone(config) else pool
    if settings := stage.engine(config):
        n = stage.talks_per_row(config)
        progress.start(stage.name, stage.makes, (total or 0) * n, finished * n, ticks=True)
        jobs = _talked(stage, folder, config, settings, todo(), (status.pending or 0) * n, progress, offline)
        for _ in mapper(_process_shard, jobs):
            pass
        return
    progress.start(stage.name, stage.takes, total, 0 if stage.source else finished, stage.ticks)
    for n in mapper(_process_shard, todo()):
        if not stage.ticks:
            progress.advance(n)
    if stage.source:
        kept = ledgers.stage_status(folder, stage.name, stage.takes, None).ledger
        if kept.get(stage.takes, {"kept": 0})["kept"] == 0:
            reasons = _reasons(folder, stage, kept)
            shards.remove(shards.join(folder, stage.name))
            raise InputError(f"{config.input.path}: no document could be used: {reasons or 'it holds none'}")
        shards.write_json(shards.join(folder, stage.name, LAYOUT), seen)


def _talked(
    stage: Stage,
    folder: str,
    config: Config,
    settings: EngineConfig,
    jobs: Iterator[tuple[Stage, Shard]],
    expected: int,
    progress: Progress,
    offline: bool,
) -> Iterator[tuple[Stage, Shard]]:
    """The shards with the results of their conversations, in the order in which those end."""
    place = paid.folder(folder, stage.name)
    waiting: dict[str, Shard] = {}

    def talks() -> Iterator[converse.Talk]:
        for _, shard in jobs:
            waiting[shard.name] = shard
            assert stage.talk, "a stage with an engine talks to it"
            yield converse.Talk(shard.name, stage.talk(shard), Journal(place / (shard.name + journal.SUFFIX)))

    if offline:
        for talk in talks():
            yield stage, replace(waiting.pop(talk.name), payload=converse.replay(talk))
        return
    budget = paid.budget(folder, config, stage.name)
    driver = converse.Driver(talks(), budget, expected, progress.advance)
    for talk in converse.hold(driver, engines.start(settings, str(place), stage.others(config))):
        yield stage, replace(waiting.pop(talk.name), payload=talk.results)


def _reasons(folder: str, stage: Stage, ledger: Ledger) -> str:
    """Why no row of the unit a stage takes was kept: the reasons with their counts, and the first row's."""
    left = ledger.get(stage.takes, {"rejected": {}, "failed": {}})
    counts = ", ".join(f"{reason} ({n})" for reason, n in {**left["failed"], **left["rejected"]}.items())
    dropped = shards.join(folder, stage.name, "dropped")
    rows = (row for name in shards.names(dropped) for row in shards.read_rows(f"{dropped}/{name}.parquet", Dropped))
    first = next((row for row in rows if row.unit == stage.takes), None)
    return f"{counts}; the first: {first.detail}" if first and first.detail else counts


def _process_shard(job: tuple[Stage, Shard]) -> int:
    """Process and write one shard; runs in a worker. Returns how many rows of the unit it takes it dealt with."""
    stage, shard = job
    try:
        output = stage.process(shard)
        if stage.source:
            came_in = {row.row_id if isinstance(row, Dropped) else row.doc_id for row in shard.payload}
        else:
            columns = list(records.UNIT_COLUMNS[stage.takes])
            came_in = records.unit_keys_of_table(stage.takes, shard.table(stage.reads[0], columns))
        entry = ledgers.account(stage.name, stage.takes, stage.makes, came_in, output.rows, output.dropped)
    except Exception as e:
        e.add_note(f"while {stage.name} processed {shard.name}")
        raise
    tables = {"dropped": (Dropped, output.dropped), **output.tables}
    for table, (record, rows) in tables.items():
        shards.write_rows(shard.path(stage.name, table), record, rows)
    shards.write_rows(shard.path(stage.name), stage.record, output.rows, entry)
    return entry[stage.takes]["in"]


def _summary(stage: Stage, folder: str, config: Config, seconds: float | None, progress: Progress) -> Ledger:
    """Check the stage's ledger against its upstream's, store it beside the shards and return it."""
    here = shards.join(folder, stage.name)
    total = ledgers.stage_status(folder, stage.name, stage.takes, stage.reads[0] if stage.reads else None).ledger
    stored = shards.read_json(shards.join(here, "ledger.json"))
    if seconds is not None or stored is None:
        spent = (stored or {}).get("seconds", 0) + (seconds or 0)
        usage = paid.usage(folder, stage.name, config) if stage.engine(config) else None
        summary = {"units": total, "seconds": round(spent, 1)} | ({"usage": usage} if usage else {})
        shards.write_json(shards.join(here, "ledger.json"), summary)
        if seconds is not None:
            progress.finish(total, seconds)
            if usage:
                progress.say(f"{'':9}{paid.sentence(usage)}")
    return total
