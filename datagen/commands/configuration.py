"""The configuration of a command: the run's own settings, under those of a file, under those of the command line."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datagen import resources, shards
from datagen.commands.options import InputOptions, ModelOptions, Options, SeedOptions, StageOptions
from datagen.config import layers
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.console import Reporter
from datagen.errors import ConfigError, InputError
from datagen.run.identity import Change, digest
from datagen.run.run import Run
from datagen.run.share import WHOLE, Share
from datagen.run.tables import TABLES
from datagen.selection import benchmarks


def overrides(*options: Options) -> dict[str, Any]:
    """The settings that the options stand for, by dotted name. `--set` stands over the other options.

    Raises ConfigError if --set names a setting that does not exist.
    """
    found: dict[str, Any] = {}
    for given in options:
        match given:
            case StageOptions():
                found |= {"workers": given.workers}
            case InputOptions():
                found |= {"input.path": given.input, "input.limit": given.limit, "input.strict": given.strict or None}
            case SeedOptions():
                found |= {"seed": given.seed}
            case ModelOptions():
                servers = [{"base_url": url} for url in given.base_url or []] or None
                found |= {"engine.endpoints": servers, "engine.model": given.model}
                found |= {"engine.concurrency": given.concurrency, "max_cost": given.max_cost}
    sets = [text for given in options if isinstance(given, StageOptions) for text in given.set or ()]
    return layers.given(found, sets, Config)


def settled(run: str, file: str | None, given: dict[str, Any], needs_input: bool = False) -> Config:
    """The run's own settings if it has any, over them those of the file (a path or a bundled name), over them `given`.

    Raises ConfigError for a setting that is wrong, and if an input is needed and none is named.
    """
    found = []
    own = Run(run).settings
    if shards.exists(own):
        found.append(layers.read(Run(run).settings_text, own, saved=True))
    if file:
        found.append(configs.layer(resources.path("configs", file)))
    config = layers.combined(Config, found, given)
    if needs_input and config.input.path is None:
        what = "no input: give --input (a file, a folder, '-' or hf://owner/name), or set input.path"
        raise ConfigError(what, ("--input", "PATH"))
    if needs_input and os.path.isdir(run) and os.path.realpath(config.input.path or "") == os.path.realpath(run):
        raise ConfigError(f"{run}: -o names the folder of the documents: choose another one for the run")
    return config


@contextmanager
def kept(run: str, config: Config, first: str, dry: bool = False, share: Share = WHOLE) -> Iterator[None]:
    """Keep the settings as the run's own once the work is done, or has made anything, unless it is a `dry` one; before
    it, if the run has none yet. Those are taken away again if the work ends before it has made anything.

    The first of several jobs sets them, for good. Raises ConfigError in a job that has others.
    """
    if not share.is_whole:
        if not dry:
            _agreed(run, config)
        yield
        return
    own, before = Run(run).settings, _made(run)
    new = not shards.exists(own)
    try:
        if new:
            Run(run).save_config(config)
        yield
    except BaseException:
        if not dry and _made(run) != before:
            Run(run).save_config(config)
        raise
    finally:
        if new and not Run(run).names(first) and _made(run) == before:
            shards.remove(own)  # nothing was made by these settings: they are not the run's
    if not dry:
        Run(run).save_config(config)


def _agreed(run: str, config: Config) -> None:
    """Keep the settings as the run's own, where no job of it came before. Raises ConfigError where the run has others:
    all jobs of an array go by the same, and so does what ends them.
    """
    here = Run(run)
    if here.create_config(config):
        return
    names = Config.model_fields.keys() - {"workers", "max_cost"}
    theirs, ours = (configs.settings_of(each, *names) for each in (here.config, config))
    others = [
        str(Change(name, theirs.get(name), ours.get(name)))
        for name in sorted(theirs.keys() | ours.keys())
        if digest(theirs.get(name)) != digest(ours.get(name))
    ]
    if others:
        raise ConfigError(
            f"{here.settings}: all jobs of a run have the same settings, and this one has others: {'; '.join(others)}. "
            "Give it those of the run; or, before any job starts, change that file, or remove it:\n"
            f"  rm {shlex.quote(here.settings)}"
        )


def _made(run: str) -> list[Any]:
    """The shards that are there, and how long the journals are."""
    paths = Run(run)
    found: list[Any] = [paths.names(stage) for stage in TABLES]
    return found + [paths.journal_sizes(stage) for stage in TABLES]


def settle_input(config: Config, run: str, reporter: Reporter, share: Share = WHOLE) -> Config:
    """The input by an absolute path. Standard input is kept in the run directory, so that a run that was stopped can go
    on without it. Raises InputError where it can't be.
    """
    from datagen.text import passed, sources, stdin

    path = config.input.path
    if path == "-":
        if not share.is_whole:
            raise InputError("jobs that share a run cannot each read standard input: give --input a file or a folder")
        if sys.stdin is None:
            raise InputError("standard input is closed: give --input a file or a folder")
        if not shards.is_local(run):
            raise InputError(f"{run}: standard input is kept in the run directory, which must be a local one for that")
        path = stdin.spool(sys.stdin.buffer, Run(run).input_folder).path
    elif path and shards.is_local(run) and (kept := stdin.spooled(Run(run).input_folder, path)):
        path = kept  # the run may have been moved since
    if path is None or "://" in path:
        return config
    if os.path.isdir(path):
        for sentence in passed.told(path, sources.find(path, config.input)[1]):
            reporter.say(sentence)
    return configs.merge(config, {"input.path": os.path.abspath(path)})


def settle_benchmarks(config: Config) -> Config:
    """Say before any work what cannot be read. Later commands may be given in another folder: paths become absolute."""
    paths = [path if "://" in path else os.path.abspath(path) for path in config.select.decontaminate]
    benchmarks.check(paths)
    return configs.merge(config, {"select.decontaminate": paths}) if paths else config
