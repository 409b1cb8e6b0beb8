"""The context-aware reward of a response: the answer's correctness and the F-beta of its cited chunks, as one number.

Source: LongRLVR (ICLR 2026, arXiv 2603.02146). With a ∈ {0, 1} the answer's correctness and F the F-beta score of the
cited chunk ids against the labelled ones,

    r = a + η·F + (1 − η)·a·F        η = 0.1, β = 2

so a right answer is worth 1, its evidence up to 1 more, and evidence without a right answer at most η. As in the
published code, precision divides the distinct hits by the number of ids cited *with* repeats, so that repeating an id
costs something; `unique_ids` compares sets instead.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from datagen.grounding import tags


@dataclass(frozen=True, slots=True)
class Reward:
    total: float  # 0 to 2
    answer: float  # a, as it entered the total
    precision: float
    recall: float
    fbeta: float


def score(
    response: str,
    ref_chunks: Collection[int],
    answer_correct: bool | None,
    *,
    eta: float = 0.1,
    beta: float = 2.0,
    unique_ids: bool = False,
) -> Reward | None:
    """The reward of one response, or None where there is none to give.

    `answer_correct` is a verifier's verdict on the response's answer (0 and 1 will do); None says that the verifier
    itself failed. Then there is no reward either: a 0 would teach the model that its answer was wrong. A response in
    which either section is refused scores 0 in every part, whatever the verdict.

    Raises ValueError without reference chunks, on a verdict other than 0, 1 or None, and on eta or beta out of range.
    """
    if not ref_chunks:
        raise ValueError("a reward needs at least one reference chunk")
    if not 0 <= eta <= 1:
        raise ValueError(f"eta must lie between 0 and 1, got {eta!r}")
    if not 0 < beta < float("inf"):
        raise ValueError(f"beta must be above 0 and finite, got {beta!r}")
    if answer_correct is None:
        return None
    if answer_correct not in (0, 1):
        raise ValueError(f"answer_correct must be True, False or None, got {answer_correct!r}")
    reading = tags.read_response(response)
    if reading.useful_chunks is None or reading.answer is None:
        return Reward(0.0, 0.0, 0.0, 0.0, 0.0)
    precision, recall, f = fbeta(reading.useful_chunks, ref_chunks, beta=beta, unique_ids=unique_ids)
    a = float(answer_correct)
    return Reward(a + eta * f + (1 - eta) * a * f, a, precision, recall, f)


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
