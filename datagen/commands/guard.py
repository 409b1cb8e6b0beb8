"""What goes wrong becomes a sentence and an exit code.

0 complete, 1 error, 2 usage or configuration, 3 finished with failed rows, 130 interrupted.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer

from datagen import signals
from datagen.config.renamed import RenamedSetting
from datagen.console import Reporter
from datagen.errors import ServerWarning, UserError, masked

COMPLETE, ERROR, FAILED_ROWS, INTERRUPTED = 0, 1, 3, 130
_INTERRUPTED = "interrupted; what is finished is kept: run the same command again to go on"
_HANG_UP = getattr(signal, "SIGHUP", None)


def guarded(work: Callable[[Reporter], int], verbose: bool = False) -> typer.Exit:
    """Do the work, and return the exit to raise. A bug keeps its traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for one that is not UTF-8
    reporter = Reporter()
    try:
        with _warnings_said(reporter), _ending_on_signals():
            code = work(reporter)
        if sys.stdout:
            sys.stdout.flush()
        return typer.Exit(code)
    except KeyboardInterrupt:
        with suppress(OSError):  # of a terminal that was closed
            reporter.error(_INTERRUPTED)
        return typer.Exit(INTERRUPTED)
    except UserError as e:
        reporter.error(str(e))
        if verbose:
            print(masked(traceback.format_exc()), file=sys.stderr, end="")
        return typer.Exit(e.exit_code)
    except OSError as e:
        said = _of_this_machine(e)
        if not said:
            raise
        reporter.error(said)
        return typer.Exit(ERROR)
    finally:
        with suppress(OSError):
            reporter.close()


def _of_this_machine(e: OSError) -> str | None:
    """What an error says that comes of where the command runs, and not of what it does; None for any other."""
    if e.errno == errno.EMFILE:
        import resource  # every system that says this has it

        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        more = max(1024, 4 * most)
        return (
            f"{most:,} open files at once are too few: allow more, `ulimit -n {more}`, and run the same command again"
        )
    if e.errno == errno.ENFILE:
        return "this machine has too many files open: end some other program, and run the same command again"
    try:
        os.getcwd()
    except FileNotFoundError:
        return "the working directory is no longer there: `cd` to one that is, and run the same command again"
    return f"standard output cannot be written: {e.strerror}" if _stdout_fails(e) else None


def _stdout_fails(e: OSError) -> bool:
    """Whether it is standard output that failed. Nothing is written to it any more then, at exit either."""
    if e.errno == errno.EPIPE or e.filename or not sys.stdout:  # of a pipe, Typer ends in silence
        return False
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


@contextmanager
def _warnings_said(reporter: Reporter) -> Iterator[None]:
    """Print this program's own warnings as messages: renamed settings once each, those about servers as they come."""
    said: set[str] = set()

    def show(message: Any, category: type[Warning], *place: Any) -> None:
        if category not in (RenamedSetting, ServerWarning):
            shown(message, category, *place)
        elif category is ServerWarning or str(message) not in said:
            said.add(str(message))
            reporter.say(str(message))

    with warnings.catch_warnings():
        for category in (RenamedSetting, ServerWarning):
            warnings.simplefilter("always", category)
        shown, warnings.showwarning = warnings.showwarning, show
        yield


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Within, a polite signal interrupts the work, which then clears up; another one ends this process at once."""

    def interrupt(number: int, _: Any) -> None:
        for each in signals.polite():  # a closing terminal says so twice: by the shell and by the system
            signal.signal(each, _end if each != number or number != _HANG_UP else signal.SIG_IGN)
        raise KeyboardInterrupt  # not by a SIGINT: it is ignored where a shell started this in the background

    before = {number: signal.signal(number, interrupt) for number in signals.polite()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(*_: Any) -> None:
    with suppress(OSError):
        os.write(2, f"error: {_INTERRUPTED}\n".encode())
    os._exit(INTERRUPTED)
