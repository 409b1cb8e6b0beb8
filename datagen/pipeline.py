"""What the commands do: settle the configuration, run stages in order, say what happened, choose the exit code.

Exit codes: 0 complete, 1 error, 2 usage or configuration, 3 finished with failed rows, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datagen import llm as engines
from datagen import resources, shards
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.config.renamed import RenamedSetting
from datagen.console import Reporter, funnel
from datagen.errors import ConfigError, InputError, StaleStage, UserError
from datagen.executors import local as executors
from datagen.llm import usage as paid
from datagen.llm.endpoint import payload
from datagen.records import Dropped
from datagen.run import ledger as ledgers
from datagen.run.ledger import Ledger, StageStatus
from datagen.selection import benchmarks
from datagen.stages import COMMANDS, STAGES, stage
from datagen.stages.stage import Stage

COMPLETE, ERROR, FAILED_ROWS, INTERRUPTED = 0, 1, 3, 130
SHOWN_REQUESTS = 3  # by --dry-run
SHOWN = 5  # rows set aside that are named without -v


@dataclass(frozen=True)
class Options:
    config: str | None
    output_dir: str
    input: str | None
    limit: int | None
    seed: int | None
    workers: int | None
    resume: stage.Resume
    strict: bool
    json: bool
    verbose: bool
    base_url: list[str] | None = None
    model: str | None = None
    max_cost: float | None = None
    dry_run: bool = False
    offline: bool = False
    inspect: str | None = None  # cluster
    explain: str | None = None  # select


def main(command: str, options: Options) -> int:
    """Run a stage command, or all stages for "run". Returns the exit code."""
    reporter = Reporter()
    return _guarded(reporter, options.verbose, lambda: _run(command, options, reporter))


def show_status(run: str, as_json: bool) -> int:
    return _guarded(Reporter(), False, lambda: _status(run, as_json))


def write_quickstart(folder: Path) -> int:
    from datagen.text.quickstart import write_corpus

    def write() -> int:
        try:
            files = write_corpus(folder)
        except OSError as e:
            raise UserError(f"{folder}: cannot be written to: {e.strerror or e}") from e
        size = sum(f.stat().st_size for f in files)
        version = sys.version.split()[0]
        print(f"{folder}: {len(files)} documents, {size:,} bytes, the language reference of Python {version}")
        return COMPLETE

    return _guarded(Reporter(), False, write)


def train(**given: Any) -> int:
    from datagen.train import command

    return _guarded(Reporter(), given["verbose"], lambda: command.main(command.Options(**given)))


def _run(command: str, options: Options, reporter: Reporter) -> int:
    run = options.output_dir
    chosen = COMMANDS.get(command, tuple(s.name for s in STAGES))
    todo = [s for s in STAGES if s.name in chosen]
    upstream = STAGES[: STAGES.index(todo[0])]
    config = _config(options, needs_input=not upstream)
    if options.inspect is not None:
        return _inspect(run, config, options, reporter)
    if options.explain is not None:
        return _explain(run, options.explain, options.json)
    total: dict[str, Ledger] = {}
    counts = None
    if options.dry_run and not any(s.engine(config) for s in todo):
        raise ConfigError("--dry-run shows what a language model would be sent: no stage of this command asks one")
    for s in todo:
        if settings := s.engine(config):
            engines.check(settings, s.others(config), asks=not (options.offline or options.dry_run))
    if todo[-1] is STAGES[-1]:
        config = _settle_benchmarks(config)
    with stage.locked(run):
        config = _settle_input(config, run, reporter)
        kept = shards.join(run, "config.yaml")
        first = not shards.exists(kept)
        try:
            stage.check_upstream(upstream, run, config, options.resume)
            if first:
                _save_config(run, config)
            with executors.pool(config.workers or executors.cores(), reporter.tick) as pool:
                for s in todo:
                    if options.dry_run and s.engine(config):
                        return _show_requests(s, run, config, options.json)
                    resume = _resume(s, run, config, command, options)
                    total[s.name] = stage.run(s, run, config, resume, pool, reporter, options.offline)
                    if s.source:
                        _say_input(run, reporter, options.verbose)
        except StaleStage as e:
            raise StaleStage(f"{e}\n{_ways_on(run, e.stage)}", e.stage) from e
        except UserError:
            if first and not shards.names(shards.join(run, todo[0].name)):
                shards.remove(kept)  # nothing was made by these settings: they are not the run's
            raise
        _save_config(run, config)
        if todo[-1] is STAGES[-1]:
            from datagen.dataset import write as dataset

            counts = dataset.write(run, config)
    failed = sum(map(ledgers.failures, total.values()))
    code = FAILED_ROWS if failed else COMPLETE
    if options.json:
        result: dict[str, Any] = {"run": run, "stages": total, "exit_code": code}
        print(json.dumps(result | ({"dataset": counts} if counts else {}), indent=1))
    elif counts:
        _show_dataset(run, counts)
    if failed:
        counted = f"`longrlvr-data status {run}` counts the reasons"
        reporter.say(f"{failed:,} rows failed: {counted}, {run}/*/dropped/ holds the rows")
    return code


def _resume(s: Stage, run: str, config: Config, command: str, options: Options) -> stage.Resume:
    """`cluster --resume never` means the clusters: vectors that still fit are kept, they are what takes the time."""
    if command == "cluster" and s.name == "embed" and options.resume == "never" and stage.fits(s, run, config):
        return "if-possible"
    return options.resume


def _config(options: Options, needs_input: bool) -> Config:
    """The configuration asked for: -c, else the run's own, else the defaults; the options stand over it."""
    overrides = {
        "input.path": options.input,
        "input.limit": options.limit,
        "input.strict": options.strict or None,
        "seed": options.seed,
        "workers": options.workers,
        "engine.endpoints": [{"base_url": url} for url in options.base_url or []] or None,
        "engine.model": options.model,
        "max_cost": options.max_cost,
    }
    own = shards.join(options.output_dir, "config.yaml")
    if options.config:
        config = configs.load(resources.path("configs", options.config), overrides)
        if config.input.path is None and shards.exists(own):
            config = configs.merge(
                config, {"input.path": configs.parse(shards.read_bytes(own).decode(), own).input.path}
            )
    elif shards.exists(own):
        config = configs.parse(shards.read_bytes(own).decode(), own, overrides)
    else:
        config = configs.load(None, overrides)
    if needs_input and config.input.path is None:
        raise ConfigError("no input: give --input (a file, a folder, '-' or hf://owner/name), or set input.path")
    return config


