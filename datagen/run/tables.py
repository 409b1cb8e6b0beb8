"""The schema of a run: what each stage writes, from which rows, in running order."""

from __future__ import annotations

from dataclasses import dataclass, field

from datagen.records import Candidate, Chunk, Cluster, Document, Embedding, Judgement, Selection


@dataclass(frozen=True)
class Table:
    """What one stage writes: rows of `record`, of the kind `output_unit`. Every row of the kind `input_unit` of the
    first stage it `reads` is accounted for. `side` are its other tables by name, besides "dropped", which all have.
    `whole`: a row may depend on any shard of what it reads, not on the shard of its own name alone.
    """

    name: str
    record: type
    input_unit: str
    output_unit: str
    reads: tuple[str, ...] = ()
    side: dict[str, type] = field(default_factory=dict)
    whole: bool = False


CHUNK = Table("chunk", Chunk, "document", "chunk", side={"documents": Document})
EMBED = Table("embed", Embedding, "chunk", "chunk", ("chunk",))
CLUSTER = Table("cluster", Cluster, "document", "cluster", ("chunk", "embed"))
GENERATE = Table("generate", Candidate, "cluster", "candidate", ("cluster", "chunk"))
JUDGE = Table("judge", Judgement, "candidate", "candidate", ("generate", "chunk", "cluster", "embed"))
SELECT = Table("select", Selection, "candidate", "candidate", ("judge", "generate", "chunk"), whole=True)
TABLES = {table.name: table for table in (CHUNK, EMBED, CLUSTER, GENERATE, JUDGE, SELECT)}


def after(table: Table) -> list[Table]:
    """The tables that are made of this one, by whatever way."""
    found = [table]
    for other in TABLES.values():
        if any(before.name in other.reads for before in found):
            found.append(other)
    return found[1:]
