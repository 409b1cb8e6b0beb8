"""The schema of a run: what each stage writes, from which rows, in running order."""

from __future__ import annotations

from dataclasses import dataclass, field

from datagen.records import Candidate, Chunk, Cluster, Document, Embedding, Judgement, Selection


@dataclass(frozen=True)
class Table:
    """What one stage writes: rows of `record`, of the kind `output_unit`. Every row of the kind `input_unit` of the
    first stage it `reads` is accounted for. `side` are its other tables by name, besides "dropped", which all have.
    """

    name: str
    record: type
    input_unit: str
    output_unit: str
    reads: tuple[str, ...] = ()
    side: dict[str, type] = field(default_factory=dict)


CHUNK = Table("chunk", Chunk, "document", "chunk", side={"documents": Document})
EMBED = Table("embed", Embedding, "chunk", "chunk", ("chunk",))
CLUSTER = Table("cluster", Cluster, "document", "cluster", ("chunk", "embed"))
GENERATE = Table("generate", Candidate, "cluster", "candidate", ("cluster", "chunk"))
JUDGE = Table("judge", Judgement, "candidate", "candidate", ("generate", "chunk", "cluster", "embed"))
SELECT = Table("select", Selection, "candidate", "candidate", ("judge", "generate", "chunk"))
TABLES = {table.name: table for table in (CHUNK, EMBED, CLUSTER, GENERATE, JUDGE, SELECT)}
