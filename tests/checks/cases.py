"""A candidate to be judged by a model that answers from what it is shown, and errs where a test says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from datagen import shards
from datagen.checks.grading import CALIBRATION
from datagen.config import model as configs
from datagen.llm import usage as usages
from datagen.records import Candidate, Chunk, Cluster, Dropped, Embedding, Judgement
from datagen.run import identity
from datagen.run.paths import RunPaths
from datagen.stages import judge
from tests.servers import model
from tests.servers.settings import Settings
from tests.stages.talking import Run

NAME = "shard-00000"
# 0 and 3 are the evidence, 5 says what 3 says, 1 and 2 are of no use
TEXTS = [
    "The mill at Hexham was bought by a man called Orr in the year after the war.",
    "Bees were kept in many gardens of the town, and honey was sold at the market on Saturdays.",
    "Nobody remembers who built the church.",
    "The book on bees by Orr was printed again in 1862 by a friend of his widow.",
    "It rained for most of that summer.",
    "As is known, the book on bees by Orr was printed again in 1862 and then forgotten.",
]
QUESTION = "Which words come after “bought by a man called” and “was printed again in”?"
ANSWER = "Orr; 1862"
ALL = ["lint", "quality", "closed_book", "sufficiency", "necessity", "completeness"]
CALLS = Callable[[dict], str]


def candidate(**given: Any) -> Candidate:
    row = {"question": QUESTION, "answer": ANSWER, "ref_chunks": [0, 3]} | given
    return Candidate("d/c0/q0", "d/c0", "d", 0, "m", "multi-hop", terms=[], quotes=[], quote_chunks=[], **row)


def made(tmp_path: Path, texts: list[str], *candidates: Candidate, dimensions: int = 384, **given: Any) -> Run:
    """A run directory with one document that is judged next; its vectors have as many dimensions as the encoder's."""
    settings = {"engine.model": "scripted", "judge.method": "llm", "judge.checks": ["quality"], "judge.min_rating": 0}
    named = {name.replace("__", "."): value for name, value in given.items()}
    run = Run(judge.STAGE, str(tmp_path / "run"), configs.load(None, settings | named))
    words = sorted({w for text in texts for w in text.split()})
    rng = np.random.default_rng(0)
    by_word = dict(zip(words, rng.normal(size=(len(words), dimensions)), strict=True))
    vectors = [np.sum([by_word[w] for w in text.split()], axis=0) for text in texts]
    tables = {
        "chunk": (Chunk, [Chunk("d", i, 0, 0, 9, text) for i, text in enumerate(texts)]),
        "embed": (Embedding, [Embedding("d", i, v / np.linalg.norm(v)) for i, v in enumerate(vectors)]),
        "cluster": (Cluster, [Cluster("d/c0", "d", list(range(len(texts))), 0.8, 0.3, 0.5)]),
        "generate": (Candidate, list(candidates or [candidate()])),
    }
    for name, (record, rows) in tables.items():
        kept = {"candidate": {"in": len(rows), "kept": len(rows), "rejected": {}, "failed": {}}}
        shards.write_rows(f"{run.folder}/{name}/{NAME}.parquet", record, rows, kept)
        identity.save(f"{run.folder}/{name}", identity.Identity(name, 1, "", {}, {}, {}))
    shards.write_json(f"{run.folder}/chunk/shards.json", [NAME])
    return run


def outcome(run: Run, reply: CALLS = model.reply, **given: Any) -> Judgement | Dropped:
    """What became of the one candidate."""
    run.go(Settings(reply=reply), **given)
    (row,) = [*run.rows("judge", Judgement), *run.rows("judge", Dropped, "dropped")]
    return row


def asked(run: Run) -> dict[str, int]:
    """Requests by check, of the run so far, but for those by which the grader was tried out."""
    usage = usages.usage(RunPaths(run.folder), "judge", judge.STAGE.models(run.config))
    return {check: part["requests"] for check, part in usage["checks"].items() if check != CALIBRATION}


def rated(rating: float) -> CALLS:
    return lambda body: json.dumps({"reason": "so", "rating": rating}) if asks(body, "rating") else model.reply(body)


def asks(body: dict, key: str) -> bool:
    return key in str(body.get("response_format"))
