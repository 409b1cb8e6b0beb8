"""A summary as a person reads it on a terminal, and the words and figures that the page has in common with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

EVIDENCE = "P / R / F2"  # the heading of the evidence's figures
MEANING = (
    "strict: of the parsed <answer> alone; what does not parse is wrong. as published: the benchmark's published rule. "
    "Shares in percent of the rows that have a response, with 95 % bootstrap intervals."
)


def percent(share: float | None, interval: Any = None) -> str:
    """A share in percent, with its interval; a dash where there is none."""
    if share is None:
        return "–"
    bounds = f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else ""
    return f"{100 * share:.1f}{bounds}"


def headings(found: dict[str, Any]) -> list[str]:
    """What `cells` are: failed rows and evidence only where there are any."""
    counts = ["rows", *(["failed"] if found["unanswered"] else [])]
    return [*counts, "strict", "as published", *([EVIDENCE] if found["evidence"] else [])]


def cells(of: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """The shares of some rows of all that were found, and the precision, recall and F-beta of their evidence."""
    partly = 0 < of["as_published_rows"] < of["rows"] - of["unanswered"]
    return [
        f"{of['rows']:,}",
        *([f"{of['unanswered']:,}"] if found["unanswered"] else []),
        percent(of["strict"], of["strict_interval"]),
        percent(of["as_published"], of["as_published_interval"])
        + (f" of {of['as_published_rows']:,} rows" if partly else ""),
        *([_figures(of["evidence"]) if of["evidence"] else percent(None)] if found["evidence"] else []),
    ]


def breakdowns(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The breakdowns that say more than the whole does."""
    for name, groups in found["by"].items():
        if len(groups) > 1 or (len(groups) == 1 and next(iter(groups.values()))["rows"] != found["rows"]):
            yield name, groups


def sentences(found: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Everything but the shares: headings, with lines under each."""
    differences, form, replied = found["differences"], found["diagnostics"], found["rows"] - found["unanswered"]
    if (asked_of := found.get("asked_of")) and found["rows"] < asked_of:
        yield f"Not finished: {found['rows']:,} of {asked_of:,} questions are asked", []
    if found["as_published"] is not None:
        yield (
            f"Rows whose two verdicts differ: {differences['rows']:,}",
            [f"{n:,}  {reason}" for reason, n in differences["reasons"].items()],
        )
    yield (
        f"Responses that parse: {form['parsed']:,} of {replied:,}",
        [f"{n:,}  {what}" for what, n in {**form["failures"], **form["oddities"]}.items()],
    )
    if found["failed"]:
        yield (
            f"Rows that failed, and are in no share: {found['unanswered']:,}",
            [f"{n:,}  {why}" for why, n in list(found["failed"].items())[:5]],
        )
    if found["evidence"]:
        yield _evidence(found["evidence"])
    if found.get("comparison"):
        yield _comparison(found["comparison"])


def _evidence(evidence: dict[str, Any]) -> tuple[str, list[str]]:
    lines = [
        f"{_figures(of)}  of {of['rows']:,} {what}"
        for of, what in ((evidence, "rows with gold chunks"), (evidence["parsed"], "of them that parse"))
    ]
    lines += [f"{evidence['cites_nothing']:,}  cite nothing"] if evidence["cites_nothing"] else []
    lines += [f"{evidence['out_of_range']:,}  cite a chunk that is not there"] if evidence["out_of_range"] else []
    return f"Evidence: precision, recall and F-beta (beta 2) of the citations ({EVIDENCE})", lines


def _figures(of: dict[str, Any]) -> str:
    return " / ".join(percent(of[name]) for name in ("precision", "recall", "fbeta"))


def _comparison(c: dict[str, Any]) -> tuple[str, list[str]]:
    here, there = percent(c["strict"]), percent(c["against_strict"])
    lines = [f"strict {here} here, {there} there, on {c['rows']:,} questions that both have"]
    if c["difference"] is not None:
        low, high = (100 * bound for bound in c["difference_interval"])
        lines.append(f"difference {100 * c['difference']:+.1f} [{low:+.1f}, {high:+.1f}], paired bootstrap")
    lines.append(f"{c['better_here']:,} better here, {c['better_there']:,} better there")
    if c["mcnemar_p"] is not None:
        lines[-1] += f": McNemar's exact test, p = {c['mcnemar_p']:.2g}"
    if c["only_here"] or c["only_there"]:
        lines.append(f"left out: {c['only_here']:,} questions only here, {c['only_there']:,} only there")
    if c["unanswered"]:
        lines.append(f"left out: {c['unanswered']:,} that failed in one of them")
    return f"Against {c['against']}", lines


def table(found: dict[str, Any]) -> Table:
    """The shares of all rows and of each group, strict and as published side by side."""
    shown = Table("", *headings(found), box=None, pad_edge=False)
    for column in shown.columns[1:]:
        column.justify, column.no_wrap = "right", True
    shown.columns[0].overflow = "fold"
    shown.add_row(Text("all", style="bold"), *cells(found, found))
    for name, groups in breakdowns(found):
        shown.add_row(Text(f"by {name}", style="dim"))
        for label, of in groups.items():
            shown.add_row(Text(f"  {label}"), *cells(of, found))
    return shown


def lines(found: dict[str, Any]) -> Iterator[RenderableType]:
    """A summary, to be printed part by part."""
    yield table(found)
    for heading, told in sentences(found):
        yield Text(heading, style="bold")
        width = max((line.index("  ") for line in told if "  " in line), default=0)
        for line in told:
            figure, gap, rest = line.partition("  ")
            yield Text(f"  {figure:>{width}}  {rest}" if gap else f"  {line}")
    yield Text(MEANING, style="dim")
