"""A benchmark that is scored during training: asked and scored as `evaluate` does it, by the same code.

The same readers of the benchmark's files, the same prompt, the same strict verdict; only the responses are the
trainer's own rollouts, greedy.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean
from typing import Any

import numpy as np
from jinja2 import TemplateError

from datagen import grounded, prompts
from datagen.config.llm import SamplingConfig
from datagen.config.model import Config
from datagen.config.train import BenchmarkConfig
from datagen.dataset.encode import encode
from datagen.errors import ConfigError, InputError
from datagen.evaluate import asking, benchmarks
from datagen.evaluate import score as scoring
from datagen.evaluate.asking import Asker
from datagen.evaluate.prediction import Prediction
from datagen.grounding import tags
from datagen.train.collect import GREEDY, Collector
from datagen.train.types import Example, Group, Response, Scored, Split


@dataclass(frozen=True)
class Benchmark:
    """The questions of a benchmark as prompts in tokens. `asked`: what is known of each before it is answered.
    `verifier`: of the answers to rows of a dataset, one of `evaluate.score.VERIFIERS`.
    """

    name: str
    split: Split
    asked: list[Prediction]
    verifier: str


def load(settings: BenchmarkConfig, config: Config, tokenizer: Any, limit: int, vocabulary: int) -> Benchmark:
    """The first questions of the benchmark that the settings name. One whose prompt has more than `limit` tokens, or
    that cannot be written for the model, is set aside: nothing is cut, and what is not asked is not wrong.

    config: says how documents are cut into chunks, and what the prompt is. vocabulary: how many tokens the model has
    embeddings of. Raises ConfigError for a benchmark that is not known, InputError for data that cannot be read, and
    where no question is left.
    """
    known = benchmarks.BENCHMARKS
    if settings.benchmark not in known:
        raise ConfigError(f"train.eval.benchmark: {settings.benchmark!r} is none of {', '.join(known)}")
    files = known[settings.benchmark].find(settings.data)
    sampling = SamplingConfig(max_tokens=config.train.rollout.max_tokens).sent()
    engine = config.engine.model_copy(update={"model": config.train.model})
    asker = Asker(grounded.form(config), prompts.load("choice"), engine, sampling)
    examples: list[Example] = []
    parts: list[np.ndarray] = []
    asked: list[Prediction] = []
    set_aside: list[str] = []
    at = 0
    for item in islice(benchmarks.items(settings.benchmark, files, config.input), settings.limit):
        each = asking.asked(item, asker)
        try:
            ids = np.asarray(encode(tokenizer, each.request.messages), np.int32)
            problem = _problem(ids, limit, vocabulary)
        except TemplateError as e:
            ids, problem = np.zeros(0, np.int32), f"the chat template of the model refuses the prompt ({e})"
        if problem:
            set_aside.append(f"{item.item_id}: {problem}")
            continue
        gold = tuple(each.prediction.gold_chunks or ())
        examples.append(Example(item.item_id, item.question, " | ".join(item.gold), gold, at, at + len(ids)))
        parts.append(ids)
        asked.append(replace(each.prediction, prompt_tokens=len(ids)))
        at += len(ids)
    if not examples:
        why = f": {set_aside[0]}" if set_aside else ""
        raise InputError(f"train.eval.data: {settings.data} has no question that the model can be asked{why}")
    own = config.train.reward.verifier
    verifier = own if own in scoring.VERIFIERS else scoring.EXACT  # no model is asked, as in `evaluate score`
    return Benchmark(settings.benchmark, Split(examples, np.concatenate(parts), set_aside), asked, verifier)


def _problem(ids: np.ndarray, limit: int, vocabulary: int) -> str:
    if len(ids) > limit:
        return f"the prompt has {len(ids):,} tokens, and {limit:,} is the most that leaves room for a response"
    if (largest := ids.max(initial=0)) >= vocabulary:
        return f"token {largest:,} of the tokenizer is beyond the model's {vocabulary:,}"
    return ""


def evaluate(benchmark: Benchmark, collector: Collector, seed: int) -> tuple[list[Prediction], dict[str, float]]:
    """The likeliest response to each question, as predictions that `evaluate score` reads, and the metrics of them.

    Called by all ranks, which share the questions; each returns all.
    """
    began = time.monotonic()
    every = [(i, i) for i in range(len(benchmark.split))]
    groups = collector.groups(benchmark.split, every, 1, GREEDY, seed, _unscored)
    rows = list(_answered(benchmark, groups))
    return rows, metrics(rows, groups, benchmark.verifier) | {"seconds": round(time.monotonic() - began, 3)}


def _unscored(responses: Sequence[tuple[Example, Response, str]]) -> list[Scored]:
    """What was said, without a reward: no verifier is asked."""
    return [Scored(text, None, tags.read_response(text).parsed, None) for _, _, text in responses]


def _answered(benchmark: Benchmark, groups: Sequence[Group]) -> Iterator[Prediction]:
    for group in groups:
        (response,), (scored,) = group.responses, group.scored
        finish = "stop" if response.finished else "length"
        yield replace(benchmark.asked[group.example], response=scored.text, finish=finish)


def metrics(rows: Sequence[Prediction], groups: Sequence[Group], verifier: str) -> dict[str, float]:
    """Means over all questions; of the evidence, over those of which it is known, and none where it is of none."""
    verdicts = [verdict for row in rows if (verdict := scoring.score(row, verifier))]
    found: dict[str, list[float]] = {"strict": [float(verdict.strict) for verdict in verdicts]}
    cited = [
        scoring.evidence(verdict.reading, row.gold_chunks)
        for row, verdict in zip(rows, verdicts, strict=True)
        if row.gold_chunks
    ]
    if cited:
        found |= {"evidence_precision": [each[0] for each in cited], "evidence_recall": [each[1] for each in cited]}
    responses = [response for group in groups for response in group.responses]
    found["format"] = [float(verdict.reading.parsed) for verdict in verdicts]
    found["length"] = [len(response.tokens) for response in responses]
    found["cut"] = [float(not response.finished) for response in responses]
    return {name: fmean(values) for name, values in found.items()} | {"prompts": len(rows)}
