"""Our engine against distilabel and Bespoke Curator: the same prompts, the same server, each in its own environment.

    python benchmarks/engine_peers.py [--distilabel-python PYTHON] [--curator-python PYTHON] [--quick]

A peer without a PYTHON is skipped. Their environments:

    python -m venv DISTILABEL && DISTILABEL/bin/pip install 'distilabel[openai]==1.5.3' requests
    python -m venv CURATOR && CURATOR/bin/pip install bespokelabs-curator==0.1.31

(distilabel imports requests without asking for it. Neither needs torch.) Both keep what they have in a folder and are
meant to go on from it. How each is set up for this is in `peers/`; telemetry and progress displays are off.

Every prompt differs. Three runs each:

speed   a server that queues what it has no slot for, as inference servers do. Time is from the moment that a peer has
        its modules and the prompts until its replies are written; CPU and memory are those of all its processes.
faults  one in ten requests fails (429, 500, a connection that is reset). Lost: prompts without a reply in the end.
        Twice: answers to a prompt that the server had answered before.
kill    kill -9 when half is answered, and the same command again. Twice: what the first run was answered and did
        not keep; of the last replies on their way nobody can. A run that does not end is given up and has lost every
        prompt: what it may have kept cannot be had by running it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import serving

SLOTS, LATENCY, SPREAD = 64, 0.5, 0.5
FAULTS = {"fault_rate": 0.1, "faults": "429,500,reset"}
PATIENCE = 10  # times as long as it would ideally take, and a minute, until a run is given up
QUIET = {
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "CURATOR_VIEWER": "false",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TELEMETRY_ENABLED": "false",
}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Peer:
    name: str
    python: str
    options: list[str] = field(default_factory=list)

    def command(self, url: str, folder: Path) -> list[str]:
        script = str(Path(__file__).parent / "peers" / f"drive_{self.name}.py")
        paths = {"url": url, "prompts": folder / "prompts", "replies": folder / "replies", "work": folder / "work"}
        return [self.python, script, *(f"--{name}={value}" for name, value in paths.items()), *self.options]


@dataclass
class Run:
    """One process and all that it starts, watched."""

    peer: Peer
    url: str
    folder: Path
    total: int
    seconds: float = 0.0
    cpu: float = 0.0
    peak_mb: float = 0.0
    finished: bool = False

    def __enter__(self) -> Run:
        self.log = open(self.folder / "log", "ab")  # as long as the process
        self.process = subprocess.Popen(
            self.peer.command(self.url, self.folder),
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=self.folder,
            env=os.environ | QUIET,
            start_new_session=True,
        )
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._listen, self._watch)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for thread in self.threads:
            thread.join()
        self.log.close()

    def kill(self) -> None:
        """The whole group: nothing of it has time to put anything in order."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def wait(self) -> bool:
        """Until it ends by itself; whether it did so with replies."""
        try:
            self.process.wait(60 + PATIENCE * self.total * LATENCY / SLOTS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.threads[0].join(5)
        return self.finished

    def _listen(self) -> None:
        start, before = 0.0, 0.0
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "ready\n":
                start, before = time.perf_counter(), usage(self.process.pid)[0]
            elif line == "done\n":
                self.seconds, self.cpu = time.perf_counter() - start, usage(self.process.pid)[0] - before
                self.finished = True

    def _watch(self) -> None:
        while self.process.poll() is None:
            self.peak_mb = max(self.peak_mb, usage(self.process.pid)[1])
            time.sleep(0.5)


def usage(session: int) -> tuple[float, float]:
    """(CPU seconds, MB) of a session's processes with the children they waited for; shared pages are shared out."""
    ticks, kilobytes = 0, 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += sum(map(int, fields[11:15]))
                rollup = (process / "smaps_rollup").read_text()
                kilobytes += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # it ended meanwhile
    return ticks / TICKS, kilobytes / 1024


def prepared(folder: Path, total: int) -> Path:
    folder.mkdir()
    (folder / "work").mkdir()
    rows = ({"id": i, "prompt": f"What follows from remark {i}? {'It is a long one. ' * 20}"} for i in range(total))
    (folder / "prompts").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def outcome(folder: Path, total: int) -> dict[str, int]:
    """How many prompts have no reply, and how many replies the server gave more than once."""
    path = folder / "replies"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    answered = lines(folder)
    return {
        "lost": total - len({row["id"] for row in rows if row["text"]}),
        "twice": len(answered) - len(set(answered)),
    }


def lines(folder: Path) -> list[str]:
    path = folder / "answered"
    return path.read_text().split() if path.exists() else []


def speed(peer: Peer, folder: Path, total: int, **faults: Any) -> dict[str, Any]:
    with serve(folder, **faults) as server, Run(peer, server.url, folder, total) as run:
        finished = run.wait()
    if not finished:
        return {"finished": False} | outcome(folder, total)
    return {
        "finished": True,
        "seconds": round(run.seconds, 2),
        "per_second": round(total / run.seconds, 1),
        "ratio": round(total * LATENCY / SLOTS / run.seconds, 3),
        "cpu_ms_per_request": round(run.cpu / total * 1000, 2),
        "peak_mb": round(run.peak_mb, 1),
    } | outcome(folder, total)


def killed(peer: Peer, folder: Path, total: int) -> dict[str, Any]:
    with serve(folder) as server:
        with Run(peer, server.url, folder, total) as run:
            while len(lines(folder)) < total / 2 and run.process.poll() is None:
                time.sleep(0.05)
            run.kill()
        time.sleep(2 * LATENCY)  # what was in flight ends
        first = len(lines(folder))
        with Run(peer, server.url, folder, total) as run:
            finished = run.wait()
    return {"finished": finished, "answered_before": first} | outcome(folder, total)


def serve(folder: Path, **faults: Any) -> Any:
    options = {"slots": SLOTS, "latency": LATENCY, "spread": SPREAD, "answered_log": folder / "answered"}
    return serving(**options, overflow="queue", seed=1, **faults)


def version_of(python: str, name: str) -> str:
    code = f"from importlib.metadata import version; print(version('{name}'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="500 prompts")
    parser.add_argument("--requests", type=int, help="so many prompts; default: 2,000")
    parser.add_argument("--distilabel-python", help="of the environment that has distilabel")
    parser.add_argument("--curator-python", help="of the environment that has curator")
    parser.add_argument("--distilabel-batch", type=int, default=500, help="prompts sent at once; 500 was fastest")
    parser.add_argument("--distilabel-replicas", type=int, default=1, help="processes that send")
    parser.add_argument("--curator-concurrency", type=int, default=SLOTS, help="0: no limit")
    parser.add_argument("--keep", help="a new folder for what they write; default: removed afterwards")
    args = parser.parse_args()
    total = args.requests or (500 if args.quick else 2_000)

    peers = [Peer("ours", sys.executable)]
    versions = {"openai": version_of(sys.executable, "openai")}
    for name, package, options in (
        ("distilabel", "distilabel", {"batch": args.distilabel_batch, "replicas": args.distilabel_replicas}),
        ("curator", "bespokelabs-curator", {"concurrency": args.curator_concurrency}),
    ):
        if python := getattr(args, f"{name}_python"):
            peers.append(Peer(name, os.path.abspath(python), [f"--{k}={v}" for k, v in options.items()]))
            versions[package] = version_of(python, package)
        else:
            print(f"{name} is skipped: no --{name}-python")

    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(args.keep or temporary).absolute()
        base.mkdir(exist_ok=True)
        for part, measure in (("speed", speed), ("faults", lambda *a: speed(*a, **FAULTS)), ("kill", killed)):
            for peer in peers:
                found = measure(peer, prepared(base / f"{part}-{peer.name}", total), total)
                results.setdefault(part, {})[peer.name] = found
                print(f"{part:>8} {peer.name:>12}  " + "  ".join(f"{k} {v}" for k, v in found.items()), flush=True)
    ours = results["speed"]["ours"]
    summary = {
        "benchmark": "engine_peers",
        "ratio": {
            name: round(ours["per_second"] / row["per_second"], 2) if row["finished"] else None
            for name, row in results["speed"].items()
            if name != "ours"
        },
        "parts": results,
        "requests": total,
        "slots": SLOTS,
        "latency": LATENCY,
        "options": {peer.name: peer.options for peer in peers},
        "cores": os.cpu_count(),
        "versions": versions,
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
