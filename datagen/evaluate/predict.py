"""Asks a model the questions of a benchmark, shard by shard: resumable, every reply journalled before it is used.

A folder of predictions holds `run.json` (what was asked, of whom, how, and how many questions there are),
`predictions-00000.parquet` … and `journal/`. A shard is done once it holds all its questions and none of them failed;
what failed is asked again by the next run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

from datagen import llm, prompts, records, shards
from datagen.config.model import Config
from datagen.console import Reporter
from datagen.errors import DamagedFile, InputError, StaleStage
from datagen.evaluate import asking, benchmarks
from datagen.evaluate.asking import Asked, Asker
from datagen.evaluate.item import Item
from datagen.evaluate.prediction import RECORD, Prediction
from datagen.grounded import Form
from datagen.llm import cost, drive, journal, window
from datagen.llm.base import LLM, Backend, Conversation, Request
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob
from datagen.llm.traffic import Traffic
from datagen.run import lock
from datagen.run.identity import Change, digest
from datagen.run.ledger import Ledger
from datagen.run.paths import RunPaths
from datagen.stages import spending
from datagen.stages.conversing import revision
from datagen.text import sources
from datagen.text.files import File

VERSION = 1  # of how questions are read and asked: another one makes other prompts of the same files
STAGE = "evaluate"  # as journals, progress and refusals name it
PREFIX, PER_SHARD = "predictions-", 16  # a question is a whole document
OPEN = 128  # questions whose prompts are in memory at once, and a shard more, unless --concurrency says more


@dataclass(frozen=True)
class Evaluation:
    """What is to be asked. `data`: a path that the benchmark's reader takes; `limit`: only the first questions."""

    folder: str
    benchmark: str
    data: str
    config: Config
    form: Form
    sampling: dict[str, Any]
    limit: int | None = None

    @property
    def asker(self) -> Asker:
        """What all questions are asked with."""
        return Asker(self.form, prompts.load("choice"), self.config.engine, self.sampling)

    def items(self, files: list[File]) -> Iterator[Item]:
        """The questions. Raises InputError, naming file, row and column."""
        return islice(benchmarks.items(self.benchmark, files, self.config.input), self.limit)

    def shard(self, name: str) -> str:
        """A shard's file."""
        return shards.join(self.folder, name + shards.SUFFIX)

    @property
    def paths(self) -> RunPaths:
        """Where the journals are."""
        return RunPaths(self.folder)


def settings(given: Evaluation, files: list[File]) -> dict[str, Any]:
    """All that decides what is asked and answered, by the name a person has for it."""
    engine = given.config.engine
    found: dict[str, Any] = {
        "benchmark": given.benchmark,
        "content of the data": sources.fingerprint(files, {}, given.config.input),
        "model": engine.model,
        "revision of the model": revision(engine),
        "version of the questions": VERSION,
        "columns": digest([str(field) for field in records.schema(Prediction)]),
        **given.sampling,
    }
    if given.benchmark == "dataset":  # its prompts are ready
        return found
    return found | {
        "chunk.tokenizer": given.form.tokenizer.name,
        "content of the tokenizer": given.form.tokenizer.identity,
        "chunk.max_tokens": given.form.max_tokens,
        "chunk.published": given.form.published,
        "prompt": given.form.prompt.digest,
        "prompt of choices": given.asker.choice.digest,
    }


def preview(given: Evaluation, n: int) -> list[Request]:
    """The first requests, as they would be sent. Raises InputError."""
    files = benchmarks.BENCHMARKS[given.benchmark].find(given.data)
    return [asking.asked(item, given.asker).request for item in islice(given.items(files), n)]


