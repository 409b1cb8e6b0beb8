"""A pipeline of two small stages, for the tests of what all stages share."""

import hashlib
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datagen import shards
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.executors import local as executors
from datagen.records import Chunk, Cluster, Document, Dropped
from datagen.run.ledger import Ledger
from datagen.run.shard import Output, Shard
from datagen.stages import stage
from datagen.stages.stage import Stage

TEXTS = ["one two three", "alone", "red green", "?", "", "a b c d", "x y", "last of all"]
DELAY = "TOY_DELAY"  # seconds that a shard takes


class Said:
    """Keeps what a person would see."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def start(self, stage: str, unit: str, total: int | None, done: int, ticks: bool) -> None:
        self.calls.append(("start", stage, unit, total, done))

    def advance(self, n: int) -> None:
        self.calls.append(("advance", n))

    def finish(self, ledger: Ledger, seconds: float) -> None:
        self.calls.append(("finish",))

    def say(self, message: str) -> None:
        self.calls.append(("say", message))

    def count(self, kind: str) -> int:
        return Counter(call[0] for call in self.calls)[kind]


def source(config: Config, run: str) -> Iterator[tuple[str, list[Any]]]:
    lines = Path(config.input.path or "").read_text().splitlines()[: config.input.limit]
    rows = [
        Document(f"d{i}", "", "", "{}", line)
        if line != "?"
        else Dropped("document", f"d{i}", f"d{i}", "failed", "odd", "")
        for i, line in enumerate(lines)
    ]
    size = config.chunk.documents_per_shard
    for i in range(0, len(rows), size):
        yield f"shard-{i // size:05d}", rows[i : i + size]


def words(shard: Shard) -> Output:
    time.sleep(float(os.environ.get(DELAY, 0)))
    rows, dropped = [], [row for row in shard.payload if isinstance(row, Dropped)]
    for document in shard.payload:
        if isinstance(document, Document):
            if document.text == "crash":
                raise KeyError("crash")
            found = document.text[: shard.config.chunk.max_tokens].split()
            rows += [Chunk(document.doc_id, i, 0, 0, 1, word) for i, word in enumerate(found)]
            if not found and shard.config.chunk.tokenizer != "forgetful":
                dropped.append(Dropped("document", document.doc_id, document.doc_id, "rejected", "empty", ""))
    return Output(rows, dropped, {"notes": (Chunk, rows[:1])})


def content(config: Config, run: str) -> dict[str, Any]:
    return {"input content": hashlib.sha256(Path(config.input.path or "").read_bytes()).hexdigest()}


def themes(shard: Shard) -> Output:
    time.sleep(float(os.environ.get(DELAY, 0)))
    counts = Counter(chunk.doc_id for chunk in shard.rows("chunk", Chunk))
    least = shard.config.cluster.min_cluster_size
    few = [Dropped("document", d, d, "rejected", "too few", str(n)) for d, n in counts.items() if n < least]
    rows = [Cluster(f"{d}/c0", d, list(range(n)), n, shard.shared, 0.0) for d, n in counts.items() if n >= least]
    return Output(rows, few)


def total(config: Config, run: str) -> dict[str, float]:
    """The global step: every shard learns how many chunks there are."""
    names = shards.names(shards.join(run, "chunk"))
    tables = [shards.read_table(shards.join(run, "chunk", name + shards.SUFFIX), ["doc_id"]) for name in names]
    return dict.fromkeys(names, float(sum(map(len, tables))))


CHUNK = Stage(
    name="chunk",
    record=Chunk,
    takes="document",
    makes="chunk",
    reads=(),
    settings=("input", "chunk"),
    process=words,
    facts=content,
    source=source,
    layout=frozenset({"input content", "input.limit", "chunk.documents_per_shard"}),
)
THEMES = Stage(
    name="cluster",
    record=Cluster,
    takes="document",
    makes="cluster",
    reads=("chunk",),
    settings=("cluster", "seed"),
    process=themes,
    prepare=total,
)


def with_ticks(shard: Shard) -> Output:
    for _ in shard.payload:
        executors.tick(1)
    return words(shard)


def in_the_main_process(shard: Shard) -> Output:
    assert multiprocessing.parent_process() is None
    return words(shard)


def set_up(tmp_path: Path, texts: list[str] = TEXTS, **overrides) -> tuple[str, Config]:
    """A run directory and the configuration for it."""
    file = tmp_path / "input.txt"
    file.write_text("".join(f"{text}\n" for text in texts))
    settings = {"input.path": str(file), "chunk.documents_per_shard": 2, "cluster.min_cluster_size": 2}
    return str(tmp_path / "run"), configs.load(None, settings | {k.replace("__", "."): v for k, v in overrides.items()})


def go(run: str, config: Config, resume: stage.Resume = "if-possible", workers: int = 1) -> Said:
    said = Said()
    with executors.pool(workers) as pool:
        for s in (CHUNK, THEMES):
            stage.run(s, run, config, resume, pool, said)
    return said
