"""Feeds a stage's shards, as conversations, to what carries those on, and gives back the shards with their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from datagen import llm as engines
from datagen.config.llm import EngineConfig
from datagen.config.model import Config
from datagen.llm import drive, journal
from datagen.llm import usage as paid
from datagen.llm.base import LLM, Completion, Conversation, Request, Stream
from datagen.llm.drive import ShardJob
from datagen.run.identity import digest
from datagen.run.run import Run
from datagen.run.shard import Shard
from datagen.stages.stage import Conversations


def talked(
    work: Conversations,
    stage: str,
    run: Run,
    config: Config,
    todo: Iterator[Shard],
    expected: int,
    advance: Callable[[int], None],
    offline: bool,
) -> Iterator[tuple[Shard, list[Any]]]:
    """The shards with the results of their conversations, in the order in which those end.

    `expected` is how many conversations there will be, `advance(n)` is called as n more have ended. `offline`: replies
    come from the journals alone.
    """
    place = run.journals(stage)
    waiting: dict[str, Shard] = {}
    revisions = {engine.model: revision(engine) for engine in reversed(work.models(config))}

    def jobs() -> Iterator[ShardJob]:
        for shard in todo:
            waiting[shard.name] = shard
            begin = partial(_begin, work, shard, revisions)
            yield ShardJob(shard.name, place / (shard.name + journal.SUFFIX), begin)

    if offline:
        done = map(drive.replay, jobs())
    else:
        main, *others = work.models(config)
        backend = engines.start(main, str(place), others)
        done = drive.drive(jobs(), backend, paid.budget(run, config, stage), expected, advance)
    for job in done:
        yield waiting.pop(job.name), job.results


def revision(engine: EngineConfig) -> str:
    """What makes replies of the model others than those of another with its name; empty where nothing is set."""
    arguments = engine.counted("vllm")
    return " ".join(filter(None, (engine.revision, digest(arguments) if arguments else "")))


def _begin(work: Conversations, shard: Shard, revisions: dict[str | None, str], llm: LLM) -> list[Conversation[Any]]:
    return work.start(shard, _Revised(llm, revisions))


@dataclass
class _Revised:
    """Requests go on to `llm` with the revisions of their models: no reply of another one is taken for theirs."""

    llm: LLM
    revisions: dict[str | None, str]  # by model

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        return await self.llm.complete(replace(request, revision=self.revisions.get(request.model, "")), stream)
