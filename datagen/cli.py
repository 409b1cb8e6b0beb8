"""The command line: which command is where. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from typing import Annotated

import typer

from datagen import __version__, resources
from datagen.commands.chunk import chunk
from datagen.commands.cluster import cluster
from datagen.commands.doctor import doctor
from datagen.commands.export import export
from datagen.commands.finish import finish
from datagen.commands.generate import generate
from datagen.commands.init import init
from datagen.commands.judge import judge
from datagen.commands.push import push
from datagen.commands.quickstart_corpus import quickstart_corpus
from datagen.commands.quickstart_world import quickstart_world
from datagen.commands.run import run
from datagen.commands.select import select
from datagen.commands.serve import serve
from datagen.commands.show import show
from datagen.commands.status import status
from datagen.commands.train import train

HELP = f"""From raw documents to questions labelled with the chunks that hold their evidence.

Stages: chunk → cluster → generate → judge → select. `run` runs them all; each resumes where it stopped.

\b
Examples:
  longrlvr-data quickstart-corpus corpus
  longrlvr-data run -c quickstart --input corpus -o runs/quickstart
  longrlvr-data status runs/quickstart

Configurations for -c: {", ".join(resources.names("configs"))}. `show config NAME` prints one.
"""

app = typer.Typer(
    name="longrlvr-data",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
STAGES = (run, chunk, cluster, generate, judge, select, finish)
COMMANDS = (*STAGES, status, doctor, train, export, push, serve, init, show)
for command in (*COMMANDS, quickstart_corpus, quickstart_world):
    app.command(command.__name__.replace("_", "-"))(command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longrlvr-data {__version__}")
        raise typer.Exit()


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """The options of the program itself."""
    pass
