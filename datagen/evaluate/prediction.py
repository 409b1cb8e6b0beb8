"""What a model was asked and what it said: a row of the files that `evaluate run` writes and `evaluate score` reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RECORD = "run.json"  # in a folder of predictions: what was asked, of whom, how, and how many questions there are

# How an answer is held against the gold: a letter; one of several wordings that it has to hold; a text, by its
# similarity; the answer of a row of a dataset, by a verifier of the trainer's.
Kind = Literal["choice", "match", "similarity", "answer"]


@dataclass(frozen=True)
class Prediction:
    """A response to an item of a benchmark.

    gold: of a choice, its letter; of a match, the wordings of which any one will do; else the one reference.
    gold_chunks: the chunks that hold the evidence, as the prompt numbered them; None where the benchmark does not say.
    position: where the evidence stands in the document, from 0 (its beginning) to 1; None where that is not known.
    response: None where no reply could be had: then `error` says why, and the row counts as failed, not as wrong.
    as_published: of a file in a published layout, the verdict that stands there; None elsewhere.
    """

    benchmark: str
    item_id: str
    kind: Kind
    question: str
    choices: list[str]
    gold: list[str]
    gold_chunks: list[int] | None
    n_chunks: int | None
    prompt_tokens: int | None
    position: float | None
    length: str  # as the benchmark names it ("short"), or as `length_label` does ("32k"); empty where it is not known
    difficulty: str
    domain: str
    model: str
    response: str | None
    finish: str
    error: str
    as_published: bool | None
