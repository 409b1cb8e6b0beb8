"""judge: keep the candidates whose label can be shown to hold, and rate them."""

from __future__ import annotations

from typing import Any

from datagen import prompts
from datagen.config import Config, Engine, engine_of
from datagen.embed import encoder
from datagen.extractive import rules
from datagen.extractive.document import DocumentIndex
from datagen.records import Candidate, Dropped, Judgement
from datagen.stage import Output, Shard, Stage
from datagen.stages import judge_llm


def process(shard: Shard) -> Output:
    return _rate(shard) if shard.config.judge.method == "llm" else _prove(shard)


def _rate(shard: Shard) -> Output:
    dropped = [result for result in shard.payload if isinstance(result, Dropped)]
    rated: list[tuple[Candidate, float]] = [result for result in shard.payload if not isinstance(result, Dropped)]
    vectors = encoder.encode([candidate.question for candidate, _ in rated], shard.config.embed)
    return Output(
        [
            Judgement(c.qa_id, c.cluster_id, c.doc_id, rating, [judge_llm.QUALITY], vector)
            for (c, rating), vector in zip(rated, vectors, strict=True)
        ],
        dropped,
    )


def _prove(shard: Shard) -> Output:
    texts = shard.texts()
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
    found = {"encoder": encoder.identity(config.embed)}
    if config.judge.method == "llm":
        found |= {f"prompt {p.name}": p.digest for p in (prompts.load(config.judge.prompt), prompts.load("again"))}
    return found


def engine(config: Config) -> Engine | None:
    return engine_of(config, "judge") if config.judge.method == "llm" else None


def alone(config: Config) -> bool:
    return encoder.uses_accelerator(config.embed)


STAGE = Stage(
    name="judge",
    record=Judgement,
    takes="candidate",
    makes="candidate",
    reads=("generate", "chunk", "cluster"),
    settings=("judge", "embed"),
    process=process,
    facts=facts,
    alone=alone,
    engine=engine,
    talk=judge_llm.talk,
    version=2,
)
