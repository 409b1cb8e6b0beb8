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
from datagen.llm.traffic import Traffic
from datagen.records import Chunk, Cluster, Document, Dropped
from datagen.run.ledger import Ledger
from datagen.run.resume import Resume
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.run.tables import Table
from datagen.stages import runner
from datagen.stages.stage import Global, Source, Stage

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

    def heard(self, traffic: Traffic) -> None:
        self.calls.append(("heard", traffic.received))

    def finish(self, ledger: Ledger, seconds: float) -> None:
        self.calls.append(("finish",))

    def say(self, message: str) -> None:
        self.calls.append(("say", message))

    def count(self, kind: str) -> int:
        return Counter(call[0] for call in self.calls)[kind]


def source(config: Config) -> Iterator[tuple[str, list[Any]]]:
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


def words(shard: Shard, read: list[Any]) -> Output:
    time.sleep(float(os.environ.get(DELAY, 0)))
    rows, dropped = [], [row for row in read if isinstance(row, Dropped)]
    for document in read:
        if isinstance(document, Document):
            if document.text == "crash":
                raise KeyError("crash")
            found = document.text[: shard.config.chunk.max_tokens].split()
            rows += [Chunk(document.doc_id, i, 0, 0, 1, word) for i, word in enumerate(found)]
            if not found and shard.config.chunk.tokenizer != "forgetful":
                dropped.append(Dropped("document", document.doc_id, document.doc_id, "rejected", "empty", ""))
    return Output(rows, dropped, {"notes": rows[:1]})


def content(config: Config, run: Run) -> dict[str, Any]:
    return {"input content": hashlib.sha256(Path(config.input.path or "").read_bytes()).hexdigest()}


def themes(shard: Shard, n_chunks: float) -> Output:
    time.sleep(float(os.environ.get(DELAY, 0)))
    counts = Counter(chunk.doc_id for chunk in shard.rows("chunk", Chunk))
    least = shard.config.cluster.min_cluster_size
    few = [Dropped("document", d, d, "rejected", "too few", str(n)) for d, n in counts.items() if n < least]
    rows = [Cluster(f"{d}/c0", d, list(range(n)), n, n_chunks, 0.0) for d, n in counts.items() if n >= least]
    return Output(rows, few)


def total(config: Config, run: Run) -> dict[str, float]:
    """The global step: every shard learns how many chunks there are."""
    names = run.names("chunk")
    tables = [shards.read_table(run.shard("chunk", name), ["doc_id"]) for name in names]
    return dict.fromkeys(names, float(sum(map(len, tables))))


LAYOUT = frozenset({"input content", "input.limit", "chunk.documents_per_shard"})
CHUNK = Stage(
    Table("chunk", Chunk, "document", "chunk", side={"notes": Chunk}),
    ("input", "chunk"),
    Source(source, words, LAYOUT),
    fingerprints=content,
)
THEMES = Stage(Table("cluster", Cluster, "document", "cluster", ("chunk",)), ("cluster", "seed"), Global(total, themes))


def with_ticks(shard: Shard) -> Output:
    for _ in {chunk.doc_id for chunk in shard.rows("chunk", Chunk)}:
        executors.tick(1)
    return themes(shard, 0.0)


def in_the_main_process(shard: Shard, read: list[Any]) -> Output:
    assert multiprocessing.parent_process() is None
    return words(shard, read)


def set_up(tmp_path: Path, texts: list[str] = TEXTS, **overrides) -> tuple[str, Config]:
    """A run directory and the configuration for it."""
    file = tmp_path / "input.txt"
    file.write_text("".join(f"{text}\n" for text in texts))
    settings = {"input.path": str(file), "chunk.documents_per_shard": 2, "cluster.min_cluster_size": 2}
    return str(tmp_path / "run"), configs.load(None, settings | {k.replace("__", "."): v for k, v in overrides.items()})


def go(run: str, config: Config, resume: Resume = "if-possible", workers: int = 1) -> Said:
    said = Said()
    with executors.pool(workers) as pool:
        for s in (CHUNK, THEMES):
            runner.run(s, run, config, resume, pool, said)
    return said
