"""Run stages in order: settle the configuration, check what can be checked before any work, run, report."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from datagen import llm as engines
from datagen import shards
from datagen.commands import configuration, messages, nothing
from datagen.commands.advice import Given, advised, command_line
from datagen.commands.guard import COMPLETE, FAILED_ROWS
from datagen.commands.options import (
    ExecutorOptions,
    ModelOptions,
    Options,
    Resume,
    ShareOptions,
    StageOptions,
)
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.console import Reporter, print_json
from datagen.dataset import write as dataset
from datagen.errors import ConfigError, UserError
from datagen.executors import local as executors
from datagen.executors.local import Map
from datagen.run import ledger as ledgers
from datagen.run import lock
from datagen.run.ledger import Ledger
from datagen.run.run import Run
from datagen.run.share import Share
from datagen.selection import split
from datagen.stages import COMMANDS, STAGES, runner, spending
from datagen.stages.stage import Source, Stage

ENDS = ("chunk", "cluster", "generate", "judge", "select")  # stages after which there may be nothing left for the next
Kind = TypeVar("Kind", ModelOptions, ShareOptions, ExecutorOptions)


def run_stages(command: str, reporter: Reporter, options: StageOptions, *more: Options) -> int:
    """Do what a stage command, or "run" for all of them, asks for. Returns the exit code.

    Raises UserError for what the person can put right; nothing was removed then that was there before.
    """
    model, executor = _set(ModelOptions, more), _set(ExecutorOptions, more)
    share = _set(ShareOptions, more).share()
    executor.check()
    settings = configuration.overrides(options, *more)
    flags = ("--dry-run",) * model.dry_run + ("--offline",) * model.offline + share.options
    with advised(Given(command, options.output_dir, options.config, settings, flags)):
        return _run_stages(command, reporter, options, model, settings, share, executor)


def _set(kind: type[Kind], given: Sequence[Options]) -> Kind:
    """The options of a kind; the defaults where the command does not take them."""
    return next((each for each in given if isinstance(each, kind)), kind())


def finish(reporter: Reporter, options: StageOptions) -> int:
    """End a run whose shards were made by several jobs: what they made is checked, and all that is the whole run's is
    made of it. Returns the exit code. Raises UserError where shards are missing.
    """
    run = Run(options.output_dir)
    run.check()
    for s in STAGES:
        missing = sorted(set(run.layout or []) - set(run.names(s.name)))
        if not s.table.whole and (missing or run.layout is None):
            lacks = f"{len(missing):,} of its {len(run.layout):,} shards, such as {missing[0]}" if run.layout else "all"
            here = command_line("run", run.path, None, {})
            raise UserError(
                f"{run.path}: {s.name} lacks {lacks}. Start the jobs that have not ended again: each makes what is "
                f"missing of its own. Or make it all here:\n  {here}"
            )
    return run_stages("run", reporter, options, ModelOptions(offline=True))


def _run_stages(
    command: str,
    reporter: Reporter,
    options: StageOptions,
    model: ModelOptions,
    given: dict[str, Any],
    share: Share,
    executor: ExecutorOptions,
) -> int:
    run = options.output_dir
    if executor.executor == "ray" and shards.is_local(run):
        run = os.path.abspath(run.removeprefix("file://"))  # workers are in folders of their own
    chosen = COMMANDS.get(command, tuple(s.name for s in STAGES))
    todo = [s for s in STAGES if s.name in chosen and (share.is_whole or not s.table.whole)]
    upstream = STAGES[: STAGES.index(todo[0])]
    config = configuration.settled(run, options.config, given, needs_input=not upstream)
    if not share.is_whole:
        _check_share(todo, run, config, options.resume)
    if model.dry_run and not any(s.models(config) for s in todo):
        raise ConfigError("--dry-run shows what a language model would be sent: no stage of this command asks one")
    if todo[-1] is STAGES[-1]:
        config = configuration.settle_benchmarks(config)
    resume: dict[str, Resume] = {s.name: _resume(s, run, config, command, options.resume) for s in todo}
    # Its GPUs are the cluster's, not this machine's.
    here = configs.merge(config, {"embed.device": "cpu"}) if executor.executor == "ray" else config
    _check(todo, run, here, resume, model)
    total: dict[str, Ledger] = {}
    done: set[str] = set()  # before this command
    with lock.locked(run, share):
        config = configuration.settle_input(config, run, reporter, share)
        with configuration.kept(run, config, todo[0].name, model.dry_run, share):
            runner.check_upstream(upstream, run, config, options.resume, share)
            with _executor(executor, config, reporter) as (pool, on_gpus):
                for s in todo:
                    if model.dry_run and s.models(config):
                        return messages.show_requests(s, run, config, options.json)
                    if _is_done(s, run, config, resume[s.name]):
                        done.add(s.name)
                    doing = pool, reporter, model.offline, share, on_gpus
                    total[s.name] = runner.run(s, run, config, resume[s.name], *doing)
                    _say_made(s, run, config, reporter, options.verbose, again=s.name in done)
                    if share.is_whole and s.name in ENDS and (s is not todo[-1] or s.table.whole):
                        nothing.stop_if_none(s.name, s.table.output_unit, run, config, total[s.name])
        counts = dataset.write(run, config) if todo[-1] is STAGES[-1] else None
    if command == "run" and not share.is_whole:
        others = f"when all {share.count} are, `longrlvr-data finish {shlex.quote(run)}` makes the dataset"
        reporter.say(f"job {share.index} of {share.count} (counted from 0) is done; {others}")
    found: dict[str, Any] = {}
    if counts:
        found = {"dataset": counts}
        if command == "run":
            found["without_row"] = nothing.say_missing(run, reporter, again=STAGES[-1].name in done)
        _say_dataset(counts, run, config, reporter)
    unread = messages.say_unread(config, total, reporter)
    asks = any(ledgers.failures(total[s.name]) for s in todo if s.models(config) and not model.offline)
    return _report(run, total, found, reporter, options.json, asks, unread)


def _is_done(s: Stage, run: str, config: Config, resume: Resume) -> bool:
    """Whether a stage has nothing left to do."""
    return resume != "never" and Run(run).is_complete(s.name) and runner.fits(s, run, config)


def _say_made(s: Stage, run: str, config: Config, reporter: Reporter, verbose: bool, again: bool) -> None:
    """Say what a stage showed of the input, of the encoder, or of the judge's model. `again`: it was done before."""
    if isinstance(s.work, Source):
        messages.say_input(run, reporter, verbose)
    if s.name == "cluster" and not again:
        messages.say_told_apart(run, config, reporter)
    if s.name == "judge" and s.models(config):
        messages.say_judged(run, reporter)


