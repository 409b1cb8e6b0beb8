"""generate: question, answer and evidence candidates for every cluster, by a task."""

from __future__ import annotations

from typing import Any

from datagen.config.llm import EngineConfig
from datagen.config.model import Config
from datagen.llm.base import LLM, Conversation
from datagen.llm.need import Asks
from datagen.records import Candidate, Cluster, Dropped
from datagen.run import tables
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Conversations, Stage
from datagen.tasks import task
from datagen.tasks.task import Made

NO_CANDIDATE = "no candidate"


def start(shard: Shard, llm: LLM) -> list[Conversation[Made]]:
    """The task's conversations about each document's clusters."""
    make, texts = task.chosen(shard.config).make, shard.texts()
    clusters: dict[str, list[Cluster]] = {}
    for cluster in shard.rows("cluster", Cluster):
        clusters.setdefault(cluster.doc_id, []).append(cluster)
    return [each for doc_id, of in clusters.items() for each in make(texts[doc_id], of, shard.config, llm)]


def finish(shard: Shard, results: list[Made]) -> Output:
    """The candidates, and what none came of: a cluster for which nothing says why is said to have none."""
    made = [row for result in results for row in result]
    found = Output([row for row in made if isinstance(row, Candidate)], [d for d in made if isinstance(d, Dropped)])
    settled = {row.cluster_id for row in found.rows} | {d.row_id for d in found.dropped if d.unit == "cluster"}
    failed = {d.row_id.rpartition("/")[0] for d in found.dropped if d.status == "failed"}
    for cluster in shard.rows("cluster", Cluster):
        if cluster.cluster_id not in settled:
            status = "failed" if cluster.cluster_id in failed else "rejected"
            found.dropped.append(Dropped("cluster", cluster.cluster_id, cluster.doc_id, status, NO_CANDIDATE, ""))
    return found


def fingerprints(config: Config, run: Run) -> dict[str, Any]:
    """What the task's prompts say, and the lengths that a model which writes questions is held to."""
    limits = {name: getattr(config.judge, name) for name in ("max_question_chars", "max_answer_chars")}
    held_to = {f"judge.{name}": limit for name, limit in limits.items() if config.generate.asks_model}
    return task.fingerprints(config) | held_to


def models(config: Config) -> dict[str, EngineConfig]:
    """The models that the task asks, if any: its main one under "", others by their names."""
    asked = task.chosen(config).models(config)
    return {engine.model or "" if i else "": engine for i, engine in enumerate(asked)}


def asks(config: Config) -> list[Asks]:
    """What the task asks, if it asks a model."""
    chosen, settings = task.chosen(config), config.generate
    if not chosen.models(config):
        return []
    used = tuple(chosen.prompts(config).values())
    return [Asks("", chosen.shows, used, settings.sampling, settings.max_parse_retries)]


def per_row(config: Config) -> int:
    """The conversations about each cluster."""
    return task.chosen(config).per_cluster(config)


WORK = Conversations(start, finish, models, asks, per_row)
STAGE = Stage(tables.GENERATE, ("generate", "seed"), WORK, fingerprints, version=2)
