"""The errors meant for a person: the command line prints their text and no traceback.

A message says what is wrong, where (file, row, setting) and what to do about it.
"""

import re
import shlex
from collections.abc import Sequence

# What is a key by its looks, each as those who give it out write it. No name of a file is as long.
KEY_LIKE = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"(?:sk|pk)-(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Z])[A-Za-z0-9_-]{20,}|xai-[A-Za-z0-9]{40,}|gsk_[A-Za-z0-9]{30,}"
    r"|hf_[A-Za-z0-9]{30,}|gh[a-z]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|AIza[A-Za-z0-9_-]{35}|AKIA[A-Z0-9]{16})(?![A-Za-z0-9])"
)


def masked(text: str) -> str:
    """A text as it may be shown: a key that was given in a wrong place stands in it as "…"."""
    return KEY_LIKE.sub("…", text)


def reason(e: BaseException) -> str:
    """What an error says is wrong, in a line without a full stop."""
    return (str(e).strip() or type(e).__name__).splitlines()[0].rstrip(".")


class UserError(Exception):
    """Something the person running the tool can put right. The process exits with `exit_code`."""

    exit_code = 1


class ConfigError(UserError):
    """A setting or a command-line value is wrong. `add`: the words that, added to the command, would put it right."""

    exit_code = 2

    def __init__(self, message: str, add: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.add = tuple(add)


class InputError(UserError):
    """The input as a whole cannot be used: missing, unreadable, or without one good row."""


class DamagedFile(UserError):
    """A file of a run that can be made again does not hold what was written to it. `run` is the run's directory, where
    it is known.
    """

    def __init__(self, path: str, reason: str, run: str = "RUN") -> None:
        super().__init__(path, reason, run)
        self.path, self.reason, self.run = path, reason, run

    def __str__(self) -> str:
        repair = f"longrlvr-data doctor {shlex.quote(self.run)} --repair"
        return f"{self.path} is damaged ({self.reason}): `{repair}` takes it out, and the next run makes it again"


class StaleStage(UserError):
    """The folder of the stage named `stage` was written under other settings than the ones asked for now."""

    exit_code = 2

    def __init__(self, message: str, stage: str) -> None:
        super().__init__(message, stage)
        self.message, self.stage = message, stage

    def __str__(self) -> str:
        return self.message


class UnfinishedStage(UserError):
    """The stage named `stage` is read by the one wanted, and is not there, or not whole."""

    def __init__(self, message: str, stage: str) -> None:
        super().__init__(message, stage)
        self.message, self.stage = message, stage

    def __str__(self) -> str:
        return self.message


class RunLocked(UserError):
    """Another process is working on the same run directory."""


class MissingExtra(UserError):
    """A feature needs an optional dependency that is not installed."""


class EngineError(UserError):
    """No model answers, or so few requests succeed that going on makes no sense."""


class LedgerError(RuntimeError):
    """Rows appeared or vanished without a reason: a bug in a stage, never a user's mistake."""


class ServerWarning(UserWarning):
    """A server makes everybody wait, or is not what it was taken for. The command line prints it."""
