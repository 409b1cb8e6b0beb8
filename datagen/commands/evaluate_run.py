"""`evaluate run`: the questions of a benchmark, asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from datagen.commands.options import (
    MAX_RESPONSE_TOKENS,
    FormOptions,
    Json,
    MaxResponseTokens,
    ModelOptions,
    Verbose,
    with_options,
)

if TYPE_CHECKING:
    from datagen.console import Reporter

Name = Literal["longbench-v2", "longreason", "mrcr", "ruler-qa", "dataset"]


@with_options
def run(
    benchmark: Annotated[
        Name,
        typer.Option(
            metavar="NAME", help="longbench-v2, longreason, mrcr, ruler-qa, or dataset: rows held out of one of ours."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The benchmark's own file, a folder of them, or hf://owner/name; for dataset, a run or a dataset.",
        ),
    ],
    output_dir: Annotated[
        str, typer.Option("-o", "--output-dir", metavar="DIR", help="The folder for the predictions.")
    ],
    model: ModelOptions,
    form: FormOptions,
    context: typer.Context,
    limit: Annotated[
        Optional[int], typer.Option("--limit", min=1, metavar="N", help="Ask only the first N questions.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0, metavar="X", help="The sampling temperature; 0 is greedy.")
    ] = 0.0,
    max_response_tokens: MaxResponseTokens = MAX_RESPONSE_TOKENS,
    resume: Annotated[
        Literal["if-possible", "never"],
        typer.Option(
            metavar="MODE",
            help="What to do with predictions that are there. if-possible: go on after them, and stop if settings "
            "have changed. never: remove them and start over.",
        ),
    ] = "if-possible",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Ask a model the questions of a benchmark, as it was trained to be asked. Resumable: nothing is asked twice.

    \b
    Examples:
      longrlvr-data evaluate run --benchmark longbench-v2 --data data.json --model NAME \\
        --base-url http://localhost:8000/v1 -o evals/longbench
      longrlvr-data evaluate run --benchmark dataset --data runs/mine --model NAME \\
        --base-url http://localhost:8000/v1 -o evals/mine
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    raise guard.guarded(lambda said: _run(given, said), verbose)


def _run(given: dict[str, Any], reporter: Reporter) -> int:
    import shlex

    from datagen import grounded, llm
    from datagen.commands import configuration, messages
    from datagen.commands.advice import again, choices
    from datagen.commands.guard import COMPLETE, FAILED_ROWS
    from datagen.console import print_json
    from datagen.errors import ConfigError, StaleStage
    from datagen.evaluate import predict
    from datagen.llm import usage as usages

    _check_ready(given)
    model, form, folder = given["model"], given["form"], given["output_dir"]
    config = grounded.settings(form.config, form.set or (), configuration.overrides(model))
    try:
        llm.check(config.engine, (), asks=not (model.offline or model.dry_run))
    except ConfigError as e:
        raise ConfigError(f"{e}:\n  {again(given['context'], *e.add)}") if e.add else e from None
    asked = predict.Evaluation(
        folder=folder,
        benchmark=given["benchmark"],
        data=given["data"],
        config=config,
        form=grounded.form(config, form.format),
        sampling={"temperature": given["temperature"], "max_tokens": given["max_response_tokens"]},
        limit=given["limit"],
    )
    if model.dry_run:
        shown = predict.preview(asked, messages.SHOWN_REQUESTS)
        return messages.print_requests("evaluate", folder, shown, given["json"])
    try:
        ledger = predict.ask(asked, reporter, anew=given["resume"] == "never", offline=model.offline)
    except StaleStage as e:
        anew = again(given["context"], "--resume", "never"), "removes these answers and asks anew"
        raise StaleStage(f"{e}\n{choices([anew])}", e.stage) from e
    entry, usage = ledger["question"], predict.usage(asked)
    code = FAILED_ROWS if entry["failed"] else COMPLETE
    score = shlex.join(["longrlvr-data", "evaluate", "score", folder])
    if given["json"]:
        counts = {"questions": entry["in"], "answered": entry["kept"], "failed": entry["failed"]}
        print_json({"output_dir": folder, "benchmark": asked.benchmark} | counts | {"usage": usage, "exit_code": code})
    else:
        reporter.say(f"{'':9}in all {usages.sentence(usage)}")
        print(f"{folder}: `{score}` scores the answers")
    if code:
        n = sum(entry["failed"].values())
        one = "1 question has no reply: it counts as failed, not as wrong. The same command asks it again"
        several = f"{n:,} questions have no reply: they count as failed, not as wrong. The same command asks them again"
        reporter.say(one if n == 1 else several)
    return code


def _check_ready(given: dict[str, Any]) -> None:
    """Raise ConfigError for what says how documents are shown, where none is: a dataset's prompts are ready."""
    from datagen.errors import ConfigError

    if given["benchmark"] != "dataset":
        return
    names = [each.partition("=")[0].strip() for each in given["form"].set or ()]
    idle = [f"--set {name}" for name in names if name == "dataset.prompt" or name.partition(".")[0] == "chunk"]
    idle += [f"--format {given['form'].format}"] if given["form"].format != "ours" else []
    if idle:
        raise ConfigError(
            f"{idle[0]} changes nothing with --benchmark dataset, whose prompts are asked as they stand: leave it out"
        )
