"""What a person can do about an error: whole commands that can be pasted, with the file and the settings they gave."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer
import yaml

from datagen import figures
from datagen.errors import ConfigError, DamagedFile, StaleStage, UnfinishedStage, UserError

NAME = "longrlvr-data"


@dataclass(frozen=True)
class Given:
    """A stage command as it was given: its name, the run, the file, the settings by dotted name, other options."""

    command: str
    run: str
    file: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()  # which other commands may not have


def command_line(name: str, run: str, file: str | None, given: dict[str, Any], *more: str) -> str:
    """A whole command that can be pasted into a shell, with the file and the settings that were given."""
    words = [NAME, name, "-o", run, *(["-c", file] if file else [])]
    for setting, value in given.items():
        flow = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip()
        words += ["--set", f"{setting}={flow.removesuffix('...').strip()}"]
    return shlex.join([*words, *more])


@contextmanager
def advised(given: Given) -> Iterator[None]:
    """Errors of the work end with the commands there are to go on."""
    try:
        with repairable(given.run):
            yield
    except StaleStage as e:
        if "--num-shards" in given.flags:
            others = "give this job the settings of the others, or finish the run without it"
            raise StaleStage(f"{e}\nJobs of an array keep what is there: {others}.", e.stage) from e
        raise StaleStage(f"{e}\n{_ways_on(e.stage, given)}", e.stage) from e
    except UnfinishedStage as e:
        raise UserError(f"{e}: run `{_making(e.stage, given)}` first") from e
    except ConfigError as e:
        if not e.add:
            raise
        raise ConfigError(f"{e}:\n  {_again(given, given.command, e.add)}") from e


@contextmanager
def repairable(run: str) -> Iterator[None]:
    """Errors about damaged files end with the command that repairs this run."""
    try:
        yield
    except DamagedFile as e:
        raise DamagedFile(e.path, e.reason, run) from e


def again(context: typer.Context, *add: str) -> str:
    """The command that is run, as it was given, with more words; an option among these takes the place of what was
    given for it.
    """
    words: list[str] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is None or source.name != "COMMANDLINE" or set(parameter.opts) & set(add):
            continue
        value = context.params[parameter.name or ""]
        option = parameter.opts[0] if parameter.opts[0].startswith("-") else None
        if value is True and option:
            words.append(option)
            continue
        for each in value if isinstance(value, (list, tuple)) else [value]:
            words += [option, str(each)] if option else [str(each)]
    names: list[str] = []
    at: Any = context
    while at.parent:
        names.insert(0, at.info_name)
        at = at.parent
    return shlex.join([NAME, *names, *words, *add])


def choices(first: Sequence[tuple[str, str]]) -> str:
    """Commands, each with what it does, to choose from; a folder for both is always another way."""
    ways = [*first, ("another directory for -o", "keeps both")]
    return "\n".join(["Choose:", *(f"  {command}\n      {effect}" for command, effect in ways)])


def _again(given: Given, name: str, more: Sequence[str] = ()) -> str:
    flags = given.flags if name == given.command else ()
    return command_line(name, given.run, given.file, given.settings, *flags, *more)


def _making(stage: str, given: Given) -> str:
    """The command that makes a stage."""
    from datagen.commands import configuration

    (name,) = commands_of([stage])
    path = configuration.settled(given.run, given.file, given.settings).input.path
    return _again(given, name, ("--input", "PATH") if name == "chunk" and path is None else ())


def _ways_on(first: str, given: Given) -> str:
    """What redoing the stage `first` means, and the commands there are to go on."""
    from datagen.run.run import Run
    from datagen.stages import STAGES

    redone, names, seconds = [], [first], 0.0
    at = [s.name for s in STAGES].index(first)
    for s, status in list(zip(STAGES, Run(given.run).status(), strict=False))[at:]:
        if status.shards_done:
            redone.append(f"{s.name} ({status.ledger[s.table.input_unit]['in']:,} {s.table.input_unit}s)")
            names.append(s.name)
            seconds += status.seconds or 0
    ways = [
        (remaking(names, given), f"removes what {_listed(commands_of(names))} made and makes it again"),
        (_again(given, given.command, ("--resume", "always")), "goes on with what is finished as it is"),
    ]
    return f"Redoing it means: {', '.join(redone) or first}, which took {figures.seconds(seconds)}.\n{choices(ways)}"


def remaking(stages: Collection[str], given: Given) -> str:
    """The commands that make these stages, and the dataset, again. By the first of them what was given becomes the
    run's own.
    """
    first, *others = commands_of(stages)
    anew = ("--resume", "never")
    later = [command_line(name, given.run, None, {}, *anew) for name in others]
    return " && ".join([_again(given, first, anew), *later])


def commands_of(stages: Collection[str]) -> list[str]:
    """The commands that make these stages, in running order."""
    from datagen.stages import COMMANDS

    return [name for name, made in COMMANDS.items() if set(made) & set(stages)]


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
