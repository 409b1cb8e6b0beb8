"""`evaluate`: the commands about benchmarks."""

from __future__ import annotations

import typer

from datagen.commands.evaluate_score import score

HELP = """Ask a model the questions of a benchmark, and score what it said.

\b
Examples:
  longrlvr-data evaluate score evals/qa_1
"""

evaluate = typer.Typer(name="evaluate", help=HELP, no_args_is_help=True, rich_markup_mode=None)
for command in (score,):
    evaluate.command(command.__name__.replace("_", "-"))(command)
