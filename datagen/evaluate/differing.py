"""The rows whose two verdicts differ, as a file: JSONL, or parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from datagen import shards
from datagen.errors import ConfigError
from datagen.evaluate.summary import Result


@dataclass(frozen=True)
class Differing:
    """A row: where it stands, both verdicts (1 and 0 for right and wrong), and why they differ."""

    file: str
    row: int
    benchmark: str
    item_id: str
    question: str
    gold: list[str]
    answer: str | None  # None where the response does not parse
    named: str | None  # the letter that the answer names
    strict: float
    as_published: float
    reason: str
    response: str


def rows(found: Sequence[Result]) -> list[Differing]:
    """The differing rows, in order."""
    differing = []
    for result in found:
        scored, p = result.scored, result.row.prediction
        if not scored or scored.as_published is None or not scored.reason:
            continue
        differing.append(
            Differing(
                file=result.row.file,
                row=result.row.number,
                benchmark=p.benchmark,
                item_id=p.item_id,
                question=p.question,
                gold=p.gold,
                answer=scored.reading.answer if scored.reading.parsed else None,
                named=scored.named.letter if scored.named else None,
                strict=float(scored.strict),
                as_published=float(scored.as_published),
                reason=scored.reason,
                response=p.response or "",
            )
        )
    return differing


def check(path: str) -> None:
    """Raise ConfigError for a name that ends in neither."""
    if PurePosixPath(path).suffix not in (".jsonl", shards.SUFFIX):
        raise ConfigError(f"--rows {path}: end its name in .jsonl or {shards.SUFFIX}")


def write(path: str, differing: Sequence[Differing]) -> None:
    """Write them. Raises ConfigError as `check`, UserError where the file cannot be written."""
    check(path)
    if path.endswith(shards.SUFFIX):
        shards.write_rows(path, Differing, list(differing))
    else:
        lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in differing)
        shards.write_bytes(path, lines.encode())
