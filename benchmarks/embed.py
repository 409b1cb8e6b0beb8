"""Our encoder against SentenceTransformers' own `encode`, with the same model on the same cores.

    python benchmarks/embed.py [--quick] [--books FOLDER] [--dtype DTYPE] [--workers N]

The model is all-MiniLM-L6-v2, from its package (`embed.model: minilm`), the texts are real: a folder of books
(`--books`), else Python's language reference, cut to chunks of at most 512 and 200 tokens (the splitter's), no two
alike. The peer is called as the published pipeline calls it: 4,096 chunks at a time, its own batch size, in one process
with torch's own number of threads. Ours runs as the tool does: a pool of processes with one thread each, which take
shards. Both have loaded the model and encoded something before the clock starts, and take turns; the best round counts.
On a machine that is busy with other things, the peer's threads wait for each other: `load` says how busy it was.

The peer reads no more than 256 tokens of a chunk, so a chunk costs it less where chunks are longer: tokens a second
counts what is really embedded. "peer 512" has its window raised, so that it reads what we read. Duplicates, of which
the tool embeds one, are kept apart: in the last part, every fifth chunk is a copy (licences, headers, quoted replies).

The limit is the model's matrix products alone, on as many processes as ours: nothing that computes in 32 bits gets
beyond it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from datagen.config.data import EmbedConfig
from datagen.embed import encoder, models
from datagen.executors import local as executors

SIZES, QUICK = {512: 64, 200: 160}, {512: 32, 200: 80}  # chunks by their limit
AT_ONCE = 4096
WINDOW = 254  # tokens of the model, without its two special ones
SHARDS = 4  # two for each of two workers; a run's are longer
SHAPES = ((384, 384),) * 4 + ((384, 1536), (1536, 384))  # the linear layers of each of its six layers
TOGETHER = 2048  # tokens, as in our batches


def chunks(folder: str | None, limit: int, n: int) -> list[str]:
    """So many different chunks, drawn evenly from all texts."""
    from datagen.text.splitter import split
    from datagen.text.tokenizers import load

    if folder:
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(Path(folder).glob("*.txt"))]
    else:
        from pydoc_data.topics import topics

        texts = ["\n\n".join(topics[name].strip() for name in sorted(topics))]
    tokenizer = load("embedded")
    found = list(dict.fromkeys(text[s.start : s.end] for text in texts for s in split(text, tokenizer, limit)))
    return [found[i * len(found) // n] for i in range(min(n, len(found)))]


def with_copies(texts: list[str]) -> list[str]:
    """As many, but every fifth is a copy of the one before."""
    return [texts[i - 1] if i % 5 == 4 else text for i, text in enumerate(texts)]


def peak() -> float:
    """This process's largest resident set, in MB; 0 where there is no /proc."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


# In the peer's process


def start_peer() -> None:
    peer(["warm up"] * 64, 256)


def peer(texts: list[str], window: int) -> tuple[float, float, np.ndarray]:
    """(seconds, peak MB, vectors)"""
    model = _peer_model()
    model.max_seq_length = window
    start = time.perf_counter()
    parts = [
        model.encode(texts[i : i + AT_ONCE], show_progress_bar=False, normalize_embeddings=True)
        for i in range(0, len(texts), AT_ONCE)
    ]
    return time.perf_counter() - start, peak(), np.concatenate(parts)


def _peer_model(loaded: list[Any] = []) -> Any:  # noqa: B006 - one for the process
    if not loaded:
        from sentence_transformers import SentenceTransformer

        loaded.append(SentenceTransformer(str(models.folder("minilm")), device="cpu"))
    return loaded[0]


# In our workers


def ours(job: tuple[int, list[str], str]) -> tuple[int, int, float, np.ndarray]:
    """(shard, process, its peak MB, vectors)"""
    number, texts, dtype = job
    vectors = encoder.encode(texts, EmbedConfig(device="cpu", dtype=dtype))  # pyright: ignore[reportArgumentType]
    return number, os.getpid(), peak(), vectors


