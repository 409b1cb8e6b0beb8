"""The stages, unchanged, over the world's documents and with the simulated model.

The folders of `chunk` and `cluster` are written as those stages would leave them, `embed` is run. A stage that asks a
model takes its replies from its journal, as after a kill: first its conversations are carried on with an engine in this
process, then the stage is run offline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from datagen import shards
from datagen.config.llm import PriceConfig
from datagen.config.model import Config
from datagen.executors import local as executors
from datagen.llm.base import Account, Backend, Completion, Request, Stream
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob, drive
from datagen.llm.traffic import Traffic
from datagen.records import Chunk, Cluster, Dropped
from datagen.run import identity
from datagen.run import ledger as ledgers
from datagen.run.ledger import Ledger
from datagen.run.paths import RunPaths
from datagen.run.shard import Shard
from datagen.stages import embed, runner
from datagen.stages.stage import Conversations, Stage
from datagen.text import tokenizers

from .documents import Document, World
from .model import Model

AT_ONCE = 512  # requests, so that a journal is fsynced as seldom
DOCUMENTS_PER_SHARD = 50


@dataclass
class Simulated(Backend):
    """An engine whose replies are the model's. Counts what is asked, and notes what the model got wrong."""

    model: Model
    calls: Counter[str] = field(default_factory=Counter)  # by what they are for
    mistakes: dict[str, list[str]] = field(default_factory=dict)  # by the question's text: "check: what happened"

    room = AT_ONCE

    async def complete(
        self, request: Request, stream: Stream | None = None, account: Account | None = None
    ) -> Completion:
        return self._completion(request)

    def _completion(self, request: Request) -> Completion:
        name = request.check or "generate"
        self.calls[name] += 1
        reply = self.model.reply(request.messages, request.schema, request.sample)
        if reply.mistake:
            self.mistakes.setdefault(reply.question, []).append(f"{name}: {reply.mistake}")
        return Completion(request.key, text=reply.text, finish="stop", check=request.check)


def run(stage: Stage, folder: str, config: Config, engine: Simulated) -> None:
    """Bring a stage that asks a model to its end."""
    for _ in drive(_jobs(stage, folder, config), engine, Budget(PriceConfig()), expected=0):
        pass
    run_offline(stage, folder, config)


def run_offline(stage: Stage, folder: str, config: Config) -> None:
    with executors.pool(1) as pool:
        runner.run(stage, folder, config, "never", pool, _Silent(), offline=True)


class _Silent:
    """A run that nobody watches."""

    def start(self, stage: str, unit: str, total: int | None, done: int, ticks: bool) -> None: ...
    def advance(self, n: int) -> None: ...
    def heard(self, traffic: Traffic) -> None: ...
    def finish(self, ledger: Ledger, seconds: float) -> None: ...
    def say(self, message: str) -> None: ...


def _jobs(stage: Stage, folder: str, config: Config) -> Iterator[ShardJob]:
    for name in RunPaths(folder).names("chunk"):
        assert isinstance(stage.work, Conversations)
        begin = partial(stage.work.start, Shard(folder, name, config))
        yield ShardJob(name, RunPaths(folder).journal(stage.name, name), begin)


# The folders before `generate` ----------------------------------------------------------------------------------------


def write(world: World, folder: str, config: Config) -> None:
    """A run directory in which all up to `cluster` is finished."""
    parts = [world.documents[i : i + DOCUMENTS_PER_SHARD] for i in range(0, len(world.documents), DOCUMENTS_PER_SHARD)]
    named = {f"shard-{i:05d}": part for i, part in enumerate(parts)}
    tokenizer = tokenizers.load(config.chunk.tokenizer)
    _write(folder, "chunk", Chunk, named, lambda document: _chunks(document, tokenizer), "chunk")
    shards.write_json(RunPaths(folder).layout_file, list(named))
    run_offline(embed.STAGE, folder, config)
    _write(folder, "cluster", Cluster, named, _clusters, "cluster")


def _write(
    folder: str,
    stage: str,
    record: type,
    named: dict[str, list[Document]],
    rows_of: Callable[[Document], list[Any]],
    makes: str,
) -> None:
    for name, documents in named.items():
        rows = [row for document in documents for row in rows_of(document)]
        entry = ledgers.account(stage, "document", makes, {document.doc_id for document in documents}, rows, [])
        shards.write_rows(shards.join(folder, stage, name + shards.SUFFIX), record, rows, entry)
        shards.write_rows(shards.join(folder, stage, "dropped", name + shards.SUFFIX), Dropped, [])
    identity.save(shards.join(folder, stage), identity.Identity(stage, 0, "", {}, {}, {}))


def _chunks(document: Document, tokenizer: tokenizers.Tokenizer) -> list[Chunk]:
    rows, at = [], 0
    for i, (text, n) in enumerate(zip(document.chunks, tokenizer.count(document.chunks), strict=True)):
        rows.append(Chunk(document.doc_id, i, at, at + len(text), n, text))
        at += len(text) + 1
    return rows


def _clusters(document: Document) -> list[Cluster]:
    """What a cluster is like is not measured here: similarities are noted as if all were alike."""
    return [
        Cluster(f"{document.doc_id}/c{i}", document.doc_id, chunks, 1.0, 0.5, 1.0)
        for i, chunks in enumerate(document.clusters)
    ]
