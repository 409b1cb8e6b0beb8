"""generate: question, answer and evidence candidates for every cluster."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import Any

from datagen import prompts
from datagen.config import Config
from datagen.extractive import cloze
from datagen.extractive.document import DocumentIndex
from datagen.records import Candidate, Chunk, Cluster, Dropped
from datagen.stage import Output, Shard, Stage


def process(shard: Shard) -> Output:
    texts: dict[str, list[str]] = {}
    for chunk in shard.rows("chunk", Chunk):
        texts.setdefault(chunk.doc_id, []).append(chunk.text)
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
        render_question,
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
                question=c.question,
                answer=c.answer,
                ref_chunks=c.ref_chunks,
                terms=c.terms,
                quotes=c.quotes,
                quote_chunks=c.quote_chunks,
            )
        )


def render_question(sentences: Sequence[str]) -> str:
    """The fill-in question around the numbered sentences, by prompts/cloze.md."""
    prompt = prompts.load("cloze")
    return prompts.render(prompt, n=len(sentences), sentences=cloze.numbered(sentences))


def facts(config: Config, run: str) -> dict[str, Any]:
    return {"prompt cloze.md": prompts.load("cloze").digest}


STAGE = Stage(
    name="generate",
    record=Candidate,
    takes="cluster",
    makes="candidate",
    reads=("cluster", "chunk"),
    settings=("generate", "seed"),
    process=process,
    facts=facts,
)
