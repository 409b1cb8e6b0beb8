"""`evaluate score`: predictions, scored strictly and as published, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from datagen.commands.options import Json, Verbose

if TYPE_CHECKING:
    from datagen.console import Reporter


def score(
    predictions: Annotated[
        list[str],
        typer.Argument(
            metavar="PREDICTIONS",
            help="What `evaluate run` wrote, or files in the layout of LongBench v2, LongReason or RULER: files, or "
            "folders of them.",
        ),
    ],
    against: Annotated[
        Optional[str],
        typer.Option("--against", metavar="OTHER", help="Another model's predictions on the same questions."),
    ] = None,
    rows: Annotated[
        Optional[str],
        typer.Option(
            "--rows", metavar="FILE", help="Write the rows whose two verdicts differ, as .jsonl or as .parquet."
        ),
    ] = None,
    html: Annotated[
        Optional[str],
        typer.Option("--html", metavar="FILE", help="Write the scores as a page that needs no other file."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="The seed of the bootstrap intervals.")] = 0,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Score predictions twice: strictly, of the parsed answer alone, and by the benchmark's published rule.

    \b
    Examples:
      longrlvr-data evaluate score evals/qa_1
      longrlvr-data evaluate score mine.parquet --against theirs.parquet
      longrlvr-data evaluate score longreason.jsonl --rows differ.jsonl --html scores.html
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    raise guard.guarded(lambda said: _score(given, said), verbose)


def _score(given: dict[str, Any], reporter: Reporter) -> int:
    from datagen import shards
    from datagen.commands.guard import COMPLETE
    from datagen.console import print_json, screen
    from datagen.evaluate import differing, layouts, page, summary, told

    if given["rows"]:
        differing.check(given["rows"])
    paths: list[str] = given["predictions"]
    results = summary.results([row for path in paths for row in layouts.read(path)])
    other = summary.results(layouts.read(given["against"])) if given["against"] else None
    found: dict[str, Any] = {"predictions": paths, **summary.summary(results, given["seed"])}
    found["comparison"] = summary.compared(results, other, given["against"], given["seed"]) if other else None
    rows = differing.rows(results)
    if given["rows"]:
        differing.write(given["rows"], rows)
        reporter.say(f"{given['rows']}: {len(rows):,} rows that differ")
    if given["html"]:
        shards.write_bytes(given["html"], page.render(", ".join(paths), found, rows).encode())
        reporter.say(f"{given['html']}: the scores as a page")
    if given["verbose"]:
        for row in rows:
            reporter.say(f"{row.file}, row {row.row}: {row.reason}")
    if given["json"]:
        print_json(found)
        return COMPLETE
    terminal = screen()
    for part in told.lines(found):
        terminal.print(part)
    return COMPLETE
