"""generate: question, answer and evidence candidates for every cluster."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from datagen import prompts
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, engine_of
from datagen.llm.base import Conversation
from datagen.records import Candidate, Cluster, Dropped
from datagen.run import tables
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Conversations, Stage
from datagen.tasks import question as generate_llm
from datagen.tasks.cloze import compose as cloze
from datagen.tasks.cloze.document import DocumentIndex


def start(shard: Shard) -> list[Conversation]:
    """With a model, a conversation for each sample of each cluster; else one for each cluster, which asks nothing."""
    if shard.config.generate.method == "llm":
        return generate_llm.talk(shard)
    texts = shard.texts()

    @lru_cache(maxsize=1)  # clusters of a document stand together
    def document(doc_id: str) -> DocumentIndex:
        return DocumentIndex.build(texts[doc_id])

    return [_fill_in(cluster, document, shard.config) for cluster in shard.rows("cluster", Cluster)]


def finish(shard: Shard, results: list[Any]) -> Output:
    """The candidates, and what none came of. A result is a candidate, several, or why there is none."""
    if shard.config.generate.method == "llm":
        return generate_llm.output(shard, results)
    dropped = [result for result in results if isinstance(result, Dropped)]
    return Output([row for result in results if not isinstance(result, Dropped) for row in result], dropped)


def _fill_in(
    cluster: Cluster, document: Callable[[str], DocumentIndex], config: Config
) -> Conversation[list[Candidate] | Dropped]:
    yield from ()
    settings = config.generate
    seed = hashlib.sha256(f"{config.seed}:{cluster.cluster_id}".encode()).digest()
    made = cloze.candidates(
        document(cluster.doc_id),
        cluster.chunk_indices,
        settings.candidates,
        random.Random(seed),
        settings.min_evidence,
        settings.max_evidence,
        partial(render_question, prompts.load(settings.cloze_prompt)),
    )
    if isinstance(made, cloze.Shortage):
        return Dropped("cluster", cluster.cluster_id, cluster.doc_id, "rejected", made.reason, made.detail)
    return [
        Candidate(
            qa_id=f"{cluster.cluster_id}/q{i}",
            cluster_id=cluster.cluster_id,
            doc_id=cluster.doc_id,
            sample=i,
            generator="extractive",
            question_type="cloze",
            question=c.question,
            answer=c.answer,
            ref_chunks=c.ref_chunks,
            terms=c.terms,
            quotes=c.quotes,
            quote_chunks=c.quote_chunks,
        )
        for i, c in enumerate(made)
    ]


def render_question(prompt: prompts.Prompt, sentences: Sequence[str]) -> str:
    """The fill-in question around the numbered sentences, by a prompt such as prompts/cloze.md."""
    return prompts.render(prompt, n=len(sentences), sentences=cloze.numbered(sentences))


def fingerprints(config: Config, run: Run) -> dict[str, Any]:
    """What the prompts say."""
    if config.generate.method == "extractive":
        return {"prompt cloze": prompts.load(config.generate.cloze_prompt).digest}
    return {
        "prompt generate": prompts.load(config.generate.prompt).digest,
        "prompt again": prompts.load("again").digest,
    }


def models(config: Config) -> list[EngineConfig]:
    """The model that writes questions, if one does."""
    return [engine_of(config, "generate")] if config.generate.method == "llm" else []


def per_row(config: Config) -> int:
    """The candidates that are asked for of each cluster."""
    return config.generate.candidates


WORK = Conversations(start, finish, models, per_row)
STAGE = Stage(tables.GENERATE, ("generate", "seed"), WORK, fingerprints, version=2)
