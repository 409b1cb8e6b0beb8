"""completeness: with other chunks in place of a cited one there is no answer, and beside the cited ones these change
nothing.
"""

from __future__ import annotations

from datagen.checks.asking import from_chunks, is_right, listed
from datagen.checks.check import Case, Check, Findings, Rejected


async def run(case: Case, found: Findings) -> None:
    """Bring the nearest other chunks into view. Beside the evidence they must not change the answer, or the question
    fits two things; in place of one of its chunks they must not give it, or the label is one of several.
    """
    settings = case.config.judge
    near = {
        chunk: await case.neighbours.of(case.candidate, chunk, found.ref_chunks, settings.neighbours)
        for chunk in found.ref_chunks
    }
    around = sorted({other for others in near.values() for other in others})
    if around and not (await is_right(case, from_chunks(case, "completeness", [*found.ref_chunks, *around]))):
        raise Rejected("another answer among other chunks", f"with {listed(around)} in view")
    for chunk, others in near.items():
        rest = [i for i in found.ref_chunks if i != chunk]
        if not others or not (await is_right(case, from_chunks(case, "completeness", [*rest, *others]))):
            continue
        if settings.alternatives == "reject":
            raise Rejected("other chunks are as good", f"one of {listed(others)} in place of {chunk}")
        alone = []
        for other in others:
            if await is_right(case, from_chunks(case, "completeness", [*rest, other])):
                alone.append(other)
        found.alt_chunks = sorted({*found.alt_chunks, *(alone or others)})


CHECK = Check("completeness", run, prompt="judge-completeness")
