"""What became of a document: at each stage how many rows of it there were, and why each one left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datagen import records, shards
from datagen.inspect.ids import Place
from datagen.records import Dropped
from datagen.run.ledger import Ledger
from datagen.run.paths import RunPaths
from datagen.run.tables import TABLES, Table


@dataclass(frozen=True)
class StageRows:
    """The rows of one document at a stage. `done`: the stage has come to the document's shard."""

    stage: str
    done: bool
    rows: Ledger  # by kind of row; empty where nothing of the document came to the stage
    left: list[Dropped]


@dataclass(frozen=True)
class DocumentStory:
    """What became of a document, stage by stage."""

    id: str
    doc_id: str
    source: str  # where in the input it came from; empty if it was set aside
    n_chunks: int
    n_tokens: int
    stages: list[StageRows]
    splits: dict[str, int]  # rows of the dataset, by split
    summary: str  # in a sentence
    unit: str = "document"


def tell(run: str, place: Place) -> DocumentStory:
    """The story of the document that stands there."""
    doc_id = place.doc_id
    stages = [_stage(run, table, place) for table in TABLES.values()]
    sources = _rows(run, place, "chunk", ["source"], "documents")["source"].to_pylist()
    n_tokens = _rows(run, place, "chunk", ["n_tokens"])["n_tokens"].to_pylist()
    splits = dict(sorted(Counter(_rows(run, place, "select", ["split"])["split"].to_pylist()).items()))
    source = sources[0] if sources else ""
    return DocumentStory(doc_id, doc_id, source, len(n_tokens), sum(n_tokens), stages, splits, _summary(stages, splits))


def _stage(run: str, table: Table, place: Place) -> StageRows:
    if not shards.exists(RunPaths(run).shard(table.name, place.shard)):
        return StageRows(table.name, False, {}, [])
    left = _left(run, place, table.name)
    units = dict.fromkeys((table.input_unit, table.output_unit))
    rows = _rows(run, place, table.name, sorted({column for unit in units for column in records.UNIT_COLUMNS[unit]}))
    found = {
        unit: _entry(records.unit_keys_of_table(unit, rows), [d for d in left if d.unit == unit]) for unit in units
    }
    return StageRows(table.name, True, {unit: entry for unit, entry in found.items() if entry["in"]}, left)


def _entry(kept: set[str], left: list[Dropped]) -> dict[str, Any]:
    counts = {status: Counter(d.reason for d in left if d.status == status) for status in ("rejected", "failed")}
    reasons = {status: dict(sorted(counted.items())) for status, counted in counts.items()}
    return {"in": len(kept) + len(left), "kept": len(kept), **reasons}


def _left(run: str, place: Place, stage: str) -> list[Dropped]:
    """The rows about the document that left. A row of the input goes by its own name: what could not be read may bear
    the id of a document that could.
    """
    rows = shards.read_rows(RunPaths(run).shard(stage, place.shard, "dropped"), Dropped)
    return [d for d in rows if (d.row_id if d.unit == "document" else d.doc_id) == place.doc_id]


def _rows(run: str, place: Place, stage: str, columns: list[str], table: str = "") -> pa.Table:
    """Some columns of the rows about the document; none where the stage has not come to its shard."""
    path = RunPaths(run).shard(stage, place.shard, table)
    names = list(dict.fromkeys(["doc_id", *columns]))
    if not shards.exists(path):
        return pa.table({name: [] for name in names})
    return shards.read_table(path, names).filter(pc.field("doc_id") == place.doc_id)


def _summary(stages: list[StageRows], splits: dict[str, int]) -> str:
    if splits:
        rows = f"{sum(splits.values()):,} row{'s' * (sum(splits.values()) != 1)}"
        return f"It gave {rows} of the dataset: {', '.join(f'{n:,} {split}' for split, n in splits.items())}."
    last = max(i for i, stage in enumerate(stages) if stage.rows)
    unit = TABLES[stages[last].stage].output_unit
    if stages[last].rows.get(unit, {"kept": 0})["kept"]:
        return f"It has given no row yet: {stages[last + 1].stage} has not come to it."
    reasons = Counter(d.reason for d in stages[last].left)
    why = ", ".join(f"{reason} ({n:,})" for reason, n in reasons.most_common())
    return f"It gave no row: {stages[last].stage} kept no {unit} of it" + (f": {why}." if why else ".")
