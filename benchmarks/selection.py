"""Selecting again: what `longrlvr-data select` takes over 100,000 judged candidates, against ten seconds and 1 GB.

    python benchmarks/selection.py [first] [again] [all] [--quick] [--documents N] [--chunk-tokens N]

The run directory is made on the fly: documents of about 100 chunks, in shards as `chunk` would make them, with 12
candidates each in four clusters. The texts are pieces of Python's language reference in ever other orders; ratings are
spread from 7 to 10, question vectors over 384 dimensions as those of an encoder are, and one in fifty repeats another.

first  with the default thresholds
again  with others, in the place of the first result
all    every candidate may stay: twelve of a document, and no rating is too low. The worst case

Seconds are those of the command, from Python's start to the stage's ledger; `dataset_s` is what the writing of the
dataset takes after that. Memory is the largest resident set of the command's own process up to there, and in
`workers_mb` that of its workers, added up. `cpu_s` is the time of all of them on a processor, which a busy machine does
not change much. The ratio is to ten seconds or to 1,000 MB, whichever is the larger: below 1 is within the limits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from datagen import config as configs
from datagen import identity, records, shards, stage
from datagen.records import Candidate, Chunk, Cluster, Embedding, Judgement
from datagen.stages import STAGES
from datagen.stages.chunk import SHARD_CHARS
from datagen.text import splitter, tokenizers

SECONDS, MEGABYTES = 10.0, 1000.0
DOCUMENTS, QUICK = 8_334, 400
CLUSTERS, SAMPLES = 4, 3
CHUNKS = (60, 140)  # of a document
DIM, THEMES = 384, 500
REPEATS = 0.02
EVERY = 0.02  # seconds between two looks
PARTS: dict[str, dict[str, Any]] = {
    "first": {},
    "again": {"min_rating": 8.5, "max_similarity": 0.9, "per_document": 2},
    "all": {"min_rating": 0, "per_cluster": SAMPLES, "per_document": CLUSTERS * SAMPLES},
}


@cache
def pieces(max_tokens: int) -> tuple[list[str], list[int]]:
    """Chunks to make documents of, and their tokens."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name].strip() for name in sorted(topics))
    spans = splitter.split(text, tokenizers.load("embedded"), max_tokens)
    return [text[s.start : s.end] for s in spans], [s.n_tokens for s in spans]


def layout(n_documents: int, texts: list[str], per_shard: int) -> Iterator[tuple[int, list[list[int]]]]:
    """Shards as `chunk` would make them: the number of the first document, and each document's chunks."""
    draw = random.Random(0)
    batch: list[list[int]] = []
    n_chars = first = 0
    for number in range(n_documents):
        chunks = draw.choices(range(len(texts)), k=draw.randint(*CHUNKS))
        size = sum(len(texts[i]) for i in chunks)
        if batch and (len(batch) == per_shard or n_chars + size > SHARD_CHARS):
            yield first, batch
            batch, n_chars, first = [], 0, number
        batch.append(chunks)
        n_chars += size
    yield first, batch


def build(run: Path, n_documents: int, max_tokens: int) -> int:
    """Write a run directory up to judge. Returns the number of its shards."""
    config = configs.load(None, {"chunk.max_tokens": max_tokens})
    (run / "chunk").mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump({"chunk": {"max_tokens": max_tokens}}))
    made = list(layout(n_documents, pieces(max_tokens)[0], config.chunk.documents_per_shard))
    names = [f"shard-{i:05d}" for i in range(len(made))]
    for s in STAGES[:-1]:
        identity.save(str(run / s.name), stage._parts_wanted(s, config))
    shards.write_json(str(run / "chunk" / stage.LAYOUT), names)
    jobs = [(run, name, max_tokens, *part) for name, part in zip(names, made, strict=True)]
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        pool.map(write_shard, jobs, chunksize=16)
    return len(names)


