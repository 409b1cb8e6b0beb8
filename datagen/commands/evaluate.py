"""`evaluate`: the commands about benchmarks."""

from __future__ import annotations

import typer

from datagen.commands.evaluate_ruler import ruler
from datagen.commands.evaluate_run import run
from datagen.commands.evaluate_score import score

HELP = """Ask a model the questions of a benchmark, and score what it said.

\b
Examples:
  longrlvr-data evaluate ruler dev-v2.0.json --tokens 32768 -o qa_1.parquet
  longrlvr-data evaluate run --benchmark ruler-qa --data qa_1.parquet --model NAME \\
    --base-url http://localhost:8000/v1 -o evals/qa_1
  longrlvr-data evaluate score evals/qa_1
"""

evaluate = typer.Typer(name="evaluate", help=HELP, no_args_is_help=True, rich_markup_mode=None)
for command in (run, score, ruler):
    evaluate.command(command.__name__.replace("_", "-"))(command)
