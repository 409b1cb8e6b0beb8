"""A stage is data: the table it writes, the settings that change its rows, and its work, which is of one of four kinds.

`runner` runs one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from datagen import records
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, settings_of
from datagen.llm.base import LLM, Conversation
from datagen.llm.need import Asks
from datagen.run import identity
from datagen.run.identity import Identity
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.run.tables import Table


@dataclass(frozen=True)
class Source:
    """Reads the input: `read(config)` gives shards, by name, of documents and of rows set aside; `process` makes a
    shard's rows of them. `layout` are the settings and fingerprints that decide which row is in which shard.
    """

    read: Callable[[Config], Iterator[tuple[str, list[Any]]]]
    process: Callable[[Shard, list[Any]], Output]
    layout: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PerShard:
    """Makes one shard of another. `reports_progress`: it says how far it is within a shard, by `executors.tick`."""

    process: Callable[[Shard], Output]
    reports_progress: bool = False


def _asks_nothing(config: Config) -> list[Asks]:
    return []


def _once(config: Config) -> int:
    return 1


@dataclass(frozen=True)
class Conversations:
    """Talks with language models about a shard. `start` gives its conversations, each of which asks the LLM that it is
    given, or nothing; `finish` makes rows of their results, aligned with them. `models` are the engines that are asked
    by what they are asked for, the main one under "" and first; where there are none, conversations run in the workers.
    `asks`: the kinds of their requests, for what is said of the context that those need.
    `per_row`: how many there are for each row that comes in. `trial` comes before all of them, once: it raises
    UserError where the models are of no use for this, and what it returns is kept beside the rows.
    """

    start: Callable[[Shard, LLM], list[Conversation[Any]]]
    finish: Callable[[Shard, list[Any]], Output]
    models: Callable[[Config], dict[str, EngineConfig]]
    asks: Callable[[Config], list[Asks]] = _asks_nothing
    per_row: Callable[[Config], int] = _once
    trial: Callable[[Run, Config, LLM], Conversation[dict[str, Any] | None]] | None = None


@dataclass(frozen=True)
class Global:
    """Decides over the narrow columns of all shards at once: `plan(config, run)` by shard name, and `apply` does what
    was decided for one.
    """

    plan: Callable[[Config, Run], dict[str, Any]]
    apply: Callable[[Shard, Any], Output]


def _no_fingerprints(config: Config, run: Run) -> dict[str, Any]:
    return {}


def _never(config: Config) -> bool:
    return False


def _nothing(config: Config) -> None:
    pass


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline."""

    table: Table  # what it reads and writes
    settings: tuple[str, ...] | Callable[[Config], tuple[str, ...]]  # config sections or fields that change its bytes
    work: Source | PerShard | Conversations | Global
    fingerprints: Callable[[Config, Run], dict[str, Any]] = _no_fingerprints  # hashes of content it depends on
    main_process_only: Callable[[Config], bool] = _never  # one process does all of it: it has the GPUs, or only waits
    names_gpu: Callable[[Config], bool] = _never  # it is to be done by a GPU, on whichever machine
    check: Callable[[Config], None] = _nothing  # raises UserError for what it would lack later: a package, a device
    version: int = 1  # raise it when the code starts to write other bytes

    @property
    def name(self) -> str:
        """Its command, its config section and its folder are called the same."""
        return self.table.name

    def models(self, config: Config) -> dict[str, EngineConfig]:
        """The language models it asks by what they are asked for, such as a check; the main one under "" and first."""
        return self.work.models(config) if isinstance(self.work, Conversations) else {}

    def identity(self, config: Config) -> Identity:
        """What it would be written under, but for the content it depends on and the stages before it."""
        schema = identity.digest([(f.name, str(f.type)) for f in records.schema(self.table.record)])
        names = self.settings(config) if callable(self.settings) else self.settings
        return Identity(self.name, self.version, schema, settings_of(config, *names), {}, {})
