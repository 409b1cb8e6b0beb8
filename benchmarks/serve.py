"""What `serve` adds to a request, in time and in memory.

    python benchmarks/serve.py [--quick] [--requests N] [--chars N]

The upstream (`tests/servers`) answers at once, in a process of its own; so does `longrlvr-data serve` in another. Each
request asks anew about one of a few documents, as a harness does. The same prompts, as `serve` would send them, are
sent to the upstream directly, for the same number of clients: `overhead_ms` is the difference of the medians, `ratio`
their quotient. A ratio says much here because the upstream takes no time; a model takes seconds.

Memory is the resident set of `serve` after 100 requests and after all (2,000), each about a document that was never
asked about before, so that nothing is found in its cache, and the cache is as full as it gets.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.engine import serving
from datagen import grounded
from datagen.config.model import Config
from datagen.grounding import tags
from datagen.serve.prepare import Spans, prepare
from tests.serve.serving import document

ROOT = Path(__file__).parents[1]
CLIENTS = (1, 64)
REQUESTS, QUICK = 2_000, 400
CHARS = 100_000  # of a document: some 25,000 tokens
DOCUMENTS = 16
EARLY = 100  # requests after which memory is looked at first
REPLY = tags.render_response([0], "a stone", "It says so in the first chunk.")


def text(seed: int, chars: int) -> str:
    return document(seed, chars // 170 + 1)[:chars].rstrip()


def asking(seed: int, chars: int, number: int) -> bytes:
    content = f"{text(seed, chars)}\n\nQuestion: What is number {number}?"
    return json.dumps({"model": "scripted", "messages": [{"role": "user", "content": content}]}).encode()


@contextmanager
def served(upstream: str) -> Iterator[tuple[str, int]]:
    """The address of a `serve`, and its process."""
    command = [sys.executable, "-m", "datagen", "serve", "--port", "0", "--base-url", upstream, "--model", "scripted"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[0], process.pid
        finally:
            process.kill()


async def times(url: str, payloads: Sequence[bytes], clients: int) -> list[float]:
    """Milliseconds until each was answered, so many at a time."""
    waiting, taken = iter(payloads), []
    headers = {"Content-Type": "application/json"}

    async def client(session: aiohttp.ClientSession) -> None:
        for payload in waiting:
            began = time.perf_counter()
            async with session.post(f"{url}/chat/completions", data=payload, headers=headers) as response:
                body = await response.json()
                assert response.status == 200, body
            taken.append(1000 * (time.perf_counter() - began))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return taken


def rss_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests, where time is measured")
    parser.add_argument("--requests", type=int, help="so many instead, of either kind")
    parser.add_argument("--chars", type=int, default=CHARS, help="characters of a document")
    args = parser.parse_args()
    total = args.requests or (QUICK if args.quick else REQUESTS)
    spans = Spans(grounded.form(Config()))
    found: dict[str, Any] = {"benchmark": "serve", "requests": total, "chars": args.chars, "cores": os.cpu_count()}
    print(f"{'clients':>8} {'direct ms':>10} {'serve ms':>9} {'overhead ms':>12} {'ratio':>6}")
    with serving(reply=REPLY) as upstream, served(upstream.url) as (url, pid):
        asked = [asking(i % DOCUMENTS, args.chars, i) for i in range(total)]
        sent = [prepare(payload, spans, "scripted", 4096).payload for payload in asked]
        for clients in CLIENTS:
            asyncio.run(times(url, asked[:DOCUMENTS], 1))
            direct = statistics.median(asyncio.run(times(upstream.url, sent, clients)))
            ours = statistics.median(asyncio.run(times(url, asked, clients)))
            row = {"direct_ms": direct, "serve_ms": ours, "overhead_ms": ours - direct, "ratio": ours / direct}
            found[f"clients_{clients}"] = {name: round(value, 2) for name, value in row.items()}
            print(f"{clients:>8} {direct:>10.2f} {ours:>9.2f} {ours - direct:>12.2f} {ours / direct:>6.2f}", flush=True)
        del asked, sent
    with serving(reply=REPLY) as upstream, served(upstream.url) as (url, pid):
        whole = args.requests or REQUESTS
        sizes = []
        for first, last in ((0, min(EARLY, whole)), (min(EARLY, whole), whole)):
            for start in range(first, last, EARLY):
                batch = [asking(1_000 + i, args.chars, i) for i in range(start, min(start + EARLY, last))]
                asyncio.run(times(url, batch, CLIENTS[-1]))
            sizes.append(rss_mb(pid))
    found |= {"rss_early_mb": round(sizes[0], 1), "rss_late_mb": round(sizes[1], 1), "memory_requests": whole}
    print(f"memory: {sizes[0]:.0f} MB after {min(EARLY, whole):,} requests, {sizes[1]:.0f} MB after {whole:,}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
