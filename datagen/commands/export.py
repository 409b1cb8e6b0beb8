"""`export`: a dataset, its reward and a launch for another trainer, or a dataset for the Hub."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from datagen.commands.options import Json, Verbose

if TYPE_CHECKING:
    from datagen.console import Reporter

To = Literal["verl", "trl", "openrlhf", "slime", "verifiers", "jsonl", "hf"]
MAX_PROMPT_TOKENS, MAX_RESPONSE_TOKENS = 65_536, 4096


def export(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="A finished run, or a folder with train.parquet or data/train-*.parquet."
        ),
    ],
    to: Annotated[
        To,
        typer.Option(
            "--to",
            metavar="TRAINER",
            help="verl, trl, openrlhf, slime, verifiers, or jsonl for any other; hf for the Hugging Face Hub.",
        ),
    ],
    output_dir: Annotated[
        str,
        typer.Option("-o", "--output-dir", metavar="DIR", help="The folder to write. It must be new, or empty."),
    ],
    model: Annotated[
        Optional[str],
        typer.Option(
            "--model",
            metavar="NAME",
            help="The model to be trained, on the hub or in a folder: its tokenizer and chat template count the rows. "
            "For hf it may be left out: then every row is written.",
        ),
    ] = None,
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
    ] = MAX_PROMPT_TOKENS,
    max_response_tokens: Annotated[
        int, typer.Option("--max-response-tokens", min=1, metavar="N", help="Tokens that a response may have.")
    ] = MAX_RESPONSE_TOKENS,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a dataset, its reward and a launch for another trainer, or a dataset for the Hugging Face Hub.

    \b
    Examples:
      longrlvr-data export runs/mine --to verl --model Qwen/Qwen2.5-7B-Instruct -o exports/verl
      longrlvr-data export runs/mine --to trl --model ./my-model --verifier contains -o exports/trl
      longrlvr-data export runs/mine --to hf -o exports/hf
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    as_json, _ = given.pop("json"), given.pop("verbose")
    raise guard.guarded(lambda said: _export(given, as_json, verbose, said), verbose)


def _export(given: dict[str, Any], as_json: bool, verbose: bool, reporter: Reporter) -> int:
    from datagen import extras
    from datagen.commands import guard
    from datagen.errors import ConfigError, UserError

    class Interrupted(UserError):
        exit_code = guard.INTERRUPTED

    if given["model"]:
        extras.require("export", "export", "jinja2", "transformers")
    elif given["to"] == "hf" and (given["max_prompt_tokens"], given["max_response_tokens"]) != (
        MAX_PROMPT_TOKENS,
        MAX_RESPONSE_TOKENS,
    ):
        raise ConfigError("--max-prompt-tokens and --max-response-tokens are counted by a model: add --model NAME")
    try:
        return (_to_hub if given["to"] == "hf" else _to_trainer)(given, as_json, verbose, reporter)
    except KeyboardInterrupt as e:
        raise Interrupted("interrupted: nothing was written") from e


def _to_hub(given: dict[str, Any], as_json: bool, verbose: bool, reporter: Reporter) -> int:
    import shlex

    from datagen.commands import guard
    from datagen.console import print_json
    from datagen.export.folder import Options
    from datagen.export.hub import write

    options = Options(**given)
    found = write.export(options)
    _name(reporter, verbose, (qa_id for split in found["splits"].values() for qa_id in split["left_out_ids"]))
    if as_json:
        print_json({"output_dir": options.output_dir, **found})
        return guard.COMPLETE
    for name, split in found["splits"].items():
        reasons = "".join(f"; {n:,} left out: {reason}" for reason, n in split["left_out"].items())
        if split["rows"] or reasons:
            print(f"{name}: {split['rows']:,} rows{reasons}")
    print(f"documents: {found['documents']:,}")
    if write.licence(options.output_dir) in (None, "unknown"):
        print("The card names no licence: set dataset.license, and dataset.language, and select and export again")
    print(
        f"{options.output_dir}: `longrlvr-data push {shlex.quote(options.output_dir)} OWNER/NAME` shows what would be "
        "uploaded; README.md says more"
    )
    return guard.COMPLETE


def _to_trainer(given: dict[str, Any], as_json: bool, verbose: bool, reporter: Reporter) -> int:
    import shlex

    from datagen.commands import guard
    from datagen.console import print_json
    from datagen.export import rows, targets, write
    from datagen.export.folder import Options

    options = Options(**given)
    counts, limit = write.export(options)
    _name(reporter, verbose, (qa_id for count in counts.values() for qa_id in count.ids))
    if as_json:
        print_json({"output_dir": options.output_dir, **write.record(options, counts, limit)})
        return guard.COMPLETE
    for split, count in counts.items():
        if count.written or count.left_out:
            print(f"{split}: {rows.told(count, limit)}")
    if limit < options.max_prompt_tokens:
        room, most = limit + options.max_response_tokens, options.max_response_tokens
        print(f"Prompts have at most {limit:,} tokens: the model has {room:,} positions, and a response takes {most:,}")
    if options.verifier == "llm":
        print("Answers are judged by a model: README.md says which variables name it")
    start = targets.TARGETS[options.to].start
    do = f"`cd {shlex.quote(options.output_dir)} && {start}`; " if start else ""
    print(f"{options.output_dir}: {do}README.md says more")
    return guard.COMPLETE


def _name(reporter: Reporter, verbose: bool, left_out: Iterable[str]) -> None:
    if verbose:
        for qa_id in left_out:
            reporter.say(f"left out: {qa_id}")
