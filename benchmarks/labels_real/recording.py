"""A server is asked, and what it says is kept, reply by reply; or what was kept is taken, and nobody is asked.

Asked again after a kill, only what was never answered is sent. What is kept of each conversation is a journal of its
own; in the end they are packed into one file, which replays in seconds.

A journal replays as long as the same is asked. What came of the prompts as they were is kept as outcomes besides, which
hold for the checks as they were then, and need nothing to stay as it is.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from datagen import llm
from datagen.config.llm import PriceConfig
from datagen.config.model import Config, engine_of
from datagen.errors import UserError
from datagen.llm import drive
from datagen.llm.base import LLM, Conversation
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob

from .asked import Ask, Outcome
from .data import FOLDER


def file_for(model: str, folder: Path = FOLDER) -> Path:
    """Where the packed journal of a model's replies lies."""
    return folder / f"journal-{model.replace('/', '-')}.jsonl.gz"


def outcomes_file(arm: str, model: str, folder: Path = FOLDER) -> Path:
    """Where the outcomes of an arm lie."""
    return folder / f"outcomes-{arm}-{model.replace('/', '-')}.jsonl"


def save(outcomes: Sequence[Outcome], file: Path) -> None:
    """Write outcomes, a line each."""
    file.write_text("".join(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes), encoding="utf-8")


def load(asks: Sequence[Ask], file: Path) -> list[Outcome]:
    """Of the outcomes in a file, those of what is asked for."""
    found = [Outcome(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    wanted = {(ask.of.id, asked) for ask in asks for asked in ask.checks}
    return [outcome for outcome in found if (outcome.id, outcome.asked) in wanted]


def live(asks: Sequence[Ask], folder: Path) -> list[Outcome]:
    """Ask a server, and keep its replies in a folder. Raises UserError where it can't be reached."""
    jobs = [ShardJob(ask.name, folder / f"{ask.name}.jsonl", partial(_begin, [ask])) for ask in asks]
    done: dict[str, list[Outcome]] = {}
    backend = llm.start(engine_of(_config(asks), "judge"), str(folder))
    shown = _Progress(len(jobs))
    for job in drive.drive(iter(jobs), backend, Budget(PriceConfig()), len(jobs), shown.advance):
        done[job.name] = job.results[0]
    return [outcome for job in jobs for outcome in done[job.name]]


def pack(asks: Sequence[Ask], folder: Path, file: Path) -> None:
    """All journals of a folder in one compressed file: the same bytes of the same journals."""
    journals = (folder / f"{ask.name}.jsonl" for ask in asks)
    lines = b"".join(journal.read_bytes() for journal in journals if journal.exists())
    file.write_bytes(gzip.compress(lines, mtime=0))


def replay(asks: Sequence[Ask], file: Path) -> list[Outcome]:
    """Take replies from a packed journal. Raises UserError where there is none, or one is missing."""
    if not file.exists():
        raise UserError(f"{file}: there is no recording of this model yet. {_how(asks)}")
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "labels", "real", file.stem)
        journal.parent.mkdir(parents=True)
        journal.write_bytes(gzip.decompress(file.read_bytes()))
        job = ShardJob("labels_real", journal, partial(_begin, asks))
        try:
            drive.replay(job)
        except UserError as e:
            left = len(asks) - len(job.results)
            what = f"{left:,} of {len(asks):,} conversations were never recorded: a prompt or a check was changed since"
            raise UserError(f"{file}: {what}. {_how(asks)}") from e
    return [outcome for outcomes in job.results for outcome in outcomes]


def _begin(asks: Sequence[Ask], asked: LLM) -> list[Conversation[list[Outcome]]]:
    return [ask.begin(asked) for ask in asks]


def _config(asks: Sequence[Ask]) -> Config:
    """Of any arm: they ask the same model."""
    return next(iter(asks[0].configs.values()))


def _how(asks: Sequence[Ask]) -> str:
    model = engine_of(_config(asks), "judge").model
    return f"Record one: python benchmarks/labels_real.py --base-url http://localhost:8080/v1 --model {model}"


class _Progress:
    """A line a minute for whoever waits, on stderr."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.begun, self.said = total, 0, time.monotonic(), time.monotonic()

    def advance(self, n: int) -> None:
        self.done += n
        now = time.monotonic()
        if now - self.said >= 60:
            self.said = now
            minutes = (now - self.begun) / 60
            print(f"{self.done:,} of {self.total:,} conversations after {minutes:.0f} minutes", file=sys.stderr)
