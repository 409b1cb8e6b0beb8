"""What a person sees: progress and messages on standard error, results on standard output.

On a terminal a bar with rate and time left; piped, plain lines. Where a language model is asked, both go by its
replies: rows that are rejected without any come at once, and say nothing about the others. rich respects NO_COLOR by
itself. Text of documents, models and servers reaches a terminal through `plain`, so that nothing in it steers the
terminal.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from datagen import figures
from datagen.errors import masked
from datagen.llm.traffic import Traffic
from datagen.run.ledger import Ledger
from datagen.run.status import StageStatus

BAR = 20  # columns
SCHEMA_VERSION = 1  # of what --json prints
PLAIN_EVERY = 10.0  # seconds between two lines of a stage when there is no terminal
UNCHANGED_EVERY = 60.0  # where the next would say the same
MARKS_EVERY = 0.5  # seconds between two times at which it is noted what was done
# What a terminal obeys instead of showing it: control characters but tabs and line ends, changes of the writing
# direction, and what is no character.
_STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """The text with what would steer a terminal written out, such as \\x1b."""
    return _STEERS.sub(lambda found: ascii(found[0])[1:-1], text)


class Screen(Console):
    """A console that shows text of any origin `plain`; the styles are its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich's, plain."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


def screen() -> Screen:
    """Standard output, for tables and text."""
    return Screen(highlight=False)


def put(text: str) -> None:
    """Print a line to standard output, plain."""
    print(plain(text))


class Reporter:
    """Shows how a stage gets on; `quiet` keeps only warnings."""

    def __init__(self, quiet: bool = False) -> None:
        self.console = Screen(stderr=True, soft_wrap=True, highlight=False)
        self.quiet = quiet
        self.bar: Progress | None = None
        self.stage, self.unit, self.total, self.ticks = "", "", 0, False
        self.done = 0
        self.started = self.said = time.monotonic()
        self.marks = deque([(self.started, 0)])  # when how much was done
        self.traffic: Traffic | None = None  # of the stage, if it asks a language model
        self.line = ""  # the last that said how far it is

    def start(self, stage: str, unit: str, total: int | None, done: int, ticks: bool = False) -> None:
        """Begin a stage: `done` of `total` units were made before; `ticks` if it reports from within its shards."""
        self.stage, self.unit, self.total, self.ticks = stage, unit, total or 0, ticks
        self.done = done
        self.started = self.said = time.monotonic()
        self.marks = deque([(self.started, done)])
        self.traffic, self.line = None, ""
        if self.quiet:
            return
        if self.console.is_terminal:
            how = TextColumn("{task.fields[how]}", table_column=Column(ratio=1))  # folded where there is no room
            columns = TextColumn("{task.description:9}"), BarColumn(BAR), MofNCompleteColumn(), how
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.bar.add_task(stage, total=total, completed=done, how="")
            self.bar.start()
        elif done:
            self._line(f"going on after {done:,} {unit}s")

    def tick(self, n: int) -> None:
        """Progress from within a shard; one that comes late, from the stage before, is not this stage's."""
        if self.ticks:
            self.advance(n)

    def advance(self, n: int) -> None:
        """n more units are done."""
        self.done += n
        if time.monotonic() - self.marks[-1][0] >= MARKS_EVERY:
            self.marks.append((time.monotonic(), self.done))
        if not self.traffic:
            self._show()

    def heard(self, traffic: Traffic) -> None:
        """What has gone to and from a language model so far in this stage; what is done is shown with that."""
        self.traffic = traffic
        self._show()

    def _show(self) -> None:
        """Bring the bar up to date, or say a line if it is time for one."""
        silent = time.monotonic() - self.said
        if self.bar:
            self.bar.update(self.bar.task_ids[0], completed=self.done, how=", ".join(self._how()))
        elif not self.quiet and silent >= PLAIN_EVERY and self.done != self.total:
            of = f"/{self.total:,}" if self.total else ""
            line = ", ".join([f"{self.done:,}{of} {self.unit}s", *self._how()])
            if line != self.line or silent >= UNCHANGED_EVERY:
                self.line, self.said = line, time.monotonic()
                self._line(line)

    def _how(self) -> list[str]:
        """How fast it goes, and how long it will take; nothing where nobody knows."""
        if self.traffic:
            return [*_replies(self.traffic), *_left(self.traffic.seconds_left())]
        unit, to_do, rate = f"{self.unit}s" if self.bar else "", self.total - self.done, self._rate()
        return [figures.rate(rate, unit), *_left(to_do / rate if to_do > 0 else None)] if rate else []

    def _rate(self) -> float:
        """Units a second in the later half of the time so far: a model that was loaded first is soon forgotten."""
        now = time.monotonic()
        while len(self.marks) > 1 and self.marks[1][0] <= (self.started + now) / 2:
            self.marks.popleft()
        since, done = self.marks[0]
        return (self.done - done) / max(now - since, 1e-9)

    def finish(self, ledger: Ledger, seconds: float) -> None:
        """End a stage with a line of what it kept and why the rest left."""
        self.close()
        if not self.quiet:
            kept = "; ".join(_in_words(unit, entry) for unit, entry in _by_flow(ledger))
            asked = _received(self.traffic, seconds) if self.traffic else []
            self._line(f"{kept} ({', '.join([figures.seconds(seconds), *asked])})")

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self.bar:
            self.bar.stop()
            self.bar = None

    def say(self, message: str) -> None:
        """Print a message to standard error."""
        self.console.print(Text(masked(message)))

    def error(self, message: str) -> None:
        """Print an error to standard error."""
        self.close()
        self.console.print(Text.assemble(("error: ", "bold red"), masked(message)))

    def _line(self, message: str) -> None:
        self.console.print(Text.assemble((f"{self.stage:9}", "bold"), message))


