"""The runs that faults are done to: a small one that nothing happened to, copies of it, and what holds in the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from typer.testing import CliRunner

from datagen import shards
from datagen.cli import app
from datagen.llm import journal
from datagen.run.paths import JOURNAL
from tests.servers import model
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

STAGES = ("chunk", "embed", "cluster", "generate", "judge", "select")
TOPICS = ("execmodel", "calls", "naming")  # of Python's own documentation, the same in every release
SETTINGS: dict[str, Any] = {
    "chunk": {"max_tokens": 64, "documents_per_shard": 1},
    "embed": {"model": "scripted"},
    "cluster": {"min_cohesion": 0.3, "min_cluster_size": 2, "max_clusters": 3},
    "engine": {"model": "scripted", "patience": 2, "timeout": 30, "max_attempts": 4},
    "generate": {"method": "llm", "candidates": 1},
    "judge": {"method": "llm"},
    "select": {"per_document": 4, "per_cluster": 2, "min_rating": 3.0, "validation_fraction": 0.34},
}
IN_FLIGHT = 8  # requests, at most, at one server
SAME = (".parquet", "shards.json", "stage.json", "README.md", "provenance.json")  # the names of what is compared


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass(frozen=True)
class Reference:
    """`root` has the documents, the settings, `run` (finished), and `other`, a run of other settings."""

    root: Path
    server: Server  # sound ones, which the run's settings name: of a language model,
    encoder: Server  # and of vectors

    @property
    def run(self) -> Path:
        return self.root / "run"


def call(*args: object, traces: bool = False) -> Said:
    """A command, in this process. A traceback of any kind fails the test, unless it was asked for, by -v."""
    workers = () if args[0] in ("status", "doctor", "show", "train") else ("--workers", "1")
    done = CliRunner().invoke(app, [str(arg) for arg in (*args, *workers)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    said = Said(done.exit_code, done.stdout, done.stderr)
    assert traces or "Traceback (most recent" not in said.all, said.all
    return said


@contextmanager
def made(root: Path) -> Iterator[Reference]:
    """The reference, as long as its server is there."""
    import pydoc_data.topics

    (root / "documents").mkdir()
    for name in TOPICS:
        text = pydoc_data.topics.topics[name][:5000]
        (root / "documents" / f"{name}.txt").write_text(text, encoding="utf-8")
    with serve(Settings(reply=reply)) as server, serve() as encoder:
        settings(root / "settings.yaml", server.url, encoder=encoder.url)
        given = ("run", "-c", root / "settings.yaml", "--input", root / "documents", "-o")
        assert (said := call(*given, root / "run")).code == 0, said.all
        assert (said := call(*given, root / "other", "--set", "chunk.max_tokens=100")).code == 0, said.all
        yield Reference(root, server, encoder)


def reply(body: dict[str, Any]) -> str:
    """What the model says, whether or not it was asked before: so that a run in which it was ends at the same bytes."""
    return model.reply(body | {"messages": body["messages"][:1]})


def settings(file: Path, *urls: str, encoder: str | tuple[str, ...], **sections: Any) -> Path:
    """Write the settings for servers at these addresses; more of a section by its name."""
    encoders = (encoder,) if isinstance(encoder, str) else encoder
    whole = dict(SETTINGS)
    for name, addresses in (("engine", urls), ("embed", encoders)):
        servers = [{"base_url": url, "max_concurrency": IN_FLIGHT} for url in addresses]
        whole[name] = SETTINGS[name] | {"endpoints": servers}
    for name, more in sections.items():
        whole[name] = whole.get(name, {}) | more
    file.write_text(yaml.safe_dump(whole), encoding="utf-8")
    return file


def upto(reference: Reference, run: Path, stage: str) -> Path:
    """A copy of the reference in which this stage and those after it are still to be made."""
    shutil.copytree(reference.run, run, symlinks=True)
    at = STAGES.index(stage) if stage in STAGES else len(STAGES)
    for name in (*STAGES[at:], "dataset"):
        shutil.rmtree(run / name, ignore_errors=True)
        shutil.rmtree(run / "journal" / name, ignore_errors=True)
    return run


def content(run: Path) -> dict[str, bytes]:
    """What must be the same in the end, by its place in the run."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name.endswith(SAME))
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def answers(run: Path) -> list[tuple[str, str]]:
    """The replies that can be read in the journals of a run: each one's journal and key."""
    return [
        (str(path.relative_to(run)), each.key)
        for path in sorted((run / "journal").rglob(f"*{JOURNAL}"))
        if path.is_file()
        for _, each in journal._lines(str(path))
        if each and not each.error
    ]


def paid(server: Server) -> int:
    """The chat completions that a server gave."""
    return server.stats.answered.total()


def rows(run: Path) -> list[str]:
    """The rows of a run's dataset."""
    found = []
    for path in sorted((run / "dataset" / "data").glob("*.parquet")):
        found += [row["qa_id"] for row in pq.read_table(path)["extra_info"].to_pylist()]
    return found


def balanced(run: Path) -> dict[str, Any]:
    """The ledgers of a run, by stage, each of which adds up, and follows from the one before."""
    told = call("status", run, "--json")
    assert told.code == 0, told.all
    found = {stage["name"]: stage["ledger"] for stage in json.loads(told.out)["stages"]}
    kept: dict[str, int] = {}
    for name, ledger in found.items():
        for unit, entry in ledger.items():
            left = sum(entry["rejected"].values()) + sum(entry["failed"].values())
            assert entry["in"] == entry["kept"] + left, (name, unit, entry)
        first = next(iter(ledger), "")
        if first in kept and name not in ("embed", "dataset"):
            assert ledger[first]["in"] == kept[first], (name, first)
        kept |= {unit: entry["kept"] for unit, entry in ledger.items()}
    return found


def leftovers(run: Path) -> list[str]:
    """What writes that did not end have left."""
    return [str(path) for path in run.rglob(f"*{shards.UNFINISHED}")]


@dataclass
class Outcome:
    """What became of a fault: a letter of those that each kind of fault has, and what must be nothing in the end."""

    letter: str
    seconds: float = 0.0  # of the recovery: all commands after the fault
    rows_lost: int = 0
    rows_duplicated: int = 0
    wrong_bytes: int = 0  # files
    paid_twice: int = 0  # beyond what was in flight
    told: str = ""  # the commands' errors, for a person to read


def compared(outcome: Outcome, run: Path, reference: Path, parts: tuple[str, ...] = ("",)) -> Outcome:
    """Hold a run against the reference, or some folders of it."""
    found, wanted = content(run), content(reference)
    places = [name for name in found.keys() | wanted.keys() if name.startswith(parts)]
    outcome.wrong_bytes = sum(found.get(name) != wanted.get(name) for name in places)
    if parts == ("",):
        here, there = rows(run), rows(reference)
        outcome.rows_lost, outcome.rows_duplicated = len(set(there) - set(here)), len(here) - len(set(here))
    assert leftovers(run) == []
    return outcome
