"""Runs to be killed: the draws, the undisturbed run that all is compared with, and how a signal is sent."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.killed import NAMES, family, results, said
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

ROOT = Path(__file__).parents[2]
HOOK = Path(__file__).parent / "hook"
FAILED_ROWS = 3  # the exit code of every run to the end: one document is empty
CONCURRENCY = 8
DOCUMENTS = 4
BACKENDS = ("none", "chat", "batch")
SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT, "HUP": signal.SIGHUP}
CONFIG = """
chunk: {max_tokens: 60, documents_per_shard: 1}
embed: {model: "custom_encoder:by_words"}
cluster: {min_cohesion: 0.3, min_cluster_size: 2, max_clusters: CLUSTERS}
generate: {method: GENERATE, candidates: 2, min_evidence: 1}
judge: {method: JUDGE, checks: [lint, quality, sufficiency]}
select: {per_document: 8, per_cluster: 2, min_rating: 3, validation_fraction: 0.3}
engine: {kind: KIND, model: scripted, endpoints: [{base_url: "URL", max_concurrency: 8}]}
"""
KINDS = {"none": "openai", "chat": "openai", "batch": "openai-batch"}


def faults(body: dict, asked: int) -> str | None:
    """Replies that are asked for again, whatever instant the client is killed at."""
    text = body["messages"][0]["content"]
    return "length" if len(body["messages"]) == 1 and len(text) % 11 == 0 else None


@contextmanager
def server_for(backend: str) -> Iterator[Server]:
    """A server for a run of this backend; one that is never asked for "none"."""
    with serve(Settings(faults=faults, latency=0.06 if backend == "chat" else 0.0, spread=0.8)) as server:
        yield server


@dataclass(frozen=True)
class Undisturbed:
    """A run from its first stage or a later one on to the end, to which nothing happened."""

    seconds: float
    operations: list[str]  # on files: in which kind of process, which, on what
    calls: int  # of a server


@dataclass
class Place:
    """The corpus, and for each backend the run that nothing happened to."""

    root: Path
    expected: dict[str, dict[str, bytes]] = field(default_factory=dict)
    undisturbed: dict[tuple[str, int], dict[str, Undisturbed]] = field(default_factory=dict)

    def reference(self, backend: str) -> Path:
        """The folder of the run that nothing happened to."""
        return self.root / f"reference-{backend}-1"

    def start(self, run: Path, backend: str, stage: str) -> None:
        """A run directory in which this stage is the next."""
        later = {*NAMES[NAMES.index(stage) :], "dataset"} if stage != "dataset" else {"dataset"}
        shutil.copytree(self.reference(backend), run, ignore=lambda _, names: later & set(names))

    def launch(self, run: Path, backend: str, server: Server, workers: int, **more: str) -> subprocess.Popen:
        """A command in a session of its own; what it says in RUN.err, what it does to files in RUN.log."""
        method = "extractive" if backend == "none" else "llm"
        config = CONFIG.replace("URL", server.url).replace("KIND", KINDS[backend]).replace("GENERATE", method)
        config = config.replace("CLUSTERS", "6" if backend == "none" else "2")
        Path(f"{run}.yaml").write_text(config.replace("JUDGE", "rules" if backend == "none" else "llm"))
        command = [sys.executable, "-m", "datagen", "run", "-c", f"{run}.yaml", "-o", str(run)]
        command += ["--input", str(self.root / "corpus"), "--workers", str(workers)]
        temporary = Path(f"{run}.tmp")
        temporary.mkdir(exist_ok=True)
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env |= {"TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(map(str, (HOOK, ROOT, ROOT / "examples")))}
        env |= {"CRASH_RUN": str(run), "CRASH_LOG": f"{run}.log"} | more
        with open(f"{run}.err", "wb") as err:
            return subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=err,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=env,
            )

    def known(self, backend: str, workers: int = 1) -> dict[str, Undisturbed]:
        """What a run that nothing happens to does from each stage on. All of them give the same results."""
        key = backend, workers
        if key not in self.undisturbed:
            run = self.root / f"reference-{backend}-{workers}"
            with server_for(backend) as server:
                began = time.monotonic()
                process = self.launch(run, backend, server, workers)
                seen: dict[str, tuple[float, int]] = {}  # when the stage began, and how many calls came before
                while process.poll() is None:
                    for name in NAMES:
                        if name not in seen and (run / name / "stage.json").exists():
                            seen[name] = time.monotonic(), calls(server)
                    time.sleep(0.005)
                assert process.returncode == FAILED_ROWS, said(run)
                end = seen["dataset"] = time.monotonic(), calls(server)
            assert self.expected.setdefault(backend, results(run)) == results(run)
            operations = Path(f"{run}.log").read_text().splitlines()
            until_first = seen["chunk"][0] - began
            self.undisturbed[key] = {
                name: Undisturbed(until_first + end[0] - at, _from(name, operations), end[1] - n)
                for name, (at, n) in seen.items()
            }
        return self.undisturbed[key]


def _from(stage: str, operations: list[str]) -> list[str]:
    """The operations from a stage on."""
    mark = f" {stage}/stage.json" if stage != "dataset" else ".dataset"
    return operations[next(i for i, line in enumerate(operations) if line.endswith(mark)) :]


@dataclass(frozen=True)
class Draw:
    """What is to happen to which run. `at`: before an operation on a file, after a number of calls, or seconds."""

    seed: int
    signal: str
    twice: float | None  # seconds to a second signal
    target: str  # "main", "everyone", "worker"
    stage: str
    backend: str
    workers: int
    again: int  # workers of the run that goes on
    at: str | int | float

    def __str__(self) -> str:
        at = {str: f"before {self.at}", int: f"after call {self.at}", float: f"at {self.at} s"}[type(self.at)]
        twice = f" twice ({self.twice:.2f} s apart)" if self.twice is not None else ""
        how = f"{self.signal}{twice} to {self.target} {at}"
        return f"{self.seed}: {how}; from {self.stage}, {self.backend}, {self.workers} workers, then {self.again}"


def drawn(seed: int, place: Place) -> Draw:
    """The draw of a seed."""
    rng = random.Random(f"crash {seed}")
    name = ("KILL", "TERM", "INT", "HUP")[seed % 4]
    stage = [*NAMES, "dataset"][3 * seed % (len(NAMES) + 1)]  # with every signal: 4 and 7 have no common factor
    backend = rng.choice(BACKENDS) if stage in ("generate", "judge") else rng.choices(("none", "chat"), (5, 1))[0]
    workers = rng.choices((1, 2, 4), (12, 4, 1))[0]
    known = place.known(backend, workers)[stage]
    target = rng.choice(("main", "everyone") if workers == 1 else ("main", "everyone", "worker"))
    twice = rng.uniform(0.0, 0.3) if name != "KILL" and target != "worker" and rng.random() < 0.25 else None
    kind = rng.choice(("file", "file", "call" if known.calls and target != "worker" else "clock"))
    operations = sorted({line for line in known.operations if target != "worker" or line.startswith("worker ")})
    at: str | int | float
    if kind == "file" and (here := _of(stage, operations, rng) or operations):
        at = rng.choice(here).partition(" ")[2]
    elif kind == "call":
        at = rng.randint(1, known.calls)
    else:
        at = round(rng.uniform(0.0, known.seconds), 3)
    again = rng.choices((1, 2), (19, 1))[0]
    return Draw(seed, name, twice, target, stage, backend, workers, again, at)


def _of(stage: str, operations: list[str], rng: random.Random) -> list[str]:
    """The operations of a stage; in one case of three, those that end it or the run."""
    last = ("stage.json", "ledger.json", "shards.json", "provenance.json", "README.md", "config.yaml", " dataset")
    here = [line for line in operations if f" {stage}/" in line or f".{stage}/" in line or line.endswith(stage)]
    ends = [line for line in here if any(part in line for part in last)]
    return ends if ends and rng.random() < 1 / 3 else here


def calls(server: Server) -> int:
    """Of any kind, that a server got."""
    return server.stats.requests + server.stats.calls.total()


def environment(draw: Draw) -> dict[str, str]:
    """What tells the hook in the run's processes of a draw that is for it."""
    if not isinstance(draw.at, str):
        return {}
    return {"CRASH_AT": draw.at, "CRASH_SIGNAL": str(int(SIGNALS[draw.signal])), "CRASH_TARGET": draw.target}


