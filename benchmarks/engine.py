"""Our engine against a server of known speed: how near it comes to what the server can do.

    python benchmarks/engine.py [throughput] [endpoints] [affinity] [serial] [memory] [--quick] [--requests N]

The server (`tests/servers`) answers after a while, so many requests at a time, in a process of its own; the engine
runs in a fresh one, and does all that a stage asks of it: shards of conversations, each reply journalled and fsynced
before it is used. Ideal is what the server's slots can do from the first moment to the last. It takes no notice of how
long the last reply is on its way: a ratio of 1 cannot be reached, the less so the shorter the run.

throughput  256 slots, 2 s ± 50 % a reply
endpoints   three such servers, but one is ten times slower and one is killed when half of the replies are back
affinity    three servers that remember prompts: how much of the prompts they need not read again, with requests that
            say what they have in common (`group`) against the same requests without
serial      a server that answers one request at a time, and a time-out that four answers fit in: `attempts` says how
            often it was asked
memory      a server that answers at once; what the engine's process grows by
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from datagen.config.llm import EndpointConfig, EngineConfig, PriceConfig
from datagen.llm.base import Request
from datagen.llm.chat import ChatBackend
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob, drive
from datagen.llm.http import httpx

ROOT = Path(__file__).parents[1]
SLOTS, LATENCY, SPREAD = 256, 2.0, 0.5
SLOWER = 10
SIZES = {"throughput": 20_000, "endpoints": 20_000, "affinity": 3_200, "serial": 320, "memory": 1_000_000}
QUICK = {"throughput": 2_000, "endpoints": 4_000, "affinity": 800, "serial": 80, "memory": 20_000}
SHARED, PREFIX = 16, 2_000  # so many requests begin with the same text of so many characters
SHARD = 500  # requests
STEPS = 10  # how often memory is looked at


@dataclass
class Server:
    url: str
    pid: int


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    """A server with these options (fault_rate=0.1 is --fault-rate 0.1), until it is no longer needed."""
    flags = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "tests.servers.openai_server", "--port", "0", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip(), process.pid)
        finally:
            process.kill()


@dataclass
class Prompts:
    """So many requests, in shards, each made as its shard is opened. With a prefix, `SHARED` in a row begin alike."""

    total: int
    prefix: int = 0
    grouped: bool = False

    def request(self, number: int) -> Request:
        group = str(number // SHARED)
        shared = (f"Document {group}. " * (self.prefix // 10 + 1))[: self.prefix]
        messages = [{"role": "user", "content": f"{shared}Question {number}?"}]
        return Request("model", messages, {"max_tokens": 64}, group=group if self.grouped else "")

    def jobs(self, folder: Path) -> Iterator[ShardJob]:
        for start in range(0, self.total, SHARD):
            numbers = range(start, min(start + SHARD, self.total))
            name = f"{start:08d}"
            yield ShardJob(name, folder / name, lambda llm, n=numbers: [llm.complete(self.request(i)) for i in n])


def answer(
    urls: list[str],
    prompts: Prompts,
    *,
    concurrency: int = SLOTS,
    timeout: float = 600.0,
    victim: int = 0,
    watch: bool = False,
) -> dict[str, Any]:
    """Ask everything, in the process that runs this; kill the victim when half is back; print what memory it takes."""
    endpoints = tuple(EndpointConfig(base_url=url, max_concurrency=concurrency) for url in urls)
    backend = ChatBackend(EngineConfig(model="model", endpoints=endpoints, timeout=timeout))
    errors, tokens, cached, attempts = Counter[str](), 0, 0, 0
    ended, killed_at, memory, step = 0, 0.0, [], max(1, prompts.total // STEPS)

    def on_end(n: int) -> None:
        nonlocal ended, killed_at
        ended += n
        if watch and ended % step == 0:
            memory.append((ended, resident("VmRSS")))
            print(f"{ended:>18,} requests {memory[-1][1]:>10.1f} MB", flush=True)
        if victim and ended >= prompts.total / 2 and not killed_at:
            os.kill(victim, signal.SIGKILL)
            killed_at = time.perf_counter() - start

    cpu, start = time.process_time(), time.perf_counter()
    with TemporaryDirectory() as folder:
        for job in drive(prompts.jobs(Path(folder)), backend, Budget(PriceConfig()), prompts.total, on_end):
            for completion in job.results:
                attempts += completion.attempts
                tokens += completion.prompt_tokens
                cached += completion.cached_tokens
                if completion.error:
                    errors[completion.error] += 1
            Path(job.journal).unlink()
    seconds = time.perf_counter() - start
    cpu = time.process_time() - cpu
    return {
        "requests": ended,
        "seconds": seconds,
        "per_second": ended / seconds,
        "cpu_ms_per_request": cpu / ended * 1000,
        "peak_mb": resident("VmHWM"),
        "attempts": attempts,
        "errors": dict(errors),
        "killed_at": killed_at,
        "cached_share": cached / tokens if tokens else 0.0,
        "memory": memory,
    }


def fresh(urls: list[str], prompts: Prompts, **options: Any) -> dict[str, Any]:
    """`answer` in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(answer, (urls, prompts), options)


