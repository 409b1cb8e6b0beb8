"""judge: keep the candidates whose label can be shown to hold, and rate them."""

from __future__ import annotations

from typing import Any

from datagen.config import Config
from datagen.embed import encoder
from datagen.extractive import rules
from datagen.extractive.document import DocumentIndex
from datagen.records import Candidate, Chunk, Dropped, Judgement
from datagen.stage import Output, Shard, Stage


def process(shard: Shard) -> Output:
    texts: dict[str, list[str]] = {}
    for chunk in shard.rows("chunk", Chunk):
        texts.setdefault(chunk.doc_id, []).append(chunk.text)
    candidates: dict[str, list[Candidate]] = {}
    for candidate in shard.rows("generate", Candidate):
        candidates.setdefault(candidate.doc_id, []).append(candidate)
    settings = shard.config.judge
    limits = rules.Limits(
        min_evidence=shard.config.generate.min_evidence,
        max_question_chars=settings.max_question_chars,
        max_answer_chars=settings.max_answer_chars,
    )
    passed: list[tuple[Candidate, rules.Verdict]] = []
    dropped: list[Dropped] = []
    for doc_id, rows in candidates.items():
        document = DocumentIndex.build(texts[doc_id])
        for row in rows:
            verdict = rules.check(row, document, limits)
            if verdict.passed:
                passed.append((row, verdict))
            else:
                dropped.append(Dropped("candidate", row.qa_id, doc_id, "rejected", verdict.reason, verdict.detail))
    # A fill-in question's wording is the same for all: what tells two apart is the sentences it asks about.
    vectors = encoder.encode([" ".join(c.quotes) or c.question for c, _ in passed], shard.config.embed)
    return Output(
        [
            Judgement(c.qa_id, c.cluster_id, c.doc_id, verdict.rating, list(verdict.checks), vector)
            for (c, verdict), vector in zip(passed, vectors, strict=True)
        ],
        dropped,
    )


def facts(config: Config, run: str) -> dict[str, Any]:
    return {"encoder": encoder.identity(config.embed)}


def alone(config: Config) -> bool:
    return encoder.uses_accelerator(config.embed)


STAGE = Stage(
    name="judge",
    record=Judgement,
    takes="candidate",
    makes="candidate",
    reads=("generate", "chunk"),
    settings=("judge", "embed"),
    process=process,
    facts=facts,
    alone=alone,
)
