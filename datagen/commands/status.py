"""`status`: the funnel of a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datagen.commands.explain import Explain
from datagen.commands.explain import explain as explain_id
from datagen.commands.options import RUN, Json

if TYPE_CHECKING:
    from datagen.console import Reporter
    from datagen.run.status import StageStatus


def status(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="The run directory.")] = RUN,
    explain: Explain = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="Name every document that gave no row, and why.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what each stage kept, and why the rest left.

    \b
    Examples:
      longrlvr-data status runs/mine
      longrlvr-data status runs/mine --documents
      longrlvr-data status runs/mine --explain chapter-3
    """
    from datagen.commands import guard

    def work(said: Reporter) -> int:
        if explain is not None:
            return _explain(run, explain, json)
        return _documents(run, json) if documents else _show(run, json, said)

    raise guard.guarded(work)


def _explain(run: str, wanted: str, as_json: bool) -> int:
    from datagen.run.run import Run

    Run(run).check()
    return explain_id(run, wanted, as_json)


def _documents(run: str, as_json: bool) -> int:
    """Name the documents without a row, a line each; with --json, an object each."""
    from dataclasses import asdict

    from datagen.commands import guard, nothing
    from datagen.commands.advice import repairable
    from datagen.console import print_json, put
    from datagen.inspect import missing
    from datagen.run.run import Run

    Run(run).check()
    with repairable(run):
        if as_json:
            found = [asdict(each) | {"command": nothing.helping([each], run)[:1]} for each in missing.tell(Run(run))]
            print_json({"run": run, "documents": found})
            return guard.COMPLETE
        commands: dict[str, None] = {}
        for each in missing.tell(Run(run)):
            put(nothing.line(each))
            commands |= dict.fromkeys(nothing.helping([each], run))
    for command in commands:
        put(f"to let more pass: {command}")
    return guard.COMPLETE


def _show(run: str, as_json: bool, reporter: Reporter) -> int:
    from datagen.checks import grading
    from datagen.commands import guard
    from datagen.commands.advice import NAME, repairable
    from datagen.console import funnel, print_json, screen
    from datagen.llm import usage as usages
    from datagen.run.run import Run

    Run(run).check()
    with repairable(run):
        statuses, paid_for = Run(run).status(), _usage(run, reporter)
    if as_json:
        print_json({"run": run, "stages": [vars(s) | {"usage": paid_for.get(s.name)} for s in statuses]})
        return guard.COMPLETE
    console = screen()
    console.print(funnel(statuses))
    for name, usage in paid_for.items():
        for line in usages.sentences(name, usage):
            console.print(line, markup=False, soft_wrap=True)
    if n := _without_row(run, statuses):
        named = f"`{NAME} status {shlex.quote(run)} --documents`"
        console.print(f"  {n:,} documents gave no row: {named} says why", markup=False, soft_wrap=True)
    if trial := grading.kept(Run(run).trial("judge")):
        console.print(f"judge: {grading.described(trial)}")
    if stale := [s.name for s in statuses if s.stale]:
        ready = not any(s.pending for s in statuses if s.name not in stale)
        console.print(f"\nTo make what is stale again:\n  {_remaking(run, stale, ready)}", markup=False, soft_wrap=True)
    return guard.COMPLETE


def _without_row(run: str, statuses: list[StageStatus]) -> int:
    """How many documents gave no row, as far as stages have come to them."""
    from datagen import shards
    from datagen.run.run import Run

    by_name = {status.name: status.ledger for status in statuses}
    counts = [by_name[stage].get("document", {"in": 0, "kept": 0}) for stage in ("chunk", "cluster")]
    chosen = Run(run).names("select")
    if not chosen or len(chosen) < len(Run(run).names("chunk")):
        return sum(count["in"] - count["kept"] for count in counts)
    files = [Run(run).shard("select", name) for name in chosen]  # no document is in two of them
    return counts[0]["in"] - sum(len(set(shards.read_table(f, ["doc_id"])["doc_id"].to_pylist())) for f in files)


def _remaking(run: str, stale: list[str], ready: bool) -> str:
    """The commands that make these stages, and the dataset, again. `ready`: all stages before the dataset are done."""
    from datagen.commands.advice import Given, command_line, remaking

    if stale == ["dataset"]:
        return command_line("select" if ready else "run", run, None, {})
    return remaking(stale, Given("status", run))


def _usage(run: str, reporter: Reporter) -> dict[str, dict[str, Any]]:
    """What the stages that asked a language model took so far, by their journals. Where a task or a check of the run's
    own can't be loaded here, nobody knows its prices: that is said.
    """
    from datagen import shards
    from datagen.commands import configuration
    from datagen.config.llm import EngineConfig
    from datagen.errors import ConfigError
    from datagen.llm import usage as usages
    from datagen.run.run import Run
    from datagen.stages import STAGES, spending

    if not shards.exists(Run(run).settings):
        return {}
    config, found = configuration.settled(run, None, {}), {}
    for s in STAGES:
        if not Run(run).journal_files(s.name):
            continue
        try:
            found[s.name] = spending.usage(Run(run), s, config)
        except ConfigError as e:
            reporter.say(f"what {s.name} cost is not known: {e}")
            found[s.name] = usages.usage(Run(run), s.name, {"": EngineConfig()})
    return {name: usage for name, usage in found.items() if usage["requests"] or usage["lost_prompt_tokens"]}
