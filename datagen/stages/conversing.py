"""Feeds a stage's shards, as conversations, to what carries those on, and gives back the shards with their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from datagen import llm as engines
from datagen.config.model import Config
from datagen.llm import converse, journal
from datagen.llm import usage as paid
from datagen.llm.base import Conversation, Request
from datagen.llm.journal import Journal
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

    def talks() -> Iterator[converse.Talk]:
        for shard in todo:
            waiting[shard.name] = shard
            yield converse.Talk(shard.name, work.start(shard), Journal(place / (shard.name + journal.SUFFIX)))

    if offline:
        for talk in talks():
            yield waiting.pop(talk.name), converse.replay(talk)
        return
    main, *others = work.models(config)
    driver = converse.Driver(talks(), paid.budget(run, config, stage), expected, advance)
    for talk in converse.hold(driver, engines.start(main, str(place), others)):
        yield waiting.pop(talk.name), talk.results


def unasked(conversations: list[Conversation]) -> list[Any]:
    """The results of conversations that ask nothing."""
    results = []
    for conversation in conversations:
        try:
            next(conversation)
        except StopIteration as e:
            results.append(e.value)
        else:
            raise RuntimeError("a conversation asks a language model, and its stage names none")
    return results


def first_requests(conversations: list[Conversation]) -> list[Request]:
    """What each conversation asks first, if anything."""
    return [request for conversation in conversations if (request := next(conversation, None))]
