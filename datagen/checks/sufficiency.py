"""sufficiency: the cited chunks alone give the answer."""

from __future__ import annotations

from datagen.checks.asking import answer, from_chunks, grade, listed
from datagen.checks.check import Case, Check, Figure, Findings, Rejected
from datagen.selection.limit import Limit


async def run(case: Case, found: Findings) -> None:
    """Reject where they give none, or another one."""
    given = await answer(case, from_chunks(case, "sufficiency", found.ref_chunks))
    if given is None:
        raise Rejected("evidence does not suffice", f"chunks {listed(found.ref_chunks)} do not give an answer")
    if not (await grade(case, given)):
        raise Rejected("another answer follows", f"chunks {listed(found.ref_chunks)} give {given!r}")
    found.figures["sufficiency"] = 1.0


CHECK = Check(
    "sufficiency",
    run,
    prompt="judge-sufficiency",
    figure=Figure("sufficiency", "answered from the evidence alone"),
    limits=(Limit("sufficiency", "min_sufficiency", "not answered from its evidence"),),
    compares=True,
    shows=lambda config, sizes: sizes.evidence,
)
