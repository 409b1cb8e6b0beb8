"""One shard of a run: where its inputs stand, and what a stage makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from datagen import records, shards
from datagen.config.model import Config
from datagen.records import Chunk, Dropped


@dataclass(frozen=True)
class Shard:
    """One shard to process: where its inputs stand, and what all shards share."""

    run: str
    name: str
    config: Config
    payload: Any = None  # the source's documents (chunk), or the results of its conversations with a model
    shared: Any = None  # what `prepare` decided for this shard

    def path(self, stage: str, table: str = "") -> str:
        return shards.join(*filter(None, (self.run, stage, table, self.name + shards.SUFFIX)))

    def rows(self, stage: str, record: type, table: str = "") -> list[Any]:
        return shards.read_rows(self.path(stage, table), record)

    def texts(self) -> dict[str, list[str]]:
        """The chunk texts of each of its documents, in order."""
        return records.texts_by_document(self.rows("chunk", Chunk))

    def table(self, stage: str, columns: list[str]) -> pa.Table:
        return shards.read_table(self.path(stage), columns)


@dataclass(frozen=True)
class Output:
    """What a stage makes of a shard. Side tables are written to sub-folders, before the rows."""

    rows: list[Any]
    dropped: list[Dropped] = field(default_factory=list)
    tables: dict[str, tuple[type, list[Any]]] = field(default_factory=dict)
