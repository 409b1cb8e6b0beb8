"""`export`: a dataset, its reward and a launch for another trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from datagen.commands.options import Json, Verbose

if TYPE_CHECKING:
    from datagen.console import Reporter

To = Literal["verl", "trl", "openrlhf", "slime", "verifiers", "jsonl"]


def export(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="A finished run, or a folder with train.parquet or data/train-*.parquet."
        ),
    ],
    to: Annotated[
        To,
        typer.Option("--to", metavar="TRAINER", help="verl, trl, openrlhf, slime, verifiers, or jsonl for any other."),
    ],
    output_dir: Annotated[
        str,
        typer.Option("-o", "--output-dir", metavar="DIR", help="The folder to write. It must be new, or empty."),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME",
            help="The model to be trained, on the hub or in a folder: its tokenizer and chat template count the rows.",
        ),
    ],
    verifier: Annotated[
        Literal["exact", "contains", "f1", "llm"],
        typer.Option(
            metavar="NAME", help="How answers are held against the reference: exact, contains, f1, or llm, a model."
        ),
    ] = "exact",
    max_prompt_tokens: Annotated[
        int,
        typer.Option(
            "--max-prompt-tokens", min=1, metavar="N", help="Rows with longer prompts are left out. Nothing is cut."
        ),
    ] = 65_536,
    max_response_tokens: Annotated[
        int, typer.Option("--max-response-tokens", min=1, metavar="N", help="Tokens that a response may have.")
    ] = 4096,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a dataset, its reward and a launch for another trainer.

    \b
    Examples:
      longrlvr-data export runs/mine --to verl --model Qwen/Qwen2.5-7B-Instruct -o exports/verl
      longrlvr-data export runs/mine --to trl --model ./my-model --verifier contains -o exports/trl
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    as_json, _ = given.pop("json"), given.pop("verbose")
    raise guard.guarded(lambda said: _export(given, as_json, verbose, said), verbose)


def _export(given: dict[str, Any], as_json: bool, verbose: bool, reporter: Reporter) -> int:
    import shlex

    from datagen import extras
    from datagen.commands import guard
    from datagen.console import print_json
    from datagen.errors import UserError

    extras.require("export", "export", "jinja2", "transformers")
    from datagen.export import targets, write

    class Interrupted(UserError):
        exit_code = guard.INTERRUPTED

    options = write.Options(**given)
    try:
        counts, limit = write.export(options)
    except KeyboardInterrupt as e:
        raise Interrupted("interrupted: nothing was written") from e
    if verbose:
        for qa_id in (qa_id for count in counts.values() for qa_id in count.ids):
            reporter.say(f"left out: {qa_id}")
    if as_json:
        print_json({"output_dir": options.output_dir, **write.record(options, counts, limit)})
        return guard.COMPLETE
    for split, count in counts.items():
        if count.written or count.left_out:
            print(f"{split}: {write.told(count, limit)}")
    if limit < options.max_prompt_tokens:
        room, most = limit + options.max_response_tokens, options.max_response_tokens
        print(f"Prompts have at most {limit:,} tokens: the model has {room:,} positions, and a response takes {most:,}")
    if options.verifier == "llm":
        print("Answers are judged by a model: README.md says which variables name it")
    start = targets.TARGETS[options.to].start
    do = f"`cd {shlex.quote(options.output_dir)} && {start}`; " if start else ""
    print(f"{options.output_dir}: {do}README.md says more")
    return guard.COMPLETE
