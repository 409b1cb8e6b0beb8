"""One shard of a run: where its inputs stand, and what a stage makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from datagen import records, shards
from datagen.config.model import Config
from datagen.records import Chunk, Dropped, Embedding
from datagen.run.paths import RunPaths
from datagen.run.tables import Table, after


@dataclass(frozen=True)
class Shard:
    """One shard to process, named alike in every folder of its run."""

    run: str
    name: str
    config: Config

    def path(self, stage: str, table: str = "") -> str:
        """The file that a stage writes, or has written, for this shard."""
        return RunPaths(self.run).shard(stage, self.name, table)

    def rows(self, stage: str, record: type, table: str = "") -> list[Any]:
        """The rows that a stage wrote. Raises UserError if they cannot be read."""
        return shards.read_rows(self.path(stage, table), record)

    def texts(self) -> dict[str, list[str]]:
        """The chunk texts of each of its documents, in order."""
        return records.texts_by_document(self.rows("chunk", Chunk))

    def discard_after(self, table: Table) -> None:
        """Remove what was made of this shard of a table, for the table's rows are about to change."""
        for other in after(table):
            shards.remove(RunPaths(self.run).folder(other.name) if other.whole else self.path(other.name))

    def vectors(self) -> dict[str, tuple[list[int], np.ndarray]]:
        """For each of its documents that has any vector: the numbers of the chunks that have one, in order, and their
        (n, dim) float16 unit vectors.
        """
        found: dict[str, list[Embedding]] = {}
        for row in self.rows("embed", Embedding):
            found.setdefault(row.doc_id, []).append(row)
        return {
            doc_id: ([row.chunk_index for row in rows], np.stack([row.vector for row in rows]))
            for doc_id, rows in found.items()
        }

    def table(self, stage: str, columns: list[str]) -> pa.Table:
        """Some columns of what a stage wrote."""
        return shards.read_table(self.path(stage), columns)


@dataclass(frozen=True)
class Output:
    """What a stage makes of a shard. Side tables are written to sub-folders, before the rows."""

    rows: list[Any]
    dropped: list[Dropped] = field(default_factory=list)
    tables: dict[str, list[Any]] = field(default_factory=dict)
