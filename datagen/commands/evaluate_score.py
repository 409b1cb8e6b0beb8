"""`evaluate score`: predictions, scored strictly and as published, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

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
    verifier: Annotated[
        Literal["exact", "contains"],
        typer.Option(
            metavar="NAME",
            help="How the answers to rows of a dataset are held against the reference: exact or contains. Give the one "
            "that the model was trained with.",
        ),
    ] = "exact",
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
    rows_of = {path: layouts.read(path) for path in (*paths, *filter(None, [given["against"]]))}
    _check(given, {row.file for rows in rows_of.values() for row in rows})
    if twice := layouts.answered_twice([row for path in paths for row in rows_of[path]]):
        reporter.say(
            f"warning: {twice:,} answers are to questions that have one already, as where a folder holds several "
            "models: the figures pool them, and the intervals are too narrow. Score one, or compare two (--against)"
        )
    asked_of = {path: _asked_of(path, len(rows), reporter) for path, rows in rows_of.items()}
    results = summary.results([row for path in paths for row in rows_of[path]], given["verifier"])
    other = summary.results(rows_of[given["against"]], given["verifier"]) if given["against"] else None
    known = [n for path in paths if (n := asked_of[path]) is not None]
    found: dict[str, Any] = {"predictions": paths, "asked_of": sum(known) if len(known) == len(paths) else None}
    found |= {"verifier": given["verifier"], **summary.summary(results, given["seed"])}
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


def _check(given: dict[str, Any], inputs: set[str]) -> None:
    """Raise ConfigError for a file to be written over what is scored, or among it, and for a path given twice."""
    import os

    from datagen.errors import ConfigError

    paths = [os.path.abspath(path) for path in given["predictions"]]
    if len(set(paths)) < len(paths):
        raise ConfigError("the same predictions are given twice: they would be counted twice")
    if given["html"] and not given["html"].endswith((".html", ".htm")):
        raise ConfigError(f"--html {given['html']}: end its name in .html")
    scored = {os.path.abspath(path) for path in (*inputs, *paths, *filter(None, [given["against"]]))}
    for option in ("rows", "html"):
        where = os.path.abspath(given[option]) if given[option] else None
        if where and (where in scored or any(where.startswith(f"{path}{os.sep}") for path in scored)):
            raise ConfigError(f"--{option} {given[option]}: it is, or lies among, what is scored: write it elsewhere")


def _asked_of(path: str, rows: int, reporter: Reporter) -> int | None:
    """How many questions there are to be answers to; None where nobody knows. Says so where some are still to come."""
    from datagen.errors import DamagedFile
    from datagen.evaluate import layouts

    try:
        total = layouts.questions(path)
    except DamagedFile as e:
        reporter.say(f"{e}\n{path}: whether all questions are asked is not known")
        return None
    if total is not None and rows < total:
        reporter.say(f"{path}: {rows:,} of {total:,} questions are asked: go on with the same `evaluate run`")
    return total