def resident(name: str) -> float:
    """MB of this process now (VmRSS) or at most (VmHWM); 0 where there is no /proc."""
    status = Path("/proc/self/status")
    found = re.search(rf"{name}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


def throughput(total: int) -> dict[str, Any]:
    with serving(slots=SLOTS, latency=LATENCY, spread=SPREAD) as server:
        found = fresh([server.url], Prompts(total))
    return found | {"ratio": total * LATENCY / SLOTS / found["seconds"]}


def endpoints(total: int) -> dict[str, Any]:
    """Ideal: the first half at the rate of all three, the second at that of those that live on."""
    latencies = (LATENCY, LATENCY * SLOWER, LATENCY)
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(slots=SLOTS, latency=s, spread=SPREAD)) for s in latencies]
        found = fresh([server.url for server in servers], Prompts(total), victim=servers[-1].pid)
    rates = [SLOTS / seconds for seconds in latencies]
    ideal = total / 2 / sum(rates) + total / 2 / sum(rates[:-1])
    return found | {"ratio": ideal / found["seconds"]}


def affinity(total: int) -> dict[str, Any]:
    """Ideal: all requests of a group but its first find its text in the cache."""
    shares, found = {}, {}
    for grouped in (False, True):
        with ExitStack() as stack:
            options = {"slots": 8, "latency": 0.1, "spread": SPREAD}
            urls = [stack.enter_context(serving(**options)).url for _ in range(3)]
            found = fresh(urls, Prompts(total, PREFIX, grouped), concurrency=8)
        shares[grouped] = found["cached_share"]
    return found | {"ratio": shares[True] / (1 - 1 / SHARED), "ungrouped_cached_share": shares[False]}


def serial(total: int) -> dict[str, Any]:
    """Ideal: the server is never idle, and computes nothing twice."""
    with serving(slots=1, latency=(latency := 0.5), spread=SPREAD) as server:
        found = fresh([server.url], Prompts(total), timeout=4 * latency)
    return found | {"ratio": total * latency / found["seconds"], "sent_for_each": found["attempts"] / total}


def memory(total: int) -> dict[str, Any]:
    """Ideal: it does not grow from a fifth of the way on."""
    with serving(slots=SLOTS, latency=0, spread=0) as server:
        found = fresh([server.url], Prompts(total), watch=True)
    seen = [(done, megabytes) for done, megabytes in found["memory"] if done >= total / 5]
    bytes_each = slope(seen) * 2**20
    return found | {"ratio": seen[0][1] / seen[-1][1], "bytes_per_request": bytes_each}


def slope(points: list[tuple[float, float]]) -> float:
    """Of the line with the least squares."""
    x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points)


PARTS = {"throughput": throughput, "endpoints": endpoints, "affinity": affinity, "serial": serial, "memory": memory}
COLUMNS = ("requests", "seconds", "per_second", "ratio", "cpu_ms_per_request", "peak_mb", "attempts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    parser.add_argument("--requests", type=int, help="so many instead")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")

    rows: dict[str, dict[str, Any]] = {}
    print("  ".join(f"{name:>18}" for name in ("part", *COLUMNS)))
    for part in args.parts or PARTS:
        found = PARTS[part](args.requests or (QUICK if args.quick else SIZES)[part])
        found = {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()}
        print("  ".join(f"{value!s:>18}" for value in (part, *(found[name] for name in COLUMNS))), flush=True)
        rows[part] = {name: value for name, value in found.items() if name != "memory"}
    summary = {
        "benchmark": "engine",
        "ratio": {part: row["ratio"] for part, row in rows.items()},
        "parts": rows,
        "slots": SLOTS,
        "latency": LATENCY,
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("openai", "aiohttp", httpx.__name__)},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
