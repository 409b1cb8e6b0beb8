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

    def vectors(self) -> dict[str, np.ndarray]:
        """(n_chunks, dim) float16 unit vectors of the chunks of each of its documents, in order."""
        found: dict[str, list[np.ndarray]] = {}
        for row in self.rows("embed", Embedding):
            found.setdefault(row.doc_id, []).append(row.vector)
        return {doc_id: np.stack(vectors) for doc_id, vectors in found.items()}

    def table(self, stage: str, columns: list[str]) -> pa.Table:
        """Some columns of what a stage wrote."""
        return shards.read_table(self.path(stage), columns)


@dataclass(frozen=True)
class Output:
    """What a stage makes of a shard. Side tables are written to sub-folders, before the rows."""

    rows: list[Any]
    dropped: list[Dropped] = field(default_factory=list)
    tables: dict[str, list[Any]] = field(default_factory=dict)
