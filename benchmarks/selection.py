"""Selecting again: what `longrlvr-data select` takes over 100,000 judged candidates, against ten seconds and 1 GB.

    python benchmarks/selection.py [first] [again] [all] [files] [--quick] [--documents N]

Run directories are made on the fly: documents of about 100 chunks, in shards as `chunk` would make them, with 12
candidates each in four clusters. The texts are pieces of Python's language reference in ever other orders; ratings are
spread from 7 to 10, question vectors over 384 dimensions as an encoder's are, and one in fifty repeats another.

first  with the default thresholds; chunks of 160 tokens, as in configs/quickstart.yaml
again  with others, in the place of the first result
all    every candidate may stay: twelve of a document, and no rating is too low. The worst case
files  with the default thresholds; chunks of 512 tokens, so that there are four times as many shards

Seconds are those of the command, from Python's start to the stage's ledger; `dataset_s` is what the writing of the
dataset takes after that, in `first`. Memory is the largest resident set of the command's own process up to there, and
in `workers_mb` that of its workers, added up. `cpu_s` is the time of all of them on a processor, which a busy machine
changes less. `disk_s` is what as many files take that one process writes, syncs and renames, as shards are, and nothing
else. The ratio is to ten seconds or to 1,000 MB, whichever is the larger: below 1 is within the limits.
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
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from datagen import records, shards
from datagen.config import model as configs
from datagen.records import Candidate, Chunk, Cluster, Document, Embedding, Judgement
from datagen.run import identity
from datagen.run.paths import RunPaths
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
SYNCED = 200  # files that the disk is tried with
PARTS: dict[str, tuple[int, dict[str, Any]]] = {  # the tokens of a chunk, and the thresholds
    "first": (160, {}),
    "again": (160, {"min_rating": 8.5, "max_similarity": 0.9, "per_document": 2}),
    "all": (160, {"min_rating": 0, "per_cluster": SAMPLES, "per_document": CLUSTERS * SAMPLES}),
    "files": (512, {}),
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


def build(run: Path, n_documents: int, max_tokens: int) -> None:
    """Write a run directory up to judge."""
    config = configs.load(None, {"chunk.max_tokens": max_tokens})
    (run / "chunk" / "documents").mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump({"chunk": {"max_tokens": max_tokens}}))
    made = list(layout(n_documents, pieces(max_tokens)[0], config.chunk.documents_per_shard))
    names = [f"shard-{i:05d}" for i in range(len(made))]
    for s in STAGES[:-1]:
        identity.save(str(run / s.name), s.identity(config))
    shards.write_json(RunPaths(str(run)).layout_file, names)
    jobs = [(run, name, max_tokens, *part) for name, part in zip(names, made, strict=True)]
    with get_context("spawn").Pool(os.cpu_count()) as pool:
        pool.map(write_shard, jobs, chunksize=16)


def write_shard(job: tuple[Path, str, int, int, list[list[int]]]) -> None:
    run, name, max_tokens, first, documents = job
    texts, n_tokens = pieces(max_tokens)
    draw = np.random.default_rng(first)
    chunks = [chunked(name_of(first + i), document, texts, n_tokens) for i, document in enumerate(documents)]
    candidates: list[Candidate] = []
    for number, document in enumerate(documents, first):
        doc_id = name_of(number)
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
    raw = [Document(name_of(first + i), "file", "utf-8", "{}", "") for i in range(len(documents))]
    made = {
        "chunk": pa.concat_tables(chunks),
        "chunk/documents": records.to_table(Document, raw),
        "embed": records.to_table(Embedding, []),
        "cluster": records.to_table(Cluster, []),
        "generate": records.to_table(Candidate, candidates),
        "judge": records.to_table(Judgement, judged),
    }
    ledger = {"candidate": {"in": len(judged), "kept": len(judged), "rejected": {}, "failed": {}}}
    for folder, table in made.items():
        table = table.replace_schema_metadata({shards._LEDGER: json.dumps(ledger)})
        pq.write_table(table, run / folder / (name + shards.SUFFIX), **shards.encoding(table.schema))


def name_of(number: int) -> str:
    return f"library/volume-{number:05d}.txt"


def chunked(doc_id: str, document: list[int], texts: list[str], n_tokens: list[int]) -> pa.Table:
    n = len(document)
    texts_of = [texts[i] for i in document]
    indices, nothing = np.arange(n, dtype=np.int32), np.zeros(n, np.int64)
    columns = [[doc_id] * n, indices, nothing, nothing, np.array(n_tokens, np.int32)[document], texts_of]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=records.schema(Chunk))


def vectors(draw: np.random.Generator, n: int) -> np.ndarray:
    """(n, DIM) float16: most of the variance in a part of the dimensions, as an encoder's; some repeat one of a few."""
    spread = np.arange(8, DIM + 8) ** -0.45
    found = draw.normal(size=(n, DIM)) * spread
    repeats = draw.uniform(size=n) < REPEATS
    themes = np.random.default_rng(0).normal(size=(THEMES, DIM)) * spread
    found[repeats] = themes[draw.integers(0, THEMES, repeats.sum())] + 0.2 * found[repeats]
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def select(run: Path, settings: dict[str, Any], whole: bool) -> dict[str, Any]:
    """Run the command with these thresholds, from the start; stop it after the stage unless it is wanted whole."""
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
                    if not whole:
                        process.terminate()
            time.sleep(EVERY)
        said = process.stderr.read() if process.stderr else ""
        if (process.returncode and whole) or not seconds:
            raise SystemExit(said)
    own = peaks.pop(process.pid, 0.0)
    kept = json.loads(ledger.read_text())["units"]["candidate"]
    n_shards = len(shards.names(str(run / "select")))
    return {
        "shards": n_shards,
        "rows_in": kept["in"],
        "rows_out": kept["kept"],
        "seconds": round(seconds, 2),
        "cpu_s": round(sum(cpu.values()), 1),
        "mb": round(own),
        "workers_mb": round(sum(peaks.values())),
        "disk_s": round(2 * n_shards * synced(run), 1),
        "dataset_s": round(time.perf_counter() - started - seconds, 1) if whole else None,
        "ratio": round(max(seconds / SECONDS, own / MEGABYTES), 2),
    }


def synced(folder: Path) -> float:
    """Seconds for a small file that is written as a shard is."""
    started = time.perf_counter()
    for i in range(SYNCED):
        shards.write_bytes(str(folder / "tried" / f"{i}"), b"x" * 4000)
    return (time.perf_counter() - started) / SYNCED


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
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")

    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in args.parts or PARTS:
            max_tokens, settings = PARTS[part]
            run = Path(folder) / f"run-{max_tokens}"
            if not run.exists():
                build(run, args.documents or (QUICK if args.quick else DOCUMENTS), max_tokens)
            found[part] = select(run, settings, whole=part == "first")
            if len(found) == 1:
                print("  ".join(f"{name:>10}" for name in ("part", *found[part])))
            print("  ".join(f"{value!s:>10}" for value in (part, *found[part].values())), flush=True)
    summary = {
        "benchmark": "selection",
        "ratio": {part: row["ratio"] for part, row in found.items()},
        "parts": found,
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("numpy", "pyarrow")},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
