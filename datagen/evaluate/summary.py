"""What a file of predictions comes to: both shares, why they differ, evidence, form, breakdowns, a comparison."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from datagen.errors import InputError
from datagen.evaluate import diagnostics
from datagen.evaluate.intervals import interval, mcnemar
from datagen.evaluate.layouts import Row
from datagen.evaluate.score import EXACT, REASONS, Scored, evidence, score

FIFTHS = 5
_ORDER = {"short": 0, "medium": 1, "long": 2, "easy": 0, "hard": 2}


@dataclass(frozen=True, slots=True)
class Result:
    """A row and what its response scored; `scored` is None where no reply was had, and the row counts as failed."""

    row: Row
    scored: Scored | None
    failures: list[str]
    oddities: list[str]


def results(rows: Sequence[Row], verifier: str = EXACT) -> list[Result]:
    """The rows, scored; those of a dataset by this verifier."""
    found = []
    for row in rows:
        scored = score(row.prediction, verifier)
        failures, oddities = diagnostics.of_row(row.prediction, scored) if scored else ([], [])
        found.append(Result(row, scored, failures, oddities))
    return found


def summary(found: Sequence[Result], seed: int = 0) -> dict[str, Any]:
    """All there is to say of some results, as `--json` prints it, but for a comparison."""
    return {
        **shares(found, seed),
        "failed": failed(found),
        "differences": differences(found),
        "diagnostics": _diagnostics(found),
        "evidence": _evidence(found),
        "by": {name: _breakdown(found, label, seed) for name, label in BY.items()},
    }


def shares(found: Sequence[Result], seed: int) -> dict[str, Any]:
    """Both shares with their intervals. They are of the rows that have a response; `as_published` is of those of them
    that have a published verdict (`as_published_rows`), and null where none has.
    """
    replied = [result.scored for result in found if result.scored]
    strict = [float(scored.strict) for scored in replied]
    published = [float(scored.as_published) for scored in replied if scored.as_published is not None]
    return {
        "rows": len(found),
        "unanswered": len(found) - len(replied),
        "strict": _mean(strict),
        "strict_interval": interval(strict, seed),
        "as_published": _mean(published),
        "as_published_interval": interval(published, seed),
        "as_published_rows": len(published),
    }


def differences(found: Sequence[Result]) -> dict[str, Any]:
    """How many rows have two verdicts that differ, and why."""
    counts = Counter(result.scored.reason for result in found if result.scored and result.scored.reason)
    reasons = {reason: counts[reason] for reason in sorted(REASONS, key=lambda reason: -counts[reason])}
    return {"rows": counts.total(), "reasons": {reason: n for reason, n in reasons.items() if n}}


def failed(found: Sequence[Result]) -> dict[str, int]:
    """Why rows have no response, by what stands before the details in `error`, the most frequent first."""
    errors = [result.row.prediction.error.strip() for result in found if not result.scored]
    heads = [error.splitlines()[0].partition(": ")[0][:200] if error else "no reason is given" for error in errors]
    return dict(Counter(heads).most_common())


def _diagnostics(found: Sequence[Result]) -> dict[str, Any]:
    replied = [result for result in found if result.scored]
    return {
        "parsed": sum(result.scored.reading.parsed for result in replied if result.scored),
        "failures": diagnostics.counted([result.failures for result in replied], diagnostics.FAILURES),
        "oddities": diagnostics.counted([result.oddities for result in replied], diagnostics.ODDITIES),
    }


def _evidence(found: Sequence[Result]) -> dict[str, Any] | None:
    """The citations held against the gold chunks: means over the rows that have some, a response that does not parse
    being worth nothing, as to the trainer; `parsed` is of the rows that parse. None where no row has gold chunks.
    """
    every, parsed, nothing, absent = [], [], 0, 0
    for result in found:
        gold = result.row.prediction.gold_chunks
        if not result.scored or not gold:
            continue
        reading = result.scored.reading
        cited = reading.useful_chunks if reading.parsed else None
        figures = evidence(reading, gold)
        every.append(figures)
        parsed += [figures] if reading.parsed else []
        nothing += reading.parsed and not cited
        n = result.row.prediction.n_chunks
        absent += n is not None and any(i >= n for i in cited or ())
    if not every:
        return None
    return {
        **_figures(every),
        "parsed": _figures(parsed),
        "cites_nothing": nothing,
        "out_of_range": absent,
    }


def _figures(rows: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    precision, recall, f = zip(*rows, strict=True) if rows else ((), (), ())
    return {"rows": len(rows), "precision": _mean(precision), "recall": _mean(recall), "fbeta": _mean(f)}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _fifth(result: Result) -> str:
    position = result.row.prediction.position
    if position is None:
        return ""
    fifth = min(int(position * FIFTHS), FIFTHS - 1)
    return f"{fifth * 100 // FIFTHS}-{(fifth + 1) * 100 // FIFTHS} %"


BY: dict[str, Callable[[Result], str]] = {
    "benchmark": lambda result: result.row.prediction.benchmark,
    "predictions": lambda result: result.row.given,
    "length": lambda result: result.row.prediction.length,
    "position": _fifth,
    "difficulty": lambda result: result.row.prediction.difficulty,
    "domain": lambda result: result.row.prediction.domain,
}


def _breakdown(found: Sequence[Result], label: Callable[[Result], str], seed: int) -> dict[str, Any]:
    """The shares and the evidence of the rows of each label, in order; rows without one stand in none."""
    groups: dict[str, list[Result]] = {}
    for result in found:
        if name := label(result):
            groups.setdefault(name, []).append(result)
    return {
        name: {**shares(groups[name], seed), "evidence": _evidence(groups[name])} for name in sorted(groups, key=_order)
    }


def _order(label: str) -> tuple[Any, ...]:
    """Short before long, 8k before 32k before 1M, else by name."""
    size = re.match(r"(\d+)\s?([kKmM]?)", label)
    power = {"": 1, "k": 2**10, "m": 2**20}
    number = int(size[1][:30]) * power[size[2].lower()] if size else 0
    return (number, _ORDER.get(label.lower(), 0), label)


def compared(here: Sequence[Result], there: Sequence[Result], against: str, seed: int = 0) -> dict[str, Any]:
    """Two files on the questions that both have, paired by benchmark and item; where a file has an item at several
    lengths, by its length, too. Strict verdicts alone; rows that failed in either are left out, and counted.

    Raises InputError where no question is in both, or one stands in a file twice.
    """
    by_length = any(_repeats(found) for found in (here, there))
    mine, theirs = (_by_item(found, by_length) for found in (here, there))
    both = [key for key in mine if key in theirs]
    if not both:
        raise InputError(_nothing_shared(here, there, against))
    replied = [(mine[key].scored, theirs[key].scored) for key in both]
    pairs = [(float(a.strict), float(b.strict)) for a, b in replied if a and b]
    boolean = all(result.row.prediction.kind != "similarity" for result in (*here, *there))
    first, second = (sum(1 for pair in pairs if pair[i] > pair[1 - i]) for i in (0, 1))
    return {
        "against": against,
        "rows": len(pairs),
        "unanswered": len(both) - len(pairs),
        "only_here": len(mine) - len(both),
        "only_there": len(theirs) - len(both),
        "strict": _mean([a for a, _ in pairs]),
        "against_strict": _mean([b for _, b in pairs]),
        "difference": _mean([a - b for a, b in pairs]),
        "difference_interval": interval([a - b for a, b in pairs], seed),
        "better_here": first,
        "better_there": second,
        "mcnemar_p": mcnemar(first, second) if boolean and pairs else None,
    }


def _repeats(found: Sequence[Result]) -> bool:
    keys = [(result.row.prediction.benchmark, result.row.prediction.item_id) for result in found]
    return len(set(keys)) < len(keys)


def _by_item(found: Sequence[Result], by_length: bool) -> dict[tuple[str, ...], Result]:
    items: dict[tuple[str, ...], Result] = {}
    for result in found:
        p = result.row.prediction
        key = (p.benchmark, p.item_id, p.length) if by_length else (p.benchmark, p.item_id)
        if key in items:
            other = items[key].row
            raise InputError(
                f"{result.row.file}, row {result.row.number}: the item {p.item_id} stands in {other.file}, row "
                f"{other.number}, too: to compare, give one file of each model"
            )
        items[key] = result
    return items


def _nothing_shared(here: Sequence[Result], there: Sequence[Result], against: str) -> str:
    mine, theirs = ({result.row.prediction.benchmark for result in found} for found in (here, there))
    if not mine & theirs:
        return (
            f"{against} is of another benchmark ({', '.join(theirs)}, not {', '.join(mine)}): nothing can be compared"
        )
    ids = [found[0].row.prediction.item_id for found in (here, there)]
    return (
        f"{against} has none of the same items, or none at the same length, though it is of the same benchmark: it "
        f"begins with {ids[1]}, the predictions with {ids[0]}: give two files of the same questions"
    )
