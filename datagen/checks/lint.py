"""lint: what is wrong with a candidate on the face of it. No model, no cost; the first check."""

from __future__ import annotations

from datagen.checks.check import Case, Check, Findings, Rejected
from datagen.text import wording


async def run(case: Case, found: Findings) -> None:
    """Reject what something is wrong with."""
    row, cluster = case.candidate, case.cluster.chunk_indices
    if wrong := wording.flaw(row.question, row.answer, row.ref_chunks, cluster, case.texts, case.config):
        raise Rejected(*wrong)


CHECK = Check("lint", run)
