"""closed_book: a question that is answered without the document is too easy."""

from __future__ import annotations

from datagen.checks.asking import GUESS, is_right, request
from datagen.checks.check import Case, Check, Figure, Findings, Rejected
from datagen.checks.grading import plain
from datagen.selection.limit import Limit


async def run(case: Case, found: Findings) -> None:
    """Reject what is answered every time."""
    n, right = case.config.judge.closed_book_samples, 0
    for sample in range(n):
        wanted = request(case, "closed_book", GUESS, sample, n, question=plain(case.candidate.question))
        right += await is_right(case, wanted)
    found.figures["closed_book"] = right / n
    if right == n:
        raise Rejected("answered without the document", f"{right} of {n} times")


CHECK = Check(
    "closed_book",
    run,
    prompt="judge-closed_book",
    figure=Figure("closed_book", "answered without the document"),
    limits=(Limit("closed_book", "max_closed_book", "answered without the document"),),
    compares=True,
    shows=lambda config, sizes: 0,
)
