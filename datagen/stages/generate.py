"""generate: question, answer and evidence candidates for every cluster."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from functools import partial
from typing import Any

from datagen import prompts
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, engine_of
from datagen.records import Candidate, Cluster, Dropped
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Stage
from datagen.tasks import question as generate_llm
from datagen.tasks.cloze import compose as cloze
from datagen.tasks.cloze.document import DocumentIndex


def process(shard: Shard) -> Output:
    return generate_llm.output(shard) if shard.config.generate.method == "llm" else _extract(shard)


def _extract(shard: Shard) -> Output:
    texts = shard.texts()
    clusters: dict[str, list[Cluster]] = {}
    for cluster in shard.rows("cluster", Cluster):
        clusters.setdefault(cluster.doc_id, []).append(cluster)
    output = Output([])
    for doc_id, themes in clusters.items():
        document = DocumentIndex.build(texts[doc_id])
        for cluster in themes:
            _generate(cluster, document, shard.config, output)
    return output


def _generate(cluster: Cluster, document: DocumentIndex, config: Config, output: Output) -> None:
    settings = config.generate
    seed = hashlib.sha256(f"{config.seed}:{cluster.cluster_id}".encode()).digest()
    made = cloze.candidates(
        document,
        cluster.chunk_indices,
        settings.candidates,
        random.Random(seed),
        settings.min_evidence,
        settings.max_evidence,
        partial(render_question, prompts.load(settings.cloze_prompt)),
    )
    if isinstance(made, cloze.Shortage):
        dropped = Dropped("cluster", cluster.cluster_id, cluster.doc_id, "rejected", made.reason, made.detail)
        output.dropped.append(dropped)
        return
    for i, c in enumerate(made):
        output.rows.append(
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
        )


def render_question(prompt: prompts.Prompt, sentences: Sequence[str]) -> str:
    """The fill-in question around the numbered sentences, by a prompt such as prompts/cloze.md."""
    return prompts.render(prompt, n=len(sentences), sentences=cloze.numbered(sentences))


def facts(config: Config, run: str) -> dict[str, Any]:
    if config.generate.method == "extractive":
        return {"prompt cloze": prompts.load(config.generate.cloze_prompt).digest}
    return {
        "prompt generate": prompts.load(config.generate.prompt).digest,
        "prompt again": prompts.load("again").digest,
    }


def engine(config: Config) -> EngineConfig | None:
    return engine_of(config, "generate") if config.generate.method == "llm" else None


def candidates(config: Config) -> int:
    return config.generate.candidates


STAGE = Stage(
    name="generate",
    record=Candidate,
    takes="cluster",
    makes="candidate",
    reads=("cluster", "chunk"),
    settings=("generate", "seed"),
    process=process,
    facts=facts,
    engine=engine,
    talk=generate_llm.talk,
    talks_per_row=candidates,
    version=2,
)