def _replies(traffic: Traffic) -> list[str]:
    """What came of requests so far, how fast replies come lately, and what is on its way."""
    per_second, tokens = traffic.rates()
    rates = ", ".join(filter(None, [figures.rate(per_second), figures.rate(tokens, "tokens")]))
    told = [figures.replies(traffic.received) + (f" ({rates})" if rates else "")] if traffic.received else []
    told += [f"{traffic.failed:,} failed"] if traffic.failed else []
    return told + ([f"{traffic.in_flight:,} in flight"] if traffic.in_flight else [])


def _received(traffic: Traffic, seconds: float) -> list[str]:
    """The replies of a stage that took so long, and how fast they came."""
    if not traffic.received:
        return []
    tokens = figures.rate((traffic.tokens or 0) / seconds, "tokens")
    return list(filter(None, [figures.replies(traffic.received), figures.rate(traffic.received / seconds), tokens]))


def _left(seconds: float | None) -> list[str]:
    return [f"{figures.clock(seconds)} left"] if seconds else []


def print_json(found: dict[str, Any], indent: int | None = 1) -> None:
    """Print what a command found, as its `--json` does."""
    as_it_is = (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps({"schema_version": SCHEMA_VERSION} | found, indent=indent, ensure_ascii=not as_it_is)
    print(_STEERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def funnel(statuses: list[StageStatus]) -> Table:
    """The funnel as a table: a line for every stage and kind of row, with a reason for every row that left."""
    table = Table("stage", "rows of", "in", "kept", "pending", "left, and why", box=None, pad_edge=False)
    for i, column in enumerate(table.columns):
        column.justify = "right" if 2 <= i <= 4 else "left"
        column.no_wrap = i < 5  # a narrow terminal folds the reasons, and cuts no number
        column.overflow = "fold"
    for status in statuses:
        stale = [f"stale: {' and '.join(again)} made again since"] if (again := _made_again(status, statuses)) else []
        pending = "?" if status.pending is None else f"{status.pending:,}" if status.pending else ""
        for i, (unit, entry) in enumerate(_by_flow(status.ledger)):
            cells = (status.name if i == 0 else "", f"{unit}s", f"{entry['in']:,}", f"{entry['kept']:,}")
            table.add_row(
                *cells,
                pending if i == 0 else "",
                "; ".join([*(stale if i == 0 else []), *filter(None, [reasons(entry)])]),
            )
        if not status.ledger:
            told = "begun: rows are counted as shards are finished" if status.begun else "not begun"
            table.add_row(status.name, "", "", "", pending or "?", told)
    return table


def _made_again(status: StageStatus, statuses: list[StageStatus]) -> list[str]:
    """Which stages a stale one is behind, without those that are only stale themselves."""
    stale = {other.name for other in statuses if other.stale}
    return [name for name in status.stale if name not in stale] or status.stale


def reasons(entry: dict) -> str:
    """Why rows left, with how many of each, the most frequent first."""
    left = [*entry["rejected"].items(), *((f"failed: {reason}", n) for reason, n in entry["failed"].items())]
    return ", ".join(f"{reason} {n:,}" for reason, n in sorted(left, key=lambda item: -item[1]))


def _by_flow(ledger: Ledger) -> list[tuple[str, dict]]:
    order = ["document", "chunk", "cluster", "candidate", "question"]
    return sorted(ledger.items(), key=lambda item: order.index(item[0]))


def _in_words(unit: str, entry: dict) -> str:
    left = reasons(entry)
    of = f" of {entry['in']:,}" if entry["in"] != entry["kept"] else ""
    return f"{entry['kept']:,}{of} {unit}s" + (f" ({left})" if left else "")
