"""necessity: without one of the cited chunks there is no answer; a chunk that is not missed is no evidence."""

from __future__ import annotations

from datagen.checks.asking import from_chunks, is_right, listed
from datagen.checks.check import Case, Check, Findings, Rejected


async def run(case: Case, found: Findings) -> None:
    """Leave one out, and go on without it if the answer stays the same: what is left in the end is all needed.

    Fewer chunks than before have to suffice again, where that is checked.
    """
    for chunk in case.candidate.ref_chunks:
        rest = [i for i in found.ref_chunks if i != chunk]
        if rest and (await is_right(case, from_chunks(case, "necessity", rest))):
            found.ref_chunks = rest
            found.redundant.append(chunk)
    least = case.config.generate.min_evidence
    if len(found.ref_chunks) < least:
        detail = f"chunks {listed(found.ref_chunks)} give the answer, generate.min_evidence is {least}"
        raise Rejected("fewer chunks are enough", detail)
    if found.redundant and "sufficiency" in case.checks:
        await case.checks["sufficiency"].run(case, found)


CHECK = Check("necessity", run, prompt="judge-necessity", compares=True, shows=lambda config, sizes: sizes.evidence)
