"""The command line. Heavy imports stand inside the commands: `--help` answers at once."""

from __future__ import annotations

from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer

from datagen import __version__

app = typer.Typer(
    name="longrlvr-data",
    help="From raw documents to questions labelled with the chunks that hold their evidence.\n\n"
    "Stages: chunk → cluster → generate → judge → select. `run` runs them all; each resumes where it stopped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[
    Optional[str],
    typer.Option("-c", "--config", help="YAML file, or the name of a bundled one. Default: the run's own."),
]
Output = Annotated[str, typer.Option("-o", "--output-dir", help="The run directory, local or any fsspec address.")]
Input = Annotated[
    Optional[str], typer.Option("--input", help="A file, a folder, '-' (standard input) or hf://owner/name.")
]
Limit = Annotated[Optional[int], typer.Option("--limit", min=1, help="Read only the first N documents.")]
Seed = Annotated[Optional[int], typer.Option("--seed", min=0, help="For every draw.")]
Workers = Annotated[Optional[int], typer.Option("--workers", min=1, help="Processes. Default: one per core.")]
Resume = Annotated[
    Literal["if-possible", "always", "never"],
    typer.Option(
        help="if-possible: go on, refuse if settings changed. always: keep what is finished all the same. "
        "never: start over."
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first bad row instead of setting it aside.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Name every row set aside; tracebacks for errors.")]
BaseUrl = Annotated[
    Optional[list[str]],
    typer.Option(
        "--base-url", help="Of a server with the OpenAI API, such as http://localhost:8000/v1; again for more of them."
    ),
]
Model = Annotated[Optional[str], typer.Option("--model", help="The language model, as the server calls it.")]
MaxCost = Annotated[Optional[float], typer.Option("--max-cost", min=0, help="US dollars the run may spend.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the first prompts as they would be sent, and stop.")]
Offline = Annotated[bool, typer.Option("--offline", help="Take the model's replies from the run's journal alone.")]
Inspect = Annotated[
    Optional[str],
    typer.Option(
        "--inspect",
        metavar="DOC",
        help="Print the clusters of one document, named by its id or a part of it, and what other values of "
        "min_similarity would give; write nothing.",
    ),
]
Explain = Annotated[
    Optional[str],
    typer.Option(
        "--explain",
        metavar="ID",
        help="Print all that the run knows of a candidate or a cluster, named by its id or a part of it: what each "
        "stage found, and why it was kept or left; write nothing.",
    ),
]
RUN = "runs/default"


OPTIONS: dict[str, tuple[Any, Any]] = {  # of every stage: the type of each, and its default
    "config": (Config, None),
    "output_dir": (Output, RUN),
    "input": (Input, None),
    "limit": (Limit, None),
    "seed": (Seed, None),
    "workers": (Workers, None),
    "resume": (Resume, "if-possible"),
    "strict": (Strict, False),
    "json": (Json, False),
    "verbose": (Verbose, False),
    "base_url": (BaseUrl, None),
    "model": (Model, None),
    "max_cost": (MaxCost, None),
    "dry_run": (DryRun, False),
    "offline": (Offline, False),
}


def _stage_command(name: str, help: str, **own: tuple[Any, Any]) -> None:
    """A command with the options of every stage, and its own."""

    def command(**given: Any) -> None:
        from datagen import pipeline

        raise typer.Exit(pipeline.main(name, pipeline.Options(**given)))

    options = OPTIONS | own
    parameters = [Parameter(n, Parameter.KEYWORD_ONLY, default=d, annotation=a) for n, (a, d) in options.items()]
    command.__signature__ = Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]  # what Typer reads
    command.__annotations__ = {n: a for n, (a, _) in options.items()}
    app.command(name, help=help)(command)


_stage_command("run", "Run all stages in order and write RUN/dataset.")
_stage_command("chunk", "Cut the documents into token-bounded chunks with exact offsets.")
_stage_command("cluster", "Embed the chunks and cluster each document's by theme.", inspect=(Inspect, None))
_stage_command("generate", "Make question, answer and evidence candidates for every cluster.")
_stage_command("judge", "Verify and rate the candidates.")
_stage_command("select", "Choose the best, and write RUN/dataset.", explain=(Explain, None))


@app.command()
def status(
    run: Annotated[str, typer.Argument(help="The run directory.")] = RUN,
    json: Json = False,
) -> None:
    """Show the funnel: what came into each stage, what was kept, and why the rest left."""
    from datagen import pipeline

    raise typer.Exit(pipeline.show_status(run, json))


@app.command()
def train(
    dataset: Annotated[str, typer.Argument(help="A finished run, or a dataset: a folder with data/train-*.parquet.")],
    config: Annotated[Optional[str], typer.Option("-c", "--config", help="YAML file, or a bundled one's name.")] = None,
    output_dir: Annotated[
        Optional[str], typer.Option("-o", "--output-dir", help="Where all is written. Default: RUN/train.")
    ] = None,
    model: Annotated[Optional[str], typer.Option("--model", help="A name on the hub, a path, or `tiny`.")] = None,
    reward: Annotated[
        Optional[Literal["longrlvr", "answer", "context"]], typer.Option(help="What is rewarded. Default: longrlvr.")
    ] = None,
    steps: Annotated[Optional[int], typer.Option("--steps", min=0, help="Batches of rollouts.")] = None,
    sft_steps: Annotated[
        Optional[int], typer.Option("--sft-steps", min=0, help="Supervised steps on gold outputs first.")
    ] = None,
    seed: Seed = None,
    base_url: BaseUrl = None,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="auto: all GPUs, if there are any.")] = "auto",
    processes: Annotated[
        Optional[int], typer.Option("--processes", min=1, help="Ranks. Default: one per GPU, one without.")
    ] = None,
    resume: Resume = "if-possible",
    verbose: Verbose = False,
) -> None:
    """Train a language model with GRPO on a dataset's grounding labels."""
    given = locals()
    from datagen import pipeline

    raise typer.Exit(pipeline.train(**given))


@app.command("quickstart-corpus")
def quickstart_corpus(folder: Annotated[Path, typer.Argument(help="Where to write the documents.")]) -> None:
    """Write the Python language reference as a handful of long documents to try things on."""
    from datagen import pipeline

    raise typer.Exit(pipeline.write_quickstart(folder))


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
    pass


if __name__ == "__main__":
    app()
