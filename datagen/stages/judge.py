"""judge: keep the candidates whose label can be shown to hold, and rate them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from datagen import plugins
from datagen.checks import judging
from datagen.checks.check import Findings
from datagen.config.llm import EngineConfig
from datagen.config.model import Config
from datagen.embed import encoder
from datagen.errors import ConfigError
from datagen.llm.base import LLM, Conversation
from datagen.llm.need import Asks
from datagen.records import FIGURES, NO_VECTOR, Candidate, Dropped, Judgement
from datagen.run import tables
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Conversations, Stage
from datagen.tasks import task
from datagen.tasks.task import Prover


def start(shard: Shard, llm: LLM) -> list[Conversation[Findings | Dropped]]:
    """A conversation for each candidate; where the task's rules prove it, one that asks nothing."""
    if shard.config.judge.method == "llm":
        return judging.conversations(shard, task.chosen(shard.config).score, llm)
    prove, texts = _rules(shard.config), shard.texts()
    candidates: dict[str, list[Candidate]] = {}
    for candidate in shard.rows("generate", Candidate):
        candidates.setdefault(candidate.doc_id, []).append(candidate)
    provers = ((prove(texts[doc_id], shard.config), of) for doc_id, of in candidates.items())
    return [_prove(candidate, prover) for prover, of in provers for candidate in of]


async def trial(run: Run, config: Config, llm: LLM) -> dict[str, Any] | None:
    """How the model that compares answers does on pairs of known truth. Raises UserError if it can't be believed."""
    if config.judge.method != "llm":
        return None
    return await judging.calibrate((row.question for row in run.rows("generate")), config, llm)


def _rules(config: Config) -> Callable[[Sequence[str], Config], Prover]:
    """What proves the task's candidates. Raises ConfigError if nothing does."""
    if prove := task.chosen(config).prove:
        return prove
    raise ConfigError(
        f"judge.method is rules, and no rules prove the questions of {config.generate.method}",
        ("--set", "judge.method=llm"),
    )


async def _prove(candidate: Candidate, prove: Prover) -> Findings | Dropped:
    verdict = prove(candidate)
    if verdict.passed:
        return Findings(candidate, candidate.ref_chunks, verdict.rating, checks=list(verdict.checks))
    return Dropped("candidate", candidate.qa_id, candidate.doc_id, "rejected", verdict.reason, verdict.detail)


def finish(shard: Shard, results: list[Findings | Dropped]) -> Output:
    """What passed, with a vector of each question."""
    dropped = [result for result in results if isinstance(result, Dropped)]
    passed = [result for result in results if isinstance(result, Findings)]
    # A fill-in question's wording is the same for all: what tells two apart is the sentences it asks about.
    asked = [" ".join(f.candidate.quotes) or f.candidate.question for f in passed]
    vectors, usable = encoder.encode_usable(asked, shard.config.embed)
    rows = []
    for found, vector, good in zip(passed, vectors, usable, strict=True):
        if good:
            rows.append(_judgement(found, vector))
        else:
            c = found.candidate
            dropped.append(Dropped("candidate", c.qa_id, c.doc_id, "failed", NO_VECTOR, f"of {c.question[:60]!r}"))
    return Output(rows, dropped)


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
    """What the encoder is, what the prompts say, and the sources of the user's own checks or rules."""
    found = {"encoder": encoder.identity(config.embed)}
    if config.judge.method == "llm":
        return found | judging.fingerprints(config)
    _rules(config)
    return found | plugins.fingerprints(config.generate.method)


def models(config: Config) -> dict[str, EngineConfig]:
    """The models that check, where any does, by check."""
    return judging.models(config) if config.judge.method == "llm" else {}


def asks(config: Config) -> list[Asks]:
    """What the checks ask, where any asks a model."""
    return judging.asks(config) if config.judge.method == "llm" else []


def main_process_only(config: Config) -> bool:
    """Whether the encoder owns a GPU."""
    return encoder.main_process_only(config.embed)


def names_gpu(config: Config) -> bool:
    """Whether the settings say that the encoder is on a GPU."""
    return encoder.names_gpu(config.embed)


def check(config: Config) -> None:
    """Raise UserError where there is no encoder."""
    encoder.check(config.embed)


WORK = Conversations(start, finish, models, asks, trial=trial)
STAGE = Stage(tables.JUDGE, ("judge", "embed"), WORK, fingerprints, main_process_only, names_gpu, check, version=3)
