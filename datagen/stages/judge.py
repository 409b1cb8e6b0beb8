"""judge: keep the candidates whose label can be shown to hold, and rate them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from datagen.checks import judging
from datagen.checks.check import Findings
from datagen.config.llm import EngineConfig
from datagen.config.model import Config
from datagen.embed import encoder
from datagen.llm.base import Conversation
from datagen.records import FIGURES, Candidate, Dropped, Judgement
from datagen.run import tables
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Conversations, Stage
from datagen.tasks.cloze import rules
from datagen.tasks.cloze.document import DocumentIndex


def start(shard: Shard) -> list[Conversation]:
    """A conversation for each candidate; by the rules, it asks nothing."""
    if shard.config.judge.method == "llm":
        return judging.talk(shard)
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
        question_vector=vector,
        **{name: found.figures.get(name) for name in FIGURES},
    )


def fingerprints(config: Config, run: Run) -> dict[str, Any]:
    """What the encoder is and what the prompts say."""
    found = {"encoder": encoder.identity(config.embed)}
    return found | judging.fingerprints(config) if config.judge.method == "llm" else found


def models(config: Config) -> list[EngineConfig]:
    """The models that check, where any does."""
    return judging.models(config) if config.judge.method == "llm" else []


def main_process_only(config: Config) -> bool:
    """Whether the encoder owns a GPU."""
    return encoder.alone(config.embed)


WORK = Conversations(start, finish, models)
STAGE = Stage(tables.JUDGE, ("judge", "embed"), WORK, fingerprints, main_process_only, version=3)
