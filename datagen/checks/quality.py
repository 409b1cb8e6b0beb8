"""quality: a rating by weighted criteria. Source: LongRLVR (arXiv 2603.02146), whose procedure trusts it alone."""

from __future__ import annotations

import re
from typing import Any

from datagen.checks.asking import listed, passages, request
from datagen.checks.check import Case, Check, Findings, Rejected
from datagen.checks.grading import plain
from datagen.grounding import fences
from datagen.llm import parsing
from datagen.records import Dropped
from datagen.selection.limit import Limit

RATING: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "rating": {"type": "number", "minimum": 0, "maximum": 10}},
    "required": ["reason", "rating"],
    "additionalProperties": False,
}
TOO_LOW, RATED = "rated too low", "rated"  # why a candidate left, and how the detail of it begins


async def run(case: Case, found: Findings) -> None:
    """Reject what is rated below `judge.min_rating`."""
    local = {chunk: i for i, chunk in enumerate(case.cluster.chunk_indices)}
    wanted = request(
        case,
        "quality",
        RATING,
        passages=passages(case, case.cluster.chunk_indices),
        question=plain(case.candidate.question),
        answer=plain(case.candidate.answer),
        evidence=listed(local[i] for i in case.candidate.ref_chunks),
    )
    settings = case.config.judge
    found.rating, found.rating_reason = await parsing.ask(
        case.llm, wanted, parsing.read_rating, settings.max_parse_retries
    )
    found.rating_reason = fences.restore(found.rating_reason)
    if found.rating < settings.min_rating:
        detail = f"{RATED} {found.rating:g}, judge.min_rating is {settings.min_rating:g}"
        raise Rejected(TOO_LOW, f"{detail}. {found.rating_reason}".strip())


def rating_of(row: Dropped) -> float | None:
    """What a candidate was rated that left since it was rated too low; None where it left for something else."""
    found = re.match(rf"{RATED} ([\d.]+), ", row.detail) if row.reason == TOO_LOW else None
    return float(found[1]) if found else None


CHECK = Check(
    "quality",
    run,
    prompt="judge-quality",
    shows=lambda config, sizes: sizes.cluster,
    limits=(Limit("rating", "min_rating", "rating too low", "rated"),),
)
