"""Feeds a stage's shards, as conversations, to what carries those on, and gives back the shards with their results."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from datagen import llm, shards
from datagen.config.llm import EngineConfig
from datagen.config.model import Config
from datagen.llm import drive
from datagen.llm.base import LLM, Completion, Conversation, Request, Stream
from datagen.llm.drive import ShardJob
from datagen.llm.traffic import Traffic
from datagen.run.identity import digest
from datagen.run.paths import TRIAL
from datagen.run.run import Run
from datagen.run.shard import Shard
from datagen.run.share import WHOLE, Share
from datagen.stages import spending
from datagen.stages.stage import Conversations, Stage


def results(
    stage: Stage,
    work: Conversations,
    run: Run,
    config: Config,
    todo: Iterator[Shard],
    expected: int,
    advance: Callable[[int], None],
    heard: Callable[[Traffic], None],
    offline: bool,
    share: Share = WHOLE,
) -> Generator[tuple[Shard, list[Any]], None, None]:
    """The shards with the results of their conversations, in the order in which those end.

    `expected` is how many conversations there will be, `advance(n)` is called as n more have ended, `heard` about once
    a second while a model is asked. `offline`: replies come from the journals alone.
    """
    waiting: dict[str, Shard] = {}
    engines = stage.models(config)

    def jobs() -> Iterator[ShardJob]:
        for shard in todo:
            waiting[shard.name] = shard
            begin = partial(_begin, work, shard, engines)
            yield ShardJob(shard.name, run.journal(stage.name, shard.name), begin)

    place = run.trial_journal(stage.name, share)
    trial = ShardJob(TRIAL, place, partial(_try, work, run, config)) if work.trial else None
    if offline:
        if trial and trial.journal in run.journal_files(stage.name):  # an earlier version tried nothing out
            _keep(stage, run, drive.replay(trial))
        done = (drive.replay(job) for job in jobs())
    else:
        main, *others = engines.values()
        backend = llm.start(main, run.journals(stage.name), others)
        budget, traffic = spending.budget(run, stage, config, share), Traffic(heard)
        if trial:
            (tried,) = drive.drive(iter([trial]), backend, budget, 1, traffic=traffic)
            if not share.index:
                _keep(stage, run, tried)
        done = drive.drive(jobs(), backend, budget, expected, advance, traffic)
    with closing(done):
        for job in done:
            yield waiting.pop(job.name), job.results


def check_journals(stage: Stage, work: Conversations, run: Run, config: Config) -> None:
    """Raise UserError where a stage cannot be made anew from its journals, before what it made of them is removed."""
    engines = stage.models(config)
    if not engines or not all(map(run.is_complete, stage.table.reads)):
        return
    for name in run.layout or []:
        begin = partial(_begin, work, Shard(run.path, name, config), engines)
        drive.replay(ShardJob(name, run.journal(stage.name, name), begin))


def _try(work: Conversations, run: Run, config: Config, llm: LLM) -> list[Conversation[Any]]:
    assert work.trial
    return [work.trial(run, config, _Marked(llm, work.models(config)))]


def _keep(stage: Stage, run: Run, trial: ShardJob) -> None:
    """Write down what a trial showed, beside the rows."""
    (found,) = trial.results
    if found is None:
        shards.remove(run.trial(stage.name))
    else:
        shards.write_json(run.trial(stage.name), found)


def revision(engine: EngineConfig) -> str:
    """What makes replies of the model others than those of another with its name; empty where nothing is set."""
    arguments = engine.counted("vllm")
    return " ".join(filter(None, (engine.revision, digest(arguments) if arguments else "")))


def _begin(work: Conversations, shard: Shard, engines: Mapping[str, EngineConfig], llm: LLM) -> list[Conversation[Any]]:
    return work.start(shard, _Marked(llm, engines))


@dataclass
class _Marked(LLM):
    """Requests go on to `llm` with what is known of their model: its revision, so that no reply of another one is taken
    for theirs, and, where they don't say what they are for, what it is asked for: its price goes by that.
    """

    llm: LLM
    engines: Mapping[str, EngineConfig]

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        name = next((name for name, engine in self.engines.items() if engine.model == request.model), None)
        if name is not None:
            known = revision(self.engines[name])
            request = replace(request, revision=known, check=request.check or name)
        return await self.llm.complete(request, stream)

    def report(self, completion: Completion, problem: str = "") -> None:
        self.llm.report(completion, problem)

    async def disown(self, completions: Sequence[Completion], problem: str) -> None:
        await self.llm.disown(completions, problem)
