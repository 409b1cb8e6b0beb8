"""judge: keep the candidates whose label can be shown to hold, and rate them."""

from __future__ import annotations

from typing import Any

from datagen import prompts
from datagen.checks import judging as judge_llm
from datagen.checks.judging import Findings
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, engine_of
from datagen.embed import encoder
from datagen.records import Candidate, Dropped, Judgement
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Stage
from datagen.tasks.cloze import rules
from datagen.tasks.cloze.document import DocumentIndex


def process(shard: Shard) -> Output:
    return _checked(shard) if shard.config.judge.method == "llm" else _prove(shard)


def _checked(shard: Shard) -> Output:
    dropped = [result for result in shard.payload if isinstance(result, Dropped)]
    passed: list[Findings] = [result for result in shard.payload if isinstance(result, Findings)]
    vectors = encoder.encode([f.candidate.question for f in passed], shard.config.embed)
    return Output(
        [
            Judgement(
                qa_id=f.candidate.qa_id,
                cluster_id=f.candidate.cluster_id,
                doc_id=f.candidate.doc_id,
                rating=f.rating,
                rating_reason=f.rating_reason,
                checks=f.checks,
                ref_chunks=f.ref_chunks,
                redundant=f.redundant,
                alt_chunks=f.alt_chunks,
                closed_book=f.closed_book,
                sufficiency=f.sufficiency,
                pass_rate=f.pass_rate,
                question_vector=vector,
            )
            for f, vector in zip(passed, vectors, strict=True)
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
            Judgement(
                qa_id=c.qa_id,
                cluster_id=c.cluster_id,
                doc_id=c.doc_id,
                rating=verdict.rating,
                rating_reason="",
                checks=list(verdict.checks),
                ref_chunks=c.ref_chunks,
                redundant=[],
                alt_chunks=[],
                closed_book=None,
                sufficiency=None,
                pass_rate=None,
                question_vector=vector,
            )
            for (c, verdict), vector in zip(passed, vectors, strict=True)
        ],
        dropped,
    )


def facts(config: Config, run: str) -> dict[str, Any]:
    found = {"encoder": encoder.identity(config.embed)}
    if config.judge.method == "llm":
        wanted = {*config.judge.checks, judge_llm.GRADE}
        used = {name: prompt for name, prompt in judge_llm.load_prompts(config).items() if name in wanted}
        used["again"] = prompts.load("again")
        if "policy" in wanted:
            used["task"] = prompts.load_task(config.dataset.prompt)
        found |= {f"prompt {name}": prompt.digest for name, prompt in used.items()}
    return found


def engine(config: Config) -> EngineConfig | None:
    return engine_of(config, "judge") if config.judge.method == "llm" else None


def others(config: Config) -> list[EngineConfig]:
    settings = config.judge
    asked = settings.method == "llm" and "policy" in settings.checks
    return [settings.policy_engine] if asked and settings.policy_engine else []


def alone(config: Config) -> bool:
    return encoder.alone(config.embed)


STAGE = Stage(
    name="judge",
    record=Judgement,
    takes="candidate",
    makes="candidate",
    reads=("generate", "chunk", "cluster", "embed"),
    settings=("judge", "embed"),
    process=process,
    facts=facts,
    alone=alone,
    engine=engine,
    others=others,
    talk=judge_llm.talk,
    version=3,
)