def _settle_input(config: Config, run: str, reporter: Reporter) -> Config:
    """Standard input is kept in the run directory, so that a run that was stopped can go on without it."""
    from datagen.text import sources

    path = config.input.path
    if path == "-":
        if sys.stdin is None:
            raise InputError("standard input is closed: give --input a file or a folder")
        if not shards.is_local(run):
            raise InputError(f"{run}: standard input is kept in the run directory, which must be a local one for that")
        path = sources.spool(sys.stdin.buffer, Path(run.removeprefix("file://")) / "input").path
    if path is None or "://" in path:
        return config
    if os.path.isdir(path) and (ignored := sources.find(path)[1]):
        reporter.say(f"{path}: passed over {len(ignored):,} files of other kinds, such as {ignored[0]}")
    return configs.merge(config, {"input.path": os.path.abspath(path)})


def _settle_benchmarks(config: Config) -> Config:
    """Say before any work what cannot be read. Later commands may be given in another folder: paths become absolute."""
    paths = [path if "://" in path else os.path.abspath(path) for path in config.select.decontaminate]
    benchmarks.check(paths)
    return configs.merge(config, {"select.decontaminate": paths}) if paths else config


def _save_config(run: str, config: Config) -> None:
    """Keep the settings of the run, but not how one command was carried out."""
    settings = config.model_dump(exclude_none=True, exclude={"workers": True, "input": {"strict"}})
    text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    shards.write_bytes(shards.join(run, "config.yaml"), text.encode())


def _ways_on(run: str, first: str) -> str:
    """What redoing a stage means, and the choices there are."""
    redone, seconds = [], 0.0
    at = [s.name for s in STAGES].index(first)
    command = next(name for name, stages in COMMANDS.items() if first in stages)
    for s, status in list(zip(STAGES, _statuses(run), strict=True))[at:]:
        if status.shards_done:
            redone.append(f"{s.name} ({status.ledger[s.takes]['in']:,} {s.takes}s)")
            seconds += status.seconds or 0
    return (
        f"Redoing it means: {', '.join(redone) or first}, which took {seconds:,.0f} s.\n"
        f"Choose: another --output-dir keeps both; `longrlvr-data {command} --resume never` redoes it; "
        "--resume always goes on with what is finished as it is."
    )


def _say_input(run: str, reporter: Reporter, verbose: bool) -> None:
    """Say what was not plain about the input: other encodings than UTF-8, and rows set aside."""
    aside = 0
    for name in shards.names(shards.join(run, "chunk")):
        path = shards.join(run, "chunk", "documents", name + shards.SUFFIX)
        for document in shards.read_table(path, ["source", "encoding"]).to_pylist():
            if document["encoding"] not in ("utf-8", "utf-8-sig"):
                reporter.say(f"{document['source']}: read as {document['encoding']}")
        for d in shards.read_rows(shards.join(run, "chunk", "dropped", name + shards.SUFFIX), Dropped):
            aside += d.status == "failed"
            if d.status == "failed" and (verbose or aside <= SHOWN):
                reporter.say(f"set aside: {d.detail}")
    if aside > SHOWN and not verbose:
        reporter.say(f"… and {aside - SHOWN:,} more (-v names them all)")


