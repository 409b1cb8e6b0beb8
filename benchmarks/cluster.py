"""Our HDBSCAN against scikit-learn's, and how many clusters the ways to cut a document's tree give.

    python benchmarks/cluster.py [--quick] [--books FOLDER] [--limit N]
    python benchmarks/cluster.py --yield [--quick] [--books FOLDER]

Without --yield: one long document of ever more chunks, then many short ones. `ours` is `tree.hdbscan`, `sklearn` is
`sklearn.cluster.HDBSCAN`, both with the published settings and on the same float16 vectors; `themes` is what the
pipeline does by default. Agreement is the adjusted Rand index of the labels. Each runs in a fresh process with one
numeric thread. Time is processor time, the best of a few rounds; memory is what the first fit adds to the resident set.

The vectors are those of real chunks, of 64 tokens, by all-MiniLM-L6-v2, one book after the other. A document of
more chunks than were embedded is drawn from them with replacement, and each drawn vector is moved by Gaussian noise of
length 0.6, so that two draws of the same chunk have a cosine similarity of about 0.74, as near neighbours have. The
short documents are runs of consecutive chunks.

With --yield: every document in chunks of 200 tokens of the encoder's own tokenizer, its usable clusters (4 to 16
chunks) by the published rule, by the same with larger clusters split into the leaves of the condensed tree, and by
the pipeline's default at values of `cluster.min_cohesion`, all by all-MiniLM-L6-v2. The ratio is that of usable
clusters in the longest document, at 0.5 to the published rule.

The documents are those of the folder; without one, and for --yield besides, Python's language reference.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from datagen.clustering import cut, tree
from datagen.clustering.reachability import reach, unit
from datagen.config.data import ClusterConfig, EmbedConfig, InputConfig
from datagen.embed import encoder, models
from datagen.records import Document
from datagen.stages import chunk, cluster
from datagen.text import documents, sources, tokenizers
from datagen.text.quickstart import write_corpus

MIN_SIZE, MAX_SIZE, MIN_SAMPLES, EPSILON = 4, 16, 2, 0.3
SIZES, QUICK_SIZES = (100, 1_000, 2_000, 5_000, 20_000), (100, 1_000, 2_000, 5_000)
EMBEDDED, QUICK_EMBEDDED = 2_000, 600  # chunks; more are drawn from these
TOKENS, NOISE = 64, 0.6
MANY, QUICK_MANY, SHORT = 1_000, 200, 64  # documents, and chunks in each
BYTES_PER_PAIR = 20  # that scikit-learn needs
SPARE = 2 << 30  # bytes to leave to others

YIELD_TOKENS, QUICK_CHUNKS = 200, 100
COHESIONS = (0.3, 0.5, 0.7)

Clusters = list[np.ndarray]


def ours(vectors: np.ndarray) -> Clusters:
    return tree.hdbscan(vectors, MIN_SIZE, MIN_SAMPLES, EPSILON)


def themes(vectors: np.ndarray, min_similarity: float = 0.6) -> Clusters:
    return cut.themes(vectors, min_similarity, MIN_SIZE, MAX_SIZE, MIN_SAMPLES)


def sklearn(vectors: np.ndarray) -> Clusters:
    from sklearn.cluster import HDBSCAN

    fitted = HDBSCAN(
        min_cluster_size=MIN_SIZE,
        min_samples=MIN_SAMPLES,
        metric="cosine",
        cluster_selection_epsilon=EPSILON,
        copy=True,  # pyright: ignore[reportArgumentType]  # a bool; the type is guessed from its default "warn"
    ).fit(vectors)
    return [np.flatnonzero(fitted.labels_ == label) for label in range(fitted.labels_.max() + 1)]


PEERS: dict[str, Callable[[np.ndarray], Clusters]] = {"ours": ours, "sklearn": sklearn, "themes": themes}


def read(folder: Path) -> list[Document]:
    return [row for row in documents.read(sources.find(str(folder))[0], InputConfig()) if isinstance(row, Document)]


def reference() -> list[Document]:
    """Python's language reference."""
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder))
        return read(Path(folder))


def embed(books: list[Document], tokenizer: str, max_tokens: int, most: int) -> dict[str, np.ndarray]:
    """Of each document's first `most` chunks, (n, 384) float16."""
    load = tokenizers.load(tokenizer)
    texts = {book.doc_id: [c.text for c in chunk.cut(book, load, max_tokens)][:most] for book in books}
    start = time.perf_counter()
    vectors = {
        name: encoder.encode(of_book, EmbedConfig(model="minilm", device="cpu")) for name, of_book in texts.items()
    }
    print(f"embedded {sum(map(len, texts.values())):,} chunks in {time.perf_counter() - start:.0f} s", flush=True)
    return vectors


