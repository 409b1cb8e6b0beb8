"""Feeds a stage's shards, as conversations, to what carries those on, and gives back the shards with their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from datagen import llm as engines
from datagen.config.model import Config
from datagen.llm import drive, journal
from datagen.llm import usage as paid
from datagen.llm.drive import ShardJob
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

    def jobs() -> Iterator[ShardJob]:
        for shard in todo:
            waiting[shard.name] = shard
            yield ShardJob(shard.name, place / (shard.name + journal.SUFFIX), partial(work.start, shard))

    if offline:
        done = map(drive.replay, jobs())
    else:
        main, *others = work.models(config)
        backend = engines.start(main, str(place), others)
        done = drive.drive(jobs(), backend, paid.budget(run, config, stage), expected, advance)
    for job in done:
        yield waiting.pop(job.name), job.results
