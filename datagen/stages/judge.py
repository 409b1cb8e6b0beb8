"""judge: keep the candidates whose label can be shown to hold, and rate them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from datagen import prompts
from datagen.checks import judging as judge_llm
from datagen.checks.judging import Findings
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, engine_of
from datagen.embed import encoder
from datagen.llm.base import Conversation
from datagen.records import Candidate, Dropped, Judgement
from datagen.run import tables
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Conversations, Stage
from datagen.tasks.cloze import rules
from datagen.tasks.cloze.document import DocumentIndex


def start(shard: Shard) -> list[Conversation]:
    """A conversation for each candidate; by the rules, it asks nothing."""
    if shard.config.judge.method == "llm":
        return judge_llm.talk(shard)
    texts, settings = shard.texts(), shard.config.judge
    limits = rules.Limits(
        min_evidence=shard.config.generate.min_evidence,
        max_question_chars=settings.max_question_chars,
        max_answer_chars=settings.max_answer_chars,
    )

    @lru_cache(maxsize=1)  # candidates of a document stand together
    def document(doc_id: str) -> DocumentIndex:
        return DocumentIndex.build(texts[doc_id])

    return [_prove(candidate, document, limits) for candidate in shard.rows("generate", Candidate)]


def _prove(
    candidate: Candidate, document: Callable[[str], DocumentIndex], limits: rules.Limits
) -> Conversation[Findings | Dropped]:
    yield from ()
    verdict = rules.check(candidate, document(candidate.doc_id), limits)
    if verdict.passed:
        return Findings(candidate, candidate.ref_chunks, verdict.rating, checks=list(verdict.checks))
    return Dropped("candidate", candidate.qa_id, candidate.doc_id, "rejected", verdict.reason, verdict.detail)


def finish(shard: Shard, results: list[Findings | Dropped]) -> Output:
    """What passed, with a vector of each question."""
    dropped = [result for result in results if isinstance(result, Dropped)]
    passed = [result for result in results if isinstance(result, Findings)]
    # A fill-in question's wording is the same for all: what tells two apart is the sentences it asks about.
    asked = [" ".join(f.candidate.quotes) or f.candidate.question for f in passed]
    vectors = encoder.encode(asked, shard.config.embed)
    return Output([_judgement(f, vector) for f, vector in zip(passed, vectors, strict=True)], dropped)


def _judgement(found: Findings, vector: np.ndarray) -> Judgement:
    return Judgement(
        qa_id=found.candidate.qa_id,
        cluster_id=found.candidate.cluster_id,
        doc_id=found.candidate.doc_id,
        rating=found.rating,
        rating_reason=found.rating_reason,
        checks=found.checks,
        ref_chunks=found.ref_chunks,
        redundant=found.redundant,
        alt_chunks=found.alt_chunks,
        closed_book=found.closed_book,
        sufficiency=found.sufficiency,
        pass_rate=found.pass_rate,
        question_vector=vector,
    )


def fingerprints(config: Config, run: Run) -> dict[str, Any]:
    """What the encoder is and what the prompts say."""
    found = {"encoder": encoder.identity(config.embed)}
    if config.judge.method == "llm":
        wanted = {*config.judge.checks, judge_llm.GRADE}
        used = {name: prompt for name, prompt in judge_llm.load_prompts(config).items() if name in wanted}
        used["again"] = prompts.load("again")
        if "policy" in wanted:
            used["task"] = prompts.load_task(config.dataset.prompt)
        found |= {f"prompt {name}": prompt.digest for name, prompt in used.items()}
    return found


def models(config: Config) -> list[EngineConfig]:
    """The model that checks, and the one to be trained where its answers are wanted."""
    settings = config.judge
    if settings.method != "llm":
        return []
    policy = settings.policy_engine if "policy" in settings.checks else None
    return [engine_of(config, "judge"), *([policy] if policy else [])]


def main_process_only(config: Config) -> bool:
    """Whether the encoder owns a GPU."""
    return encoder.alone(config.embed)


WORK = Conversations(start, finish, models)
STAGE = Stage(tables.JUDGE, ("judge", "embed"), WORK, fingerprints, main_process_only, version=3)
