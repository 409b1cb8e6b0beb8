"""Documents without a row in the dataset: at which stage each fell out, why, and which setting would help."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from datagen import shards
from datagen.config.model import Config
from datagen.inspect.relaxing import UNHELPED, relaxed
from datagen.run.run import Run
from datagen.text import scripts

LEFT = ["unit", "row_id", "doc_id", "reason", "detail"]
LATER = ("cluster", "generate", "judge", "select")
LEAST_TOKENS = 16  # of chunk.max_tokens


@dataclass(frozen=True)
class Missing:
    """A document that gave no row. `script` is empty where its text is not kept; `stage` is the one that kept nothing
    of it, `reason` why most of what it had there left, `detail` what was seen in the first of these. `setting` would
    let more pass with `value`; it is empty where no setting would.
    """

    doc_id: str
    script: str
    stage: str
    reason: str
    detail: str
    setting: str = ""
    value: Any = None


def tell(run: Run) -> Iterator[Missing]:
    """Every document that gave no row, in the order of the input, a shard held at a time. One that a stage has not come
    to yet is none of them.
    """
    config = run.config
    for name in run.names("chunk"):
        yield from _of_shard(run, name, config)


def can_cluster(n_chunks: int, config: Config) -> bool:
    """Whether a document of so many chunks may have as many clusters as are wanted."""
    return n_chunks >= config.cluster.min_cluster_size * config.cluster.min_clusters


def too_short(run: Run, config: Config) -> Iterator[Missing | None]:
    """For every document that was cut into chunks, in the order of the input: why it can have no cluster, or None where
    it may have some.
    """
    for name in run.names("chunk"):
        for doc_id, sizes in _sizes(run, name).items():
            yield None if can_cluster(len(sizes), config) else _too_few_chunks(doc_id, sizes, config)


def _sizes(run: Run, name: str) -> dict[str, list[int]]:
    """The tokens of each chunk of a shard's documents."""
    chunks = _read(run, "chunk", name, ["doc_id", "n_tokens"])
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for doc_id, n_tokens in zip(chunks["doc_id"].to_pylist(), chunks["n_tokens"].to_pylist(), strict=True):
        sizes[doc_id].append(n_tokens)
    return sizes


def _of_shard(run: Run, name: str, config: Config) -> Iterator[Missing]:
    for row in _read(run, "chunk", name, LEFT, "dropped").to_pylist():
        yield _missing(row["row_id"], "chunk", row["reason"], row["detail"], config)
    sizes = _sizes(run, name)
    found: dict[str, Missing] = {}
    for stage in LATER:
        if name not in run.names(stage):
            break
        there = set(_read(run, stage, name, ["doc_id"])["doc_id"].to_pylist())
        gone = [doc_id for doc_id in sizes if doc_id not in there and doc_id not in found]
        left = _read(run, stage, name, LEFT, "dropped") if gone else None
        for doc_id in gone:
            reason, detail = _most(left, doc_id)
            if stage == "cluster" and reason not in UNHELPED and not can_cluster(len(sizes[doc_id]), config):
                found[doc_id] = _too_few_chunks(doc_id, sizes[doc_id], config)
            else:
                found[doc_id] = _missing(doc_id, stage, reason, detail, config)
    texts = _first_texts(run, name, set(found))
    for doc_id in sizes:
        if doc_id in found:
            yield replace(found[doc_id], script=scripts.script(texts[doc_id]))


def _read(run: Run, stage: str, name: str, columns: list[str], table: str = "") -> pa.Table:
    path = run.shard(stage, name, table)
    return shards.read_table(path, columns) if shards.exists(path) else pa.table({column: [] for column in columns})


def _first_texts(run: Run, name: str, wanted: set[str]) -> dict[str, str]:
    """The first chunks of documents."""
    if not wanted:
        return {}
    rows = _read(run, "chunk", name, ["doc_id", "chunk_index", "text"]).filter(pc.field("chunk_index") == 0)
    texts = zip(rows["doc_id"].to_pylist(), rows["text"].to_pylist(), strict=True)
    return {doc_id: text for doc_id, text in texts if doc_id in wanted}


def _most(left: pa.Table | None, doc_id: str) -> tuple[str, str]:
    """The reason for which most of a document's rows left a stage, and what was seen in the first of these. What is
    said of the document itself comes before what is said of its parts, and that before their sum.
    """
    rows = left.filter(pc.field("doc_id") == doc_id).to_pylist() if left else []
    for unit in ("document", "candidate", "cluster"):
        of = [row for row in rows if row["unit"] == unit]
        if of:
            ((reason, _),) = Counter(row["reason"] for row in of).most_common(1)
            return reason, next(row["detail"] for row in of if row["reason"] == reason)
    return "no row", ""


def _too_few_chunks(doc_id: str, sizes: list[int], config: Config) -> Missing:
    """One that can have no cluster. Smaller chunks help, where it is not too short for that."""
    settings = config.cluster
    wanted = settings.min_cluster_size * settings.min_clusters
    detail = f"{len(sizes)} chunks, cluster.min_cluster_size is {settings.min_cluster_size}"
    if settings.min_clusters > 1:
        detail += f", cluster.min_clusters is {settings.min_clusters}"
    smaller = min(sum(sizes) // (2 * wanted), config.chunk.max_tokens // 2)
    if smaller >= LEAST_TOKENS:
        return Missing(doc_id, "", "cluster", "too few chunks", detail, "chunk.max_tokens", smaller)
    fewer = len(sizes) // settings.min_clusters
    setting = ("cluster.min_cluster_size", fewer) if fewer > 1 else ("", None)
    return Missing(doc_id, "", "cluster", "too few chunks", detail, *setting)


def _missing(doc_id: str, stage: str, reason: str, detail: str, config: Config) -> Missing:
    return Missing(doc_id, "", stage, reason, detail, *relaxed(stage, reason, detail, config))