def drawn(real: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n chunks of one document: the first of those there are, or as many as are wanted drawn around them."""
    if n <= len(real):
        return real[:n]
    vectors = real[rng.integers(0, len(real), n)].astype(np.float32)
    noise = rng.normal(size=vectors.shape).astype(np.float32)
    vectors += NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def short_documents(real: list[np.ndarray], n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, SHORT, dim): runs of consecutive chunks of the documents that have as many."""
    long_enough = [vectors for vectors in real if len(vectors) >= SHORT]
    books = rng.integers(0, len(long_enough), n)
    starts = [rng.integers(0, len(long_enough[book]) - SHORT + 1) for book in books]
    return np.stack([long_enough[book][start : start + SHORT] for book, start in zip(books, starts, strict=True)])


def run(name: str, file: str, rounds: int) -> dict[str, Any]:
    """One of the peers over documents, (n_documents, n, dim) in a file: in the process that runs this."""
    warnings.simplefilter("ignore")
    peer, stacked = PEERS[name], np.load(file)
    peer(stacked[0, :SHORT])  # what is loaded at the first call
    before, seconds, found = reset_peak(), [], []
    for i in range(rounds):
        start = time.process_time()
        found = [peer(vectors) for vectors in stacked]
        seconds.append(time.process_time() - start)
        if i == 0:
            added = peak() - before
    labels = np.full(stacked.shape[:2], -1)
    for of_document, clusters in zip(labels, found, strict=True):
        for label, members in enumerate(clusters):
            of_document[members] = label
    return {"seconds": min(seconds), "memory_mb": added, "labels": labels}


def reset_peak() -> float:
    """Forget the largest resident set so far; the one of now, in MB."""
    forget = Path("/proc/self/clear_refs")
    if forget.exists():
        forget.write_text("5")
    return peak()


def peak() -> float:
    """This process's largest resident set, in MB; 0 where there is no /proc."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else 0.0


def available() -> float:
    """Bytes of memory that are free; no limit where there is no /proc."""
    info = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", info.read_text()) if info.exists() else None
    return int(found[1]) * 1024 if found else float("inf")


def why_not(n: int, limit: int) -> str:
    """Why scikit-learn does not cluster so many chunks here, or nothing."""
    if n > limit:
        return f"--limit is {limit:,}"
    needed = BYTES_PER_PAIR * n * n
    if needed + SPARE > available():
        return f"it needs about {needed / 1e9:.1f} GB, and {available() / 1e9:.1f} GB are free"
    return ""


def measure(stacked: np.ndarray, names: list[str], rounds: int) -> dict[str, Any]:
    """A row of the table: the same documents to each of the peers."""
    row: dict[str, Any] = {"documents": len(stacked), "chunks": stacked.shape[1]}
    results = {}
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, stacked)
        file.flush()
        for name in names:
            with get_context("spawn").Pool(1) as fresh:
                results[name] = fresh.apply(run, (name, file.name, rounds))
    for name, found in results.items():
        row |= {f"{name}_s": round(found["seconds"], 4), f"{name}_mb": round(found["memory_mb"], 1)}
    if "sklearn" in results:
        pairs = zip(results["ours"]["labels"], results["sklearn"]["labels"], strict=True)
        row["agreement"] = round(min(adjusted_rand_score(a, b) for a, b in pairs), 6)
        row["ratio"] = round(row["sklearn_s"] / row["ours_s"], 2)
    return row


COLUMNS = (
    *("documents", "chunks", "ours_s", "sklearn_s", "themes_s"),
    *("ours_mb", "sklearn_mb", "themes_mb", "agreement", "ratio"),
)


def against_sklearn(books: list[Document], quick: bool, limit: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    most = QUICK_EMBEDDED if quick else EMBEDDED
    books = books[: most // (2 * SHORT)]
    real = list(embed(books, "embedded", TOKENS, -(-most // len(books))).values())
    together = np.concatenate(real)
    many, rows = QUICK_MANY if quick else MANY, []
    print("  ".join(f"{name:>10}" for name in COLUMNS))
    for n in (*(QUICK_SIZES if quick else SIZES), 0):
        stacked = drawn(together, n, rng)[None] if n else short_documents(real, many, rng)
        reason = why_not(n, limit)
        names = ["ours", "themes"] if reason else ["ours", "sklearn", "themes"]
        rows.append(measure(stacked, names, 1 if n > 5_000 else 3))
        print("  ".join(f"{rows[-1].get(name, '-')!s:>10}" for name in COLUMNS), flush=True)
        if reason:
            print(f"scikit-learn was left out at {n:,} chunks: {reason}")
    both = [row for row in rows[:-1] if "ratio" in row]
    short = rows[-1]
    per_second = {name: round(many / short[f"{name}_s"], 1) for name in PEERS}
    print(f"documents of {SHORT} chunks a second: " + ", ".join(f"{name} {n:,.0f}" for name, n in per_second.items()))
    return {
        "benchmark": "cluster",
        "ratio": both[-1]["ratio"],
        "ratio_memory": round(both[-1]["sklearn_mb"] / both[-1]["ours_mb"], 2),
        "ratio_at_chunks": both[-1]["chunks"],
        "ratio_short_documents": short["ratio"],
        "short_documents_per_second": per_second,
        "agreement_to_2000": min(row["agreement"] for row in both if row["chunks"] <= 2_000),
        "embedded": len(together),
        "rows": rows,
    }


@dataclass
class Yield:
    """What a rule gives in a document; cohesion and spread are those of its usable clusters."""

    document: str
    chunks: int
    rule: str
    usable: int
    per_1000: float  # usable clusters, of so many chunks
    used: float  # share of the chunks
    cohesion: float | None
    least: float | None
    spread: float | None


def published(vectors: np.ndarray) -> Clusters:
    return cluster.find_clusters(vectors, ClusterConfig(published=True), 0.7)


def by_cohesion(vectors: np.ndarray, value: float) -> Clusters:
    settings = ClusterConfig(min_cohesion=value)
    return cluster.find_clusters(unit(vectors), settings, cluster.least_similarity(unit(vectors), settings))


def split(vectors: np.ndarray) -> Clusters:
    """The published rule's clusters; those over the limit are split into the leaves of the condensed tree."""
    reached = reach(unit(vectors), MIN_SAMPLES)
    nodes = tree.condense(reached, MIN_SIZE)
    found, pending = [], tree.excess_of_mass(nodes, EPSILON)
    while pending:
        node = nodes[pending.pop()]
        if node.children and node.end - node.start > MAX_SIZE:
            pending += tree_leaves(nodes, node)
        else:
            found.append(np.sort(reached.order[node.start : node.end]))
    return found


def tree_leaves(nodes: list[tree.Node], top: tree.Node) -> list[int]:
    found, pending = [], [*top.children]
    while pending:
        node = pending.pop()
        pending += nodes[node].children
        if not nodes[node].children:
            found.append(node)
    return found


def describe(document: str, vectors: np.ndarray, rule: str, found: Clusters) -> Yield:
    units = unit(vectors)
    usable = [members for members in found if len(members) <= MAX_SIZE]
    alike = [cut.cohesion(units[members]) for members in usable]
    spreads = [cut.spread(members, len(vectors)) for members in usable]
    n = len(vectors)
    return Yield(
        document,
        n,
        rule,
        len(usable),
        round(1000 * len(usable) / n, 1),
        round(sum(map(len, usable)) / n, 3),
        *((round(float(np.mean(alike)), 3), round(min(alike), 3)) if usable else (None, None)),
        round(float(np.mean(spreads)), 2) if usable else None,
    )


def yields(books: list[Document], quick: bool) -> dict[str, Any]:
    folder = models.folder("minilm")
    assert folder, "it is on this machine"
    tokenizer = f"hf:{folder / 'tokenizer.json'}"
    vectors = embed(books, tokenizer, YIELD_TOKENS, QUICK_CHUNKS if quick else 1 << 30)
    rules: dict[str, Callable[[np.ndarray], Clusters]] = {"published 0.7": published, "published, split": split}
    rules |= {f"themes {value:g}": lambda v, value=value: by_cohesion(v, value) for value in COHESIONS}
    print_line([*Yield.__dataclass_fields__])
    rows: list[Yield] = []
    for name, of_book in sorted(vectors.items(), key=lambda item: len(item[1])):
        for rule, clusters in rules.items():
            rows.append(describe(name, of_book, rule, clusters(of_book)))
            print_line(asdict(rows[-1]).values())
    longest = {row.rule: row for row in rows[-len(rules) :]}
    theirs, ours_ = longest["published 0.7"], longest["themes 0.5"]
    return {
        "benchmark": "cluster --yield",
        "ratio": round(ours_.usable / theirs.usable, 2) if theirs.usable else None,
        "document": ours_.document,
        "cohesion": ours_.cohesion,
        "rows": [asdict(row) for row in rows],
    }


def print_line(values: Iterable[Any]) -> None:
    document, chunks, rule, *rest = ("-" if value is None else str(value) for value in values)
    print(f"{document:<28}  {chunks:>6}  {rule:<16}" + "".join(f"  {value:>8}" for value in rest), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yield", action="store_true", dest="yields", help="the clusters found, not the time it takes")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller documents")
    parser.add_argument("--books", type=Path, help="a folder of documents")
    parser.add_argument("--limit", type=int, default=20_000, help="most chunks that scikit-learn is given")
    args = parser.parse_args()
    if args.limit < SIZES[0]:
        parser.error(f"--limit: at least {SIZES[0]}, or there is nothing to compare with")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"

    books = read(args.books) if args.books else []
    books += reference() if args.yields or not books else []
    summary = yields(books, args.quick) if args.yields else against_sklearn(books, args.quick, args.limit)
    versions = {name: version(name) for name in ("scikit-learn", "numpy", "sentence-transformers")}
    print(json.dumps(summary | {"quick": args.quick, "versions": versions, "python": platform.python_version()}))


if __name__ == "__main__":
    main()
