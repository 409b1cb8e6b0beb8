"""The context-aware reward of a response: the answer's correctness and the F-beta of its cited chunks, as one number.

Source: LongRLVR (ICLR 2026, arXiv 2603.02146). With a between 0 and 1 the answer's correctness and F the F-beta score
of the cited chunk ids against the labelled ones,

    r = a + η·F + (1 − η)·a·F        η = 0.1, β = 2

so a right answer is worth 1, its evidence up to 1 more, and evidence without a right answer at most η. As in the
published code, precision divides the distinct hits by the number of ids cited *with* repeats, so that repeating an id
costs something; `unique_ids` compares sets instead.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .tags import read_response
from .verify import Verifier, find


@dataclass(frozen=True, slots=True)
class Reward:
    """A response's reward, and what it is made of; all but `total` are shares from 0 to 1."""

    total: float  # 0 to 2
    answer: float  # a, as it entered the total
    precision: float
    recall: float
    fbeta: float


def score(
    row: Mapping[str, Any],
    response: str,
    *,
    verifier: str | Verifier = "exact",
    eta: float = 0.1,
    beta: float = 2.0,
    unique_ids: bool = False,
) -> Reward | None:
    """The reward of a response to a row of a dataset, or None where the verifier failed.

    Args:
        row: what is read of it is `row["reward_model"]["ground_truth"]`, the reference answer, and
            `row["extra_info"]["ref_chunks"]`, the ids of the evidence as the prompt numbers them.
        response: the model's whole text, with its `<useful_chunks>` and its `<answer>`.
        verifier: a name in `verify.VERIFIERS`, `package.module:function`, or a function of the reference answer and the
            given one that returns a share of correctness from 0 to 1 (True and False will do), or None if it cannot
            tell. It is not asked about a response that cannot be read. What it raises is raised.
        eta: the weight of evidence without a right answer, 0 to 1.
        beta: of F-beta; above 1, recall counts more than precision.
        unique_ids: whether a chunk cited twice counts once.

    Raises:
        KeyError: the row lacks one of the two.
        TypeError: an id is no integer (a string, a float, a bool), or the reference answer no string.
        ValueError: as `context_reward`; the verifier is unknown.
    """
    truth, ref_chunks = row["reward_model"]["ground_truth"], row["extra_info"]["ref_chunks"]
    if not isinstance(truth, str):
        raise TypeError(f"reward_model.ground_truth must be a string, got {truth!r}")
    verify_answer = find(verifier)
    reading = read_response(response)
    answer = verify_answer(truth, reading.answer) if reading.parsed and reading.answer is not None else 0
    return context_reward(response, ref_chunks, answer, eta=eta, beta=beta, unique_ids=unique_ids)


def context_reward(
    response: str,
    ref_chunks: Iterable[int],
    answer_score: float | None,
    *,
    eta: float = 0.1,
    beta: float = 2.0,
    unique_ids: bool = False,
) -> Reward | None:
    """The reward of a response whose answer has been verified already, or None where there is none to give.

    `answer_score` is a verifier's verdict on the response's answer, from 0 to 1 (True and False will do); None says
    that the verifier itself failed. Then there is no reward either: a 0 would teach the model that its answer was
    wrong. A response in which either section is refused scores 0 in every part, whatever the verdict.

    Raises TypeError for an id that is no integer, and ValueError without reference chunks, on a verdict that is not
    from 0 to 1, and on eta or beta out of range.
    """
    refs = chunk_ids(ref_chunks)
    if not refs:
        raise ValueError("a reward needs at least one reference chunk")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie between 0 and 1, got {eta!r}")
    if not 0 < beta < float("inf"):
        raise ValueError(f"beta must be above 0 and finite, got {beta!r}")
    if answer_score is None:
        return None
    if isinstance(answer_score, str) or not 0 <= answer_score <= 1:
        raise ValueError(f"answer_score must lie between 0 and 1, or be None, got {answer_score!r}")
    reading = read_response(response)
    if reading.useful_chunks is None or reading.answer is None:
        return Reward(0.0, 0.0, 0.0, 0.0, 0.0)
    precision, recall, f = fbeta(reading.useful_chunks, refs, beta=beta, unique_ids=unique_ids)
    a = float(answer_score)
    return Reward(a + eta * f + (1 - eta) * a * f, a, precision, recall, f)


def chunk_ids(values: Iterable[Any]) -> list[int]:
    """Chunk ids as plain integers, from a list, a numpy array, or whatever else holds integers.

    Raises TypeError for a string, a bool or a float: `"0"` is equal to no id that a response cites, and would count as
    wrong evidence.
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"chunk ids must be a list of integers, got {values!r}")
    ids = []
    for value in values:
        if isinstance(value, bool):
            raise TypeError(f"a chunk id must be an integer, got {value!r}")
        try:
            ids.append(operator.index(value))
        except TypeError as e:
            raise TypeError(f"a chunk id must be an integer, got {value!r}") from e
    return ids


def fbeta(
    cited: Collection[int], ref_chunks: Collection[int], *, beta: float = 2.0, unique_ids: bool = False
) -> tuple[float, float, float]:
    """Precision, recall and F-beta of the cited ids; all 0 when none of them is a reference."""
    cited_set, reference = set(cited), set(ref_chunks)
    hits = len(cited_set & reference)
    if hits == 0:
        return 0.0, 0.0, 0.0
    precision = hits / len(cited_set if unique_ids else cited)
    recall = hits / len(reference)
    weight = beta * beta
    return precision, recall, (1 + weight) * precision * recall / (weight * precision + recall)
