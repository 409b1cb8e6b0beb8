"""completeness: with other chunks in place of a cited one there is no answer, and beside the cited ones these change
nothing.
"""

from __future__ import annotations

from datagen.checks.asking import from_chunks, is_right, listed
from datagen.checks.check import Case, Check, Findings, Rejected
from datagen.config.model import Config
from datagen.llm.need import Sizes


async def run(case: Case, found: Findings) -> None:
    """Bring the nearest other chunks into view. Beside the evidence they must not change the answer, or the question
    fits two things; in place of one of its chunks they must not give it, or the label is one of several.

    The other chunks come first, and are the same for all these requests: a server computes them once.
    """
    settings, cited = case.config.judge, found.ref_chunks
    near = [await case.neighbours.of(case.candidate, chunk, cited, settings.neighbours) for chunk in cited]
    others = sorted({other for chunks in near for other in chunks})
    if not others:
        return
    if not await is_right(case, from_chunks(case, "completeness", others, cited)):
        raise Rejected("another answer among other chunks", f"with {listed(others)} in view")
    for i, chunk in enumerate(cited):
        rest = [*cited[:i], *cited[i + 1 :]]
        if not await is_right(case, from_chunks(case, "completeness", others, rest)):
            continue
        if settings.alternatives == "reject":
            raise Rejected("other chunks are as good", f"one of {listed(others)} in place of {chunk}")
        alone = [other for other in others if await is_right(case, from_chunks(case, "completeness", [other], rest))]
        found.alt_chunks = sorted({*found.alt_chunks, *(alone or others)})


def shows(config: Config, sizes: Sizes) -> int:
    """The evidence, and the neighbours of each of its chunks, as far as the document has so many."""
    return min(sizes.document, sizes.evidence + config.judge.neighbours * sizes.cited * sizes.longest)


CHECK = Check("completeness", run, prompt="judge-completeness", compares=True, shows=shows)