def products(tokens: int) -> int:
    """The matrix products for so many tokens, and nothing else."""
    import torch

    weights = [torch.randn(n_out, n_in) for n_in, n_out in SHAPES]
    inputs = {n_in: torch.randn(TOGETHER, n_in) for n_in, _ in SHAPES}
    with torch.inference_mode():
        for _ in range(6 * tokens // TOGETHER):
            for weight in weights:
                torch.nn.functional.linear(inputs[weight.shape[1]], weight)
    return os.getpid()


def warm(workers: int, run: Callable[..., Any], dtype: str) -> None:
    """Until every worker has loaded the model."""
    seen: set[int] = set()
    while len(seen) < workers:
        seen |= {found[1] for found in run(ours, [(0, ["warm up " * 100] * 32, dtype)] * 4 * workers)}
    list(run(products, [TOGETHER] * workers))


def pooled(texts: list[str], run: Callable[..., Any], dtype: str) -> tuple[float, float, np.ndarray]:
    """(seconds, MB of all workers at their peak, vectors)"""
    jobs = [(i, texts[i::SHARDS], dtype) for i in range(SHARDS)]
    start = time.perf_counter()
    found = list(run(ours, jobs))
    seconds = time.perf_counter() - start
    vectors = np.zeros((len(texts), found[0][3].shape[1]), np.float16)
    for number, _, _, part in found:
        vectors[number::SHARDS] = part
    memory = {process: megabytes for _, process, megabytes, _ in found}
    return seconds, sum(memory.values()), vectors


def limit(tokens: int, run: Callable[..., Any]) -> float:
    """Seconds that the matrix products take."""
    start = time.perf_counter()
    list(run(products, [tokens // SHARDS] * SHARDS))
    return time.perf_counter() - start


def measure(
    name: str, texts: list[str], rounds: int, peer_in: Any, run: Callable[..., Any], args: argparse.Namespace
) -> dict[str, Any]:
    tokenizer = models.load("minilm", None, "cpu", "float32").tokenizer
    lengths = np.array([len(ids) for ids in tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]])
    read = {"peer": np.minimum(lengths, WINDOW).sum(), "peer 512": lengths.sum(), "ours": lengths.sum()}
    ways: dict[str, Callable[[], tuple[float, float, np.ndarray]]] = {
        "peer": lambda: peer_in.apply(peer, (texts, 256)),
        "ours": lambda: pooled(texts, run, args.dtype),
    }
    if lengths.max() > WINDOW:
        ways["peer 512"] = lambda: peer_in.apply(peer, (texts, 512))
    least = float("inf")
    found: dict[str, tuple[float, float, np.ndarray]] = {}
    for _ in range(rounds):
        for way, go in ways.items():
            one = go()
            found[way] = min(one, found.get(way, one), key=lambda f: f[0])
        least = min(least, limit(int(read["ours"]), run))
    within = lengths <= WINDOW
    cosine = (found["peer"][2] * found["ours"][2].astype(np.float32)).sum(1)[within]
    row: dict[str, Any] = {
        "chunks": len(texts),
        "tokens": int(lengths.mean()),
        "agreement": round(float(cosine.min()), 4) if within.any() else None,
        "of_limit": round(least / found["ours"][0], 2),
    }
    for way, (seconds, megabytes, _) in found.items():
        key = way.replace(" ", "_")
        row[f"{key}_chunks_per_s"] = round(len(texts) / seconds, 1)
        row[f"{key}_tokens_per_s"] = round(read[way] / seconds)
        row[f"{key}_mb"] = round(megabytes)
        print(
            f"{name:>16} {way:>9} {row[f'{key}_chunks_per_s']:>9} {row[f'{key}_tokens_per_s']:>9,} {megabytes:>7.0f}",
            flush=True,
        )
    for other in ways.keys() - {"ours"}:
        key = other.replace(" ", "_")
        row[f"ratio_{key}_chunks"] = round(row["ours_chunks_per_s"] / row[f"{key}_chunks_per_s"], 2)
        row[f"ratio_{key}_tokens"] = round(row["ours_tokens_per_s"] / row[f"{key}_tokens_per_s"], 2)
    print(f"{name:>16} {'limit':>9} {'':9} {read['ours'] / least:>9,.0f}")
    print(
        f"{'':>16} ours/peer: chunks {row['ratio_peer_chunks']}, tokens {row['ratio_peer_tokens']}"
        + (f"; with its window raised {row['ratio_peer_512_tokens']}" if "peer 512" in ways else "")
        + f"; of the limit {row['of_limit']}; least cosine within the window {row['agreement']}",
        flush=True,
    )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer chunks, one round")
    parser.add_argument("--books", help="a folder of .txt files instead of Python's language reference")
    parser.add_argument("--dtype", default="float32", help="of ours, as in embed.dtype")
    parser.add_argument("--workers", type=int, default=executors.cores())
    args = parser.parse_args()
    if find_spec(models.MINILM) is None:
        print(f"skipped: all-MiniLM-L6-v2 is not installed ({models.MINILM})")
        return

    sizes, rounds = (QUICK, 1) if args.quick else (SIZES, 2)
    rows = {}
    print(f"{'':16} {'':9} {'chunks/s':>9} {'tokens/s':>9} {'MB':>7}")
    with ExitStack() as stack:
        peer_in = get_context("spawn").Pool(1)  # before our pool says: one thread
        stack.callback(peer_in.join)
        stack.callback(peer_in.close)
        threads = peer_in.apply(_threads)
        peer_in.apply(start_peer)
        run = stack.enter_context(executors.pool(args.workers))
        warm(args.workers, run, args.dtype)
        for size, n in sizes.items():
            texts = chunks(args.books, size, n)
            rows[f"{size} tokens"] = measure(f"{size} tokens", texts, rounds, peer_in, run, args)
        texts = with_copies(texts)
        rows["duplicates"] = measure("with duplicates", texts, rounds, peer_in, run, args)
    summary = {
        "benchmark": "embed",
        "ratio": {name: row["ratio_peer_tokens"] for name, row in rows.items()},
        "parts": rows,
        "dtype": args.dtype,
        "workers": args.workers,
        "peer_threads": threads,
        "duplicates": 0.2,
        "cores": executors.cores(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: version(name) for name in ("sentence-transformers", "transformers", "torch", "numpy")},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


def _threads() -> int:
    import torch

    return torch.get_num_threads()


if __name__ == "__main__":
    main()