@contextmanager
def _executor(options: ExecutorOptions, config: Config, reporter: Reporter) -> Iterator[tuple[Map, Map | None]]:
    """Where shards are processed, and, where GPUs are elsewhere, those that are for one."""
    if options.executor == "ray":
        from datagen.executors import ray

        with ray.cluster(options.ray_address, config.workers, reporter.tick) as maps:
            yield maps
    else:
        with executors.pool(config.workers or executors.cores(), reporter.tick) as pool:
            yield pool, None


def _check_share(todo: list[Stage], run: str, config: Config, resume: Resume) -> None:
    """Raise ConfigError for what a job can't do beside the others."""
    if resume == "never":
        folders = shlex.join(Run(run).folder(s.name) for s in todo)
        raise ConfigError(
            f"--resume never would remove what other jobs make. Remove it once, before they start:\n  rm -r {folders}"
        )
    if any(engine.kind == "openai-batch" for s in todo for engine in s.models(config).values()):
        raise ConfigError(
            "jobs of an array cannot send batches (engine.kind: openai-batch): these go on at the server, whoever "
            "waits for them. Run the stages that ask a model as one command"
        )


def _say_dataset(counts: dict[str, int], run: str, config: Config, reporter: Reporter) -> None:
    """Say where the rows are not split, or not shown, as a person would want them."""
    anew = command_line("select", run, None, {}, "--resume", "never")
    if not counts["train"]:
        reporter.say(
            f"warning: the dataset has no train rows, all {counts['validation']:,} are for validation: rows that were "
            f"kept from before count in no new split. To choose and split all rows anew:\n  {anew}"
        )
    elif off := split.off_share(**counts, fraction=config.select.validation_fraction):
        reporter.say(off)
    if not dataset.prompt_is_as_selected(run):
        reporter.say(
            "warning: the rows have another prompt than the one that select counted with: a prompt may be longer than "
            f"select.max_prompt_tokens, and than the card says. To choose all rows anew:\n  {anew}"
        )


def _check(todo: list[Stage], run: str, config: Config, resume: dict[str, Resume], model: ModelOptions) -> None:
    """Find what would stop a stage later: no model's name or price, no encoder, a missing key or package, a prompt of
    no use.
    """
    for s in todo:
        if models := s.models(config):
            main, *others = models.values()
            engines.check(main, others, asks=not (model.offline or model.dry_run))
            spending.check(s.name, models, config.max_cost)
        if not isinstance(s.work, Source):
            s.fingerprints(config, Run(run))  # reads its prompts
        is_shown = model.dry_run and models
        if not is_shown and (resume[s.name] == "never" or not Run(run).is_complete(s.name)):
            s.check(config)


def _resume(s: Stage, run: str, config: Config, command: str, resume: Resume) -> Resume:
    """`cluster --resume never` means the clusters: vectors that still fit are kept, they are what takes the time."""
    if command == "cluster" and s.name == "embed" and resume == "never" and runner.fits(s, run, config):
        return "if-possible"
    return resume


def _report(
    run: str,
    total: dict[str, Ledger],
    found: dict[str, Any],
    reporter: Reporter,
    as_json: bool,
    asks: bool,
    unread: bool,
) -> int:
    failed = sum(map(ledgers.failures, total.values()))
    code = FAILED_ROWS if failed or unread else COMPLETE
    if as_json:
        result: dict[str, Any] = {"run": run, "stages": total, "exit_code": code}
        print_json(result | found)
    elif found:
        messages.show_dataset(run, found["dataset"])
    if failed:
        counted = f"`longrlvr-data status {shlex.quote(run)}` counts the reasons"
        asked = "; the same command asks a model for them again" * asks
        reporter.say(f"{failed:,} rows failed: {counted}, {Run(run).folder('*', 'dropped')}/ holds the rows{asked}")
    return code
