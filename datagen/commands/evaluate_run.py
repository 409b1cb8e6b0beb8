"""`evaluate run`: the questions of a benchmark, asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from datagen.commands.options import Json, ModelOptions, Settings, Verbose, with_options

if TYPE_CHECKING:
    from datagen.console import Reporter

Name = Literal["longbench-v2", "longreason", "mrcr", "ruler-qa", "dataset"]
PromptFormat = Annotated[
    Literal["ours", "published"],
    typer.Option(
        "--format",
        metavar="NAME",
        help="How documents are cut and shown. ours: as in datasets made with this configuration. published: as the "
        "models published with LongRLVR were trained.",
    ),
]
EvaluateConfig = Annotated[
    Optional[str],
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="A YAML file, or the name of a bundled configuration. Only chunk, dataset.prompt, engine and "
        "input.hf_* are used.",
    ),
]


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
    format: PromptFormat = "ours",
    config: EvaluateConfig = None,
    set: Settings = None,
    limit: Annotated[
        Optional[int], typer.Option("--limit", min=1, metavar="N", help="Ask only the first N questions.")
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0, metavar="X", help="The sampling temperature; 0 is greedy.")
    ] = 0.0,
    max_response_tokens: Annotated[
        int,
        typer.Option(
            "--max-response-tokens", min=1, metavar="N", help="Most tokens of a response, reasoning included."
        ),
    ] = 4096,
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

    from datagen import grounded, llm, resources
    from datagen.commands import configuration, messages
    from datagen.commands.advice import choices
    from datagen.commands.guard import COMPLETE, FAILED_ROWS
    from datagen.config import layers
    from datagen.config import model as configs
    from datagen.config.model import Config
    from datagen.console import print_json
    from datagen.errors import ConfigError, StaleStage
    from datagen.evaluate import predict
    from datagen.llm import usage as usages

    _check_ready(given)
    model, folder = given["model"], given["output_dir"]
    files = [configs.layer(resources.path("configs", given["config"]))] if given["config"] else []
    settings = configuration.overrides(model) | layers.given({}, given["set"] or (), Config)
    config = layers.combined(Config, files, settings)
    try:
        llm.check(config.engine, (), asks=not (model.offline or model.dry_run))
    except ConfigError as e:
        raise ConfigError(f"{e}:\n  {_command(given, *e.add)}") if e.add else e from None
    asked = predict.Evaluation(
        folder=folder,
        benchmark=given["benchmark"],
        data=given["data"],
        config=config,
        form=grounded.form(config, given["format"]),
        sampling={"temperature": given["temperature"], "max_tokens": given["max_response_tokens"]},
        limit=given["limit"],
    )
    if model.dry_run:
        shown = predict.preview(asked, messages.SHOWN_REQUESTS)
        return messages.print_requests("evaluate", folder, shown, given["json"])
    try:
        ledger = predict.ask(asked, reporter, anew=given["resume"] == "never", offline=model.offline)
    except StaleStage as e:
        anew = _command(given, "--resume", "never"), "removes these answers and asks anew"
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
    names = [each.partition("=")[0].strip() for each in given["set"] or ()]
    idle = [f"--set {name}" for name in names if name == "dataset.prompt" or name.partition(".")[0] == "chunk"]
    idle += [f"--format {given['format']}"] if given["format"] != "ours" else []
    if idle:
        raise ConfigError(
            f"{idle[0]} changes nothing with --benchmark dataset, whose prompts are asked as they stand: leave it out"
        )


def _command(given: dict[str, Any], *more: str) -> str:
    """The command as it was given, and more words, to be pasted."""
    import shlex

    words = ["longrlvr-data", "evaluate", "run", "--benchmark", given["benchmark"], "--data", given["data"]]
    model = given["model"]
    names = {"--model": model.model, "-o": given["output_dir"], "-c": given["config"], "--limit": given["limit"]}
    names |= {"--concurrency": model.concurrency, "--max-cost": model.max_cost}
    names |= {"--format": given["format"], "--temperature": given["temperature"]}
    names |= {"--max-response-tokens": given["max_response_tokens"]}
    defaults = {"--format": "ours", "--temperature": 0.0, "--max-response-tokens": 4096}
    for url in model.base_url or ():
        words += ["--base-url", url]
    for name, value in names.items():
        if value is not None and value != defaults.get(name):
            words += [name, f"{value}"]
    for setting in given["set"] or ():
        words += ["--set", setting]
    return shlex.join([*words, *(["--offline"] if model.offline else []), *more])