def _inspect(run: str, config: Config, options: Options, reporter: Reporter) -> int:
    """The clusters of one document."""
    from rich.console import Console

    from datagen.inspect import clusters

    try:
        stage.check_upstream(STAGES[:1], run, config, options.resume)
    except StaleStage as e:
        way_on = f"To see what other settings of cluster give, put them into a copy of {run}/config.yaml for -c."
        raise StaleStage(f"{e}\n{way_on}", e.stage) from e
    found = clusters.inspect(run, options.inspect or "", config, reporter)
    reporter.close()
    if options.json:
        print(json.dumps(clusters.as_json(found), indent=1, ensure_ascii=False))
    else:
        clusters.show(found, Console(highlight=False))
    return COMPLETE


def _explain(run: str, wanted: str, as_json: bool) -> int:
    """What became of one candidate or cluster, and why."""
    from rich.console import Console

    from datagen.inspect import story, story_text

    told = story.tell(run, wanted)
    if as_json:
        print(json.dumps(story.as_json(told), indent=1, ensure_ascii=False))
    else:
        story_text.show(told, Console(highlight=False))
    return COMPLETE


def _show_requests(s: Stage, run: str, config: Config, as_json: bool) -> int:
    """The first requests, as they would be sent."""
    requests = stage.preview(s, run, config, SHOWN_REQUESTS)
    if as_json:
        print(json.dumps([payload(request) for request in requests], indent=1, ensure_ascii=False))
        return COMPLETE
    for i, request in enumerate(requests, 1):
        body = payload(request)
        rest = {name: value for name, value in body.items() if name != "messages"}
        print(f"──── {s.name}: request {i} of the first {len(requests)}, {json.dumps(rest, ensure_ascii=False)}")
        for message in request.messages:
            print(f"──── {message['role']}\n{message['content']}\n")
    print("Nothing was sent.")
    return COMPLETE


def _show_dataset(run: str, counts: dict[str, int]) -> None:
    folder = shards.join(run, "dataset")
    first = next(n for n in shards.listing(shards.join(folder, "data")) if n.startswith("train"))
    row = shards.read_table(shards.join(folder, "data", first), ["extra_info"])["extra_info"][0].as_py()
    print(f"\n{folder}: " + ", ".join(f"{n:,} {split} rows" for split, n in counts.items()))
    print(f"\nA row of it, {row['qa_id']}, from a prompt of {row['n_chunks']} chunks and {row['n_tokens']:,} tokens:\n")
    print(f"{row['question']}\n")
    print(f"answer    {row['answer']}")
    print(f"evidence  chunks {', '.join(map(str, row['ref_chunks']))}")


def _status(run: str, as_json: bool) -> int:
    if not shards.exists(shards.join(run, "chunk")):
        raise UserError(f"{run} is no run directory: there is no chunk folder in it")
    statuses, paid_for = _statuses(run), _usage(run)
    if as_json:
        print(json.dumps([vars(s) | {"usage": paid_for.get(s.name)} for s in statuses], indent=1))
        return COMPLETE
    from rich.console import Console

    console = Console(highlight=False)
    console.print(funnel(statuses))
    for name, usage in paid_for.items():
        for line in paid.sentences(name, usage):
            console.print(line, soft_wrap=True)
    return COMPLETE


def _usage(run: str) -> dict[str, dict[str, Any]]:
    """What the stages that asked a language model took so far."""
    own = shards.join(run, "config.yaml")
    if not shards.exists(own) or not shards.is_local(run):
        return {}
    config = configs.parse(shards.read_bytes(own).decode(), own)
    found = {s.name: paid.usage(run, s.name, config) for s in STAGES if s.engine(config)}
    return {name: usage for name, usage in found.items() if usage["requests"]}


def _statuses(run: str) -> list[StageStatus]:
    return [ledgers.stage_status(run, s.name, s.takes, s.reads[0] if s.reads else None) for s in STAGES]


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt  # not by a SIGINT: it is ignored where a shell started this in the background


def _guarded(reporter: Reporter, verbose: bool, work: Callable[[], int]) -> int:
    """Turn what went wrong into a sentence and an exit code. A bug keeps its traceback."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", RenamedSetting)
            shown = warnings.showwarning
            warnings.showwarning = lambda message, category, *rest: (
                reporter.say(str(message)) if category is RenamedSetting else shown(message, category, *rest)
            )
            return work()
    except KeyboardInterrupt:
        reporter.error("interrupted; what is finished is kept: run the same command again to go on")
        return INTERRUPTED
    except UserError as e:
        reporter.error(str(e))
        if verbose:
            traceback.print_exc()
        return e.exit_code
    finally:
        reporter.close()
