"""Our splitter against langchain's with the same tokenizer, and against tokenizing the text once.

    python benchmarks/chunk.py [--quick] [--tokenizer SPEC] [--text FILE]

Both run on one core, in this process, one after the other; the best of a few rounds counts. Memory is what a fresh
process needs on top of the text, the loaded tokenizer and its modules. langchain counts every piece it keeps three
times (when splitting, when merging, when it lets go of it), so an exact splitter that has to tokenize everything once
cannot be much more than three times as fast.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from langchain_text_splitters import RecursiveCharacterTextSplitter

from datagen.text.splitter import SEPARATORS, split
from datagen.text.tokenizers import load

LIMIT = 512
SIZES = (0.1, 0.3, 1, 3, 10, 30)  # million characters
QUICK = (0.1, 0.3, 1)


def document(path: str | None, size: float) -> str:
    """A file, or Python's language reference, over and over up to so many million characters."""
    if path:
        text = Path(path).read_text(encoding="utf-8")
    else:
        from pydoc_data.topics import topics

        text = "\n\n".join(topics[name].strip() for name in sorted(topics))
    wanted = int(size * 1e6)
    return (text * (wanted // len(text) + 1))[:wanted]


def best_of(rounds: int, functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The shortest time of each; they take turns, so that a busy machine is busy for all."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: min(times) for name, times in seconds.items()}


def memory(spec: str, path: str | None, size: float) -> float | None:
    """MB that splitting adds to the peak of the process that runs this; None where there is no /proc."""
    tokenizer, text = load(spec), document(path, size)
    split(text[:10_000], tokenizer, LIMIT)
    before = peak()
    split(text, tokenizer, LIMIT)
    return None if before is None else round((peak() or before) - before, 1)


def peak() -> float | None:
    """This process's largest resident set, in MB (getrusage would go on from that of the process it was started by)."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else None


def measure(spec: str, path: str | None, size: float) -> dict[str, Any]:
    tokenizer, text = load(spec), document(path, size)
    count = tokenizer.count
    langchain = RecursiveCharacterTextSplitter(
        separators=list(SEPARATORS), chunk_size=LIMIT, chunk_overlap=0, length_function=lambda t: count([t])[0]
    )
    ours = [text[s.start : s.end] for s in split(text, tokenizer, LIMIT)]
    theirs = langchain.split_text(text)
    seconds = best_of(
        3 if size > 2 else 7,
        {
            "once": lambda: count([text]),
            "ours": lambda: split(text, tokenizer, LIMIT),
            "langchain": lambda: langchain.split_text(text),
        },
    )
    with get_context("spawn").Pool(1) as fresh:
        megabytes = fresh.apply(memory, (spec, path, size))
    return {
        "mchars": size,
        **{name: round(s, 4) for name, s in seconds.items()},
        "ratio": round(seconds["langchain"] / seconds["ours"], 2),
        "times_once": round(seconds["ours"] / seconds["once"], 2),
        "ns_per_char": round(seconds["ours"] / len(text) * 1e9, 1),
        "memory_mb": megabytes,
        "chunks": len(ours),
        "same_chunks": ours == theirs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 1 million characters only")
    parser.add_argument("--tokenizer", default="embedded", help="as in chunk.tokenizer")
    parser.add_argument("--text", help="a UTF-8 file instead of Python's language reference")
    args = parser.parse_args()

    rows = []
    for size in QUICK if args.quick else SIZES:
        rows.append(measure(args.tokenizer, args.text, size))
        if len(rows) == 1:
            print("  ".join(f"{name:>12}" for name in rows[0]))
        print("  ".join(f"{value!s:>12}" for value in rows[-1].values()), flush=True)
    last = rows[-1]
    summary = {
        "benchmark": "chunk",
        "ratio": last["ratio"],
        "times_tokenizing_once": last["times_once"],
        "growth_per_char": round(last["ns_per_char"] / rows[0]["ns_per_char"], 2),
        "memory_mb": last["memory_mb"],
        "sizes_mchars": [row["mchars"] for row in rows],
        "tokenizer": args.tokenizer,
        "max_tokens": LIMIT,
        "versions": {name: version(name) for name in ("langchain-text-splitters", "tiktoken", "tokenizers", "numpy")},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