def strike(process: subprocess.Popen, draw: Draw, run: Path, server: Server) -> bool:
    """Send the signal at its instant, and wait until the process has ended. False: it ended before."""
    began, log = time.monotonic(), Path(f"{run}.log")
    if isinstance(draw.at, str):
        hit = _wait(process, lambda: log.exists() and "fired\n" in log.read_text())
    elif isinstance(draw.at, int):
        nth = draw.at
        hit = _wait(process, lambda: calls(server) >= nth) and _send(process, draw)
    else:
        end = began + draw.at
        hit = _wait(process, lambda: time.monotonic() >= end) and _send(process, draw)
    if hit and draw.twice is not None:
        time.sleep(draw.twice)
        _send(process, draw)
    process.wait(120)
    return hit


def _wait(process: subprocess.Popen, until: Callable[[], bool]) -> bool:
    """False: the process ended before."""
    end = time.monotonic() + 300
    while not until():
        if process.poll() is not None:
            return until()
        assert time.monotonic() < end, "the instant never came"
        time.sleep(0.001)
    return True


def _send(process: subprocess.Popen, draw: Draw) -> bool:
    """False: there is no such process."""
    if process.poll() is not None:
        return False
    number = SIGNALS[draw.signal]
    if draw.target == "everyone":
        os.killpg(process.pid, number)
        return True
    if draw.target == "main":
        os.kill(process.pid, number)
        return True
    workers = [pid for pid in family(process.pid) if _is_worker(pid, process.pid)]
    if workers:
        os.kill(workers[draw.seed % len(workers)], number)
    return bool(workers)


def _is_worker(pid: int, leader: int) -> bool:
    try:
        return pid != leader and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