def ask(given: Evaluation, reporter: Reporter, anew: bool = False, offline: bool = False) -> Ledger:
    """Bring a folder of predictions to its end and return its ledger. Nothing is asked that a journal has a reply to.

    anew: what was written there goes first, but for replies in journals. offline: all replies come from the journals.
    Raises StaleStage, naming what differs, for a folder of other settings; InputError for the data, before anything is
    asked; EngineError and OverBudget as `llm.drive.drive` does.
    """
    started = time.monotonic()
    files = benchmarks.BENCHMARKS[given.benchmark].find(given.data)
    total = sum(1 for _ in given.items(files))  # so that a bad row is found before anything is paid for
    if not total:
        raise InputError(f"{given.data}: it holds no question")
    with lock.locked(given.folder):
        _keep_settings(given, settings(given, files), total, anew)
        sizes = {f"{PREFIX}{at:05d}": min(PER_SHARD, total - at * PER_SHARD) for at in range(-(-total // PER_SHARD))}
        there = {name: _errors(given, name) for name in sizes}
        # One of an earlier run with a higher limit keeps its length: none of its rows is given up
        sizes = {name: max(n, len(there[name] or ())) for name, n in sizes.items()}
        todo = {name: n for name, n in sizes.items() if len(found := there[name] or ()) < n or any(found)}
        reporter.start(STAGE, "question", sum(sizes.values()), sum(sizes.values()) - sum(todo.values()))
        if todo:
            _ask(given, files, todo, reporter, offline)
        ledger = _ledger(given, sizes)
        reporter.finish(ledger, time.monotonic() - started)
        return ledger


def usage(given: Evaluation) -> dict[str, Any]:
    """What all replies took in tokens, seconds and US dollars (None without prices), as `llm.usage.usage` says it."""
    price, found = given.config.engine.price, journal.usage(given.paths.journal_files(STAGE))
    return found | {"dollars": round(cost.of(price, found), 10) if price.prompt + price.completion else None}


def _keep_settings(given: Evaluation, wanted: dict[str, Any], total: int, anew: bool) -> None:
    place = shards.join(given.folder, RECORD)
    there = [name for name in shards.names(given.folder) if name.startswith(PREFIX)]
    if there and not anew:
        try:
            before = (shards.read_object(place) or {}).get("settings") or {}
        except DamagedFile:  # nobody knows any more
            before = {}
        changes = [
            str(Change(name, before.get(name), wanted.get(name)))
            for name in sorted(before.keys() | wanted.keys())
            if before.get(name) != wanted.get(name)
        ]
        if changes:
            head = f"{given.folder} holds answers to what was asked otherwise:"
            raise StaleStage("\n".join([head, *(f"  {change}" for change in changes)]), STAGE)
    for name in there if anew else []:
        shards.remove(given.shard(name))
    about = {"questions": total, "data": given.data, "prompt": given.form.prompt.name}
    shards.write_json(place, {"settings": wanted} | about)


def _errors(given: Evaluation, name: str) -> list[str] | None:
    """The errors of a shard's rows, "" for a row without one; None for a shard that has to be made."""
    path = given.shard(name)
    try:
        return shards.read_table(path)["error"].to_pylist() if shards.exists(path) else None
    except DamagedFile:  # it is made again of its journal
        return None


def _ask(given: Evaluation, files: list[File], todo: dict[str, int], reporter: Reporter, offline: bool) -> None:
    """Make the shards of these names, each of so many questions."""
    engine = given.config.engine
    if offline:
        done = (drive.replay(job) for job in _jobs(given, files, todo, None, offline))
    else:
        spending.check(STAGE, {"": engine}, given.config.max_cost)
        backend: Backend = llm.start(engine, given.paths.journals(STAGE))
        if engine.kind == "openai" and engine.concurrency is None:
            backend.room = min(backend.room, OPEN)
        spent = usage(given)["dollars"] or 0.0 if given.config.max_cost is not None else 0.0
        budget = Budget(engine.price, given.config.max_cost, spent)
        jobs = _jobs(given, files, todo, _context(given))
        done = drive.drive(jobs, backend, budget, sum(todo.values()), reporter.advance, Traffic(reporter.heard))
    with closing(done):
        for job in done:
            shards.write_rows(given.shard(job.name), Prediction, job.results)


def _context(given: Evaluation) -> int | None:
    """The tokens of the largest window of the servers; None where one does not say its own."""
    engine = given.config.engine
    stated = window.stated(engine)
    servers = 1 if engine.kind == "vllm" else len({endpoint.base_url for endpoint in engine.endpoints})
    return max(stated.values()) if stated and len(stated) >= servers else None


def _jobs(
    given: Evaluation, files: list[File], todo: dict[str, int], context: int | None, offline: bool = False
) -> Iterator[ShardJob]:
    asker = given.asker
    most = max(int(name.removeprefix(PREFIX)) * PER_SHARD + n for name, n in todo.items())  # it may be above the limit
    for at, items in enumerate(_batches(replace(given, limit=most).items(files), PER_SHARD)):
        name = f"{PREFIX}{at:05d}"
        if name in todo:
            waiting = [asking.asked(item, asker, context) for item in items[: todo[name]]]
            del items  # of which the prompts are left
            if offline:
                waiting = _unsent(given, name, waiting)
            yield ShardJob(name, given.paths.journal(STAGE, name), partial(_begin, waiting))


def _unsent(given: Evaluation, name: str, waiting: list[Asked]) -> list[Asked]:
    """The questions, of which those that once were not sent, since they fitted no window, are not sent again: without a
    server, nobody else knows, and no journal has a reply to them.
    """
    try:
        before = shards.read_rows(given.shard(name), Prediction) if shards.exists(given.shard(name)) else []
    except DamagedFile:  # then they are missed in the journal
        return waiting
    unsent = {(row.item_id, row.length): row.error for row in before if row.error.startswith(asking.DOES_NOT_FIT)}

    def told(asked: Asked) -> Asked:
        row = asked.prediction
        return replace(asked, prediction=replace(row, error=unsent.get((row.item_id, row.length), row.error)))

    return [told(each) for each in waiting]


def _begin(waiting: list[Asked], llm: LLM) -> list[Conversation[Prediction]]:
    """The conversations, each of which has its prompt to itself, so that it goes when they end."""
    conversations: list[Conversation[Prediction]] = [asking.converse(llm, each) for each in waiting]
    waiting.clear()
    return conversations


def _batches(items: Iterable[Item], n: int) -> Iterator[list[Item]]:
    left = iter(items)
    while batch := list(islice(left, n)):
        yield batch


def _ledger(given: Evaluation, sizes: dict[str, int]) -> Ledger:
    """Of the shards asked for: how many questions they hold, and why some have no answer."""
    errors = [error for name in sizes for error in _errors(given, name) or []]
    failed = Counter(error.partition(": ")[0] for error in errors if error)
    kept = len(errors) - failed.total()
    return {"question": {"in": len(errors), "kept": kept, "rejected": {}, "failed": dict(sorted(failed.items()))}}