def write_shard(job: tuple[Path, str, int, int, list[list[int]]]) -> None:
    run, name, max_tokens, first, documents = job
    texts, n_tokens = pieces(max_tokens)
    draw = np.random.default_rng(first)
    chunks: list[Chunk] = []
    candidates: list[Candidate] = []
    for number, document in enumerate(documents, first):
        doc_id = f"library/volume-{number:05d}.txt"
        chunks += [Chunk(doc_id, i, 0, 0, n_tokens[piece], texts[piece]) for i, piece in enumerate(document)]
        for cluster in range(CLUSTERS):
            members = np.sort(draw.choice(len(document), 8, replace=False))
            for sample in range(SAMPLES):
                cluster_id = f"{doc_id}/c{cluster}"
                refs = np.sort(draw.choice(members, draw.integers(2, 5), replace=False)).tolist()
                words = texts[document[refs[0]]].split()[:30]
                question = f"What of {doc_id}, {cluster}, {sample}: {' '.join(words)}?"
                candidates.append(
                    Candidate(
                        qa_id=f"{cluster_id}/q{sample}",
                        cluster_id=cluster_id,
                        doc_id=doc_id,
                        sample=sample,
                        generator="model",
                        question_type="multi-hop",
                        question=question,
                        answer="an answer",
                        ref_chunks=refs,
                        terms=[],
                        quotes=[],
                        quote_chunks=[],
                    )
                )
    judged = [
        Judgement(
            qa_id=c.qa_id,
            cluster_id=c.cluster_id,
            doc_id=c.doc_id,
            rating=float(rating),
            rating_reason="The passages name both, and neither alone is enough to tell; the answer is unambiguous.",
            checks=["lint", "quality", "closed_book", "sufficiency", "necessity", "completeness"],
            ref_chunks=c.ref_chunks,
            redundant=[],
            alt_chunks=[],
            closed_book=0.5 * (guess < 0.1),
            sufficiency=1.0,
            pass_rate=None,
            question_vector=vector,
        )
        for c, rating, guess, vector in zip(
            candidates,
            np.round(draw.uniform(7, 10, len(candidates)), 1),
            draw.uniform(size=len(candidates)),
            vectors(draw, len(candidates)),
            strict=True,
        )
    ]
    made = {"chunk": (Chunk, chunks), "generate": (Candidate, candidates), "judge": (Judgement, judged)}
    for folder, (record, rows) in {"embed": (Embedding, []), "cluster": (Cluster, []), **made}.items():
        (run / folder).mkdir(exist_ok=True)
        ledger = {"candidate": {"in": len(rows), "kept": len(rows), "rejected": {}, "failed": {}}}
        table = records.to_table(record, rows).replace_schema_metadata({shards._LEDGER: json.dumps(ledger)})
        pq.write_table(table, run / folder / (name + shards.SUFFIX), **shards.encoding(table.schema))


def vectors(draw: np.random.Generator, n: int) -> np.ndarray:
    """(n, DIM) float16: most of the variance in a part of the dimensions, as an encoder's; some repeat one of a few."""
    spread = np.arange(8, DIM + 8) ** -0.45
    found = draw.normal(size=(n, DIM)) * spread
    repeats = draw.uniform(size=n) < REPEATS
    themes = np.random.default_rng(0).normal(size=(THEMES, DIM)) * spread
    found[repeats] = themes[draw.integers(0, THEMES, repeats.sum())] + 0.2 * found[repeats]
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def select(run: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Run the command, with other thresholds, from the start; see how long it takes, and how much memory."""
    given = yaml.safe_load((run / "config.yaml").read_text())
    file = run.with_suffix(".yaml")
    file.write_text(yaml.safe_dump({"chunk": given["chunk"], "select": settings}))
    ledger = run / "select" / "ledger.json"
    ledger.unlink(missing_ok=True)
    command = [sys.executable, "-m", "datagen", "select", "-c", str(file), "-o", str(run), "--resume", "never"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        peaks: dict[int, float] = {}
        cpu: dict[int, float] = {}
        seconds = 0.0
        while process.poll() is None:
            if not seconds:
                for pid in family(process.pid):
                    peaks[pid] = max(resident(pid), peaks.get(pid, 0.0))
                    cpu[pid] = max(processor(pid), cpu.get(pid, 0.0))
                if ledger.exists():
                    seconds = time.perf_counter() - started
            time.sleep(EVERY)
        said = process.stderr.read() if process.stderr else ""
        if process.returncode:
            raise SystemExit(said)
    own = peaks.pop(process.pid, 0.0)
    kept = json.loads(ledger.read_text())["units"]["candidate"]
    return {
        "rows_in": kept["in"],
        "rows_out": kept["kept"],
        "seconds": round(seconds, 2),
        "cpu_s": round(sum(cpu.values()), 1),
        "mb": round(own),
        "workers_mb": round(sum(peaks.values())),
        "dataset_s": round(time.perf_counter() - started - seconds, 1),
        "ratio": round(max(seconds / SECONDS, own / MEGABYTES), 2),
    }


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *map(int, children.read_text().split())] if children.exists() else [pid]


def resident(pid: int) -> float:
    """Its largest resident set so far, in MB; 0 if it is gone."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1000 if found else 0.0


def processor(pid: int) -> float:
    """Its seconds on a processor so far; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; default: all of them")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} documents only")
    parser.add_argument("--documents", type=int, help="so many instead")
    parser.add_argument("--chunk-tokens", type=int, default=512, help="as in chunk.max_tokens")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")

    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        n_shards = build(run, args.documents or (QUICK if args.quick else DOCUMENTS), args.chunk_tokens)
        for part in args.parts or PARTS:
            found[part] = select(run, PARTS[part])
            if len(found) == 1:
                print("  ".join(f"{name:>10}" for name in ("part", *found[part])))
            print("  ".join(f"{value!s:>10}" for value in (part, *found[part].values())), flush=True)
    summary = {
        "benchmark": "selection",
        "ratio": {part: row["ratio"] for part, row in found.items()},
        "parts": found,
        "shards": n_shards,
        "chunk_tokens": args.chunk_tokens,
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("numpy", "pyarrow")},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
