"""A question of a benchmark, before any model is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from datagen.evaluate.prediction import Kind


@dataclass(frozen=True)
class Item:
    """A question about a document, or the ready prompt of a row of a dataset.

    item_id: no other question of the benchmark has it at the same length. kind, gold, length: as in `Prediction`.
    choices: the options of a multiple choice without their letters, in the order A, B, C …; none where they stand in
    the question, as the benchmark wrote them.
    evidence: what the answer follows from, as (start, end) in characters of the document; None where the benchmark does
    not say.
    messages: the prompt as it is sent. Then there is no document, and gold_chunks are the chunks of the evidence, as
    the prompt numbers them.
    """

    benchmark: str
    item_id: str
    kind: Kind
    question: str
    gold: list[str]
    choices: list[str] = field(default_factory=list)
    document: str = ""
    evidence: list[tuple[int, int]] | None = None
    messages: list[dict[str, str]] | None = None
    gold_chunks: list[int] | None = None
    length: str = ""
    difficulty: str = ""
    domain: str = ""
