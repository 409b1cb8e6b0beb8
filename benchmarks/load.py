"""A hundred thousand candidates over a million chunks, asked about and chosen: does memory grow, and does time per row?

    python benchmarks/load.py [--quick] [--chunks N] [--candidates N] [--written] [--keep FOLDER]

The tables of chunk, embed and cluster are written here, as those stages would; then `longrlvr-data generate` and
`judge` run over them (by a language model, with all checks of the default), and `select`, which looks at all rows at
once, over all, a half and a tenth of their shards, each in a run directory of its own. The model is a loopback server
(`tests/servers`) in a process of its own, that answers at once. With `--written`, the tables of generate and judge are
written as well, and `select` alone is run.

Chunks have about 160 tokens, of words drawn at random with names and numbers among them. A document has as many as it
takes, and four clusters of 4 to 16 with three candidates each. Vectors have 32 dimensions, and the encoder of the
questions is a table of numbers (`hashing_encoder`): what an encoder takes is `benchmarks/embed.py`'s to say.

Memory is that of a command and its workers together (as in `end_to_end.py`), looked at four times a second against the
rows in shards that are finished. `at_mark_mb` is the peak until a tenth of all rows were done, `at_end_mb` the peak
until the end, and `row_bytes` the growth in between, for each row. The ratio is the time for twice the rows, from that
for all and for about half of them, the largest of any stage: 2 is linear. `cpu_ratio` is the same of the time on a
processor, which a busy machine changes less. Where a stage takes shard after shard, a tenth and half are looked at
within the run over all; for `select`, and the dataset that it writes, they are runs of their own. `ceiling` is what the
server could answer in a second if it had a core for itself and nothing to wait for: its requests by its processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from end_to_end import DATASET, members, memory_mb, rows_of
from engine import Server, serving
from hashing_encoder import DIM
from selection import processor

from datagen import shards
from datagen.config import model as configs
from datagen.records import Candidate, Chunk, Cluster, Document, Dropped, Embedding, Judgement
from datagen.run import identity
from datagen.run import ledger as ledgers
from datagen.run.paths import RunPaths
from datagen.stages import STAGES
from datagen.stages.chunk import SHARD_CHARS

ROOT = Path(__file__).parents[1]
CHUNKS, CANDIDATES = 1_000_000, 100_000
QUICK = 20  # times fewer
SHARES = (1.0, 0.5, 0.1)  # of all
PER_CLUSTER, CLUSTERS = 3, 4  # candidates, and clusters of a document
SENTENCES, WORDS, TOKENS = 8, 13, 160  # of a chunk, of a sentence, of a chunk
EVERY, TOLD = 0.25, 20  # seconds between two looks at the memory; times that a stage is said to have got further
ASKING = ("generate", "judge")


@dataclass(frozen=True)
class Part:
    """A shard to write: its name, and the number of its first document and of its documents."""

    run: str
    name: str
    first: int
    documents: int
    chunks: int  # of a document
    judged: bool  # whether there are candidates, and judgements of them


@dataclass
class Phase:
    """What a stage, or the writing of the dataset, took."""

    seconds: float = 0.0
    cpu: float = 0.0
    rows: int = 0
    seen: list[tuple[int, float, float, float]] = field(default_factory=list)  # rows done; MB, seconds, cpu then
    requests: int = 0
    server_cpu: float = 0.0

    def peak(self, up_to: float = float("inf")) -> float:
        """MB, at most, until more rows than these were done."""
        return max((mb for rows, mb, _, _ in self.seen if rows <= up_to), default=0.0)

    def until(self, rows: float) -> Phase:
        """This phase up to where so many rows were done."""
        seen = [each for each in self.seen if each[0] <= rows]
        done, _, seconds, cpu = next((each for each in self.seen if each[0] >= rows), self.seen[-1])
        return Phase(seconds, cpu, done, seen)


# The tables that are there before -------------------------------------------------------------------------------------


def build(run: Path, n_documents: int, per_document: int, judged: bool) -> list[str]:
    """Write a run directory up to cluster, or up to judge; the names of its shards."""
    settings = {
        "chunk": {"max_tokens": TOKENS},
        "embed": {"model": "benchmarks.hashing_encoder:encode"},
        "cluster": {"max_clusters": CLUSTERS},
        "generate": {"method": "llm", "candidates": PER_CLUSTER},
        "judge": {"method": "llm"},
        "engine": {"model": "scripted"},
    }
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    config = configs.load(run / "config.yaml", {})
    for stage in STAGES[: 5 if judged else 3]:
        identity.save(str(run / stage.name), stage.identity(config))
    most = min(config.chunk.documents_per_shard, max(1, SHARD_CHARS // (per_document * TOKENS * 4)))
    parts = [
        Part(str(run), f"shard-{i:05d}", first, min(most, n_documents - first), per_document, judged)
        for i, first in enumerate(range(0, n_documents, most))
    ]
    with get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        pool.map(write_shard, parts, chunksize=8)
    names = [part.name for part in parts]
    shards.write_json(RunPaths(str(run)).layout_file, names)
    return names


def share_of(whole: Path, run: Path, names: list[str]) -> None:
    """A run directory with some of the shards of another, as they are."""
    kept = {name + shards.SUFFIX for name in names} | {identity.FILE, "config.yaml"}
    for file in whole.rglob("*"):
        if file.name in kept:
            (run / file.relative_to(whole)).parent.mkdir(parents=True, exist_ok=True)
            os.link(file, run / file.relative_to(whole))
    shards.write_json(RunPaths(str(run)).layout_file, names)


def write_shard(part: Part) -> None:
    documents, chunks, vectors, clusters = [], [], [], []
    for number in range(part.first, part.first + part.documents):
        doc_id, draw = f"library/volume-{number:05d}.txt", np.random.default_rng(number)
        texts, at = written(number, part.chunks, draw), 0
        documents.append(Document(doc_id, doc_id, "utf-8", "{}", "\n\n".join(texts)))
        of, themes = grouped(part.chunks, draw), draw.normal(size=(CLUSTERS + 1, DIM))
        found = (themes[of] + 0.8 * draw.normal(size=(part.chunks, DIM))).astype(np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        for i, text in enumerate(texts):
            chunks.append(Chunk(doc_id, i, at, at + len(text), TOKENS - i % 16, text))
            vectors.append(Embedding(doc_id, i, found[i].astype(np.float16)))
            at += len(text) + 2
        for cluster in range(CLUSTERS):
            group = np.flatnonzero(of == cluster).tolist()
            clusters.append(Cluster(f"{doc_id}/c{cluster}", doc_id, group, 0.65, 0.3, 1.0))
    write(part, 0, Chunk, chunks, {d.doc_id for d in documents}, documents)
    write(part, 1, Embedding, vectors, {f"{c.doc_id}#{c.chunk_index}" for c in chunks})
    write(part, 2, Cluster, clusters, {d.doc_id for d in documents})
    if part.judged:
        candidates = [asked(cluster, sample) for cluster in clusters for sample in range(PER_CLUSTER)]
        write(part, 3, Candidate, candidates, {c.cluster_id for c in clusters})
        draw = np.random.default_rng(part.first)
        write(part, 4, Judgement, [judged(c, draw) for c in candidates], {c.qa_id for c in candidates})


def asked(cluster: Cluster, sample: int) -> Candidate:
    question = f"Which words come after what {cluster.cluster_id} says the {sample + 1}. time, and after which others?"
    return Candidate(
        qa_id=f"{cluster.cluster_id}/q{sample}",
        cluster_id=cluster.cluster_id,
        doc_id=cluster.doc_id,
        sample=sample,
        generator="scripted",
        question_type="multi-hop",
        question=question,
        answer="an answer",
        ref_chunks=cluster.chunk_indices[sample : sample + 2],
        terms=[],
        quotes=[],
        quote_chunks=[],
    )


def judged(candidate: Candidate, draw: np.random.Generator) -> Judgement:
    vector = draw.normal(size=DIM)
    return Judgement(
        **{name: getattr(candidate, name) for name in ("qa_id", "cluster_id", "doc_id", "ref_chunks")},
        rating=float(draw.integers(14, 21)) / 2,
        rating_reason="It deserves that much of 10.",
        checks=["lint", "quality", "closed_book", "sufficiency", "necessity", "completeness"],
        redundant=[],
        alt_chunks=[],
        closed_book=0.0,
        sufficiency=1.0,
        pass_rate=None,
        question_vector=(vector / np.linalg.norm(vector)).astype(np.float16),
    )


def write(part: Part, stage: int, record: type, rows: list[Any], came_in: set[str], documents: Any = None) -> None:
    """Write a shard of the stage with this number, which dropped nothing."""
    table, run = STAGES[stage].table, RunPaths(part.run)
    stored = identity.load(run.folder(table.name))
    assert stored is not None
    for side, kind, of_side in (("dropped", Dropped, []), ("documents", Document, documents)):
        if of_side is not None:
            origin = {"identity": stored.digest, "place": f"{table.name}/{side}/{part.name}"}
            shards.write_rows(run.shard(table.name, part.name, side), kind, of_side, origin=origin)
    ledger = ledgers.account(table.name, table.input_unit, table.output_unit, came_in, rows, [])
    origin = {"identity": stored.digest, "place": f"{table.name}/{part.name}"}
    shards.write_rows(run.shard(table.name, part.name), record, rows, ledger, origin)


def grouped(n: int, draw: np.random.Generator) -> np.ndarray:
    """(n,) the cluster of each chunk; that after the last is none."""
    sizes = draw.integers(4, 17, CLUSTERS)
    found = np.full(n, CLUSTERS)
    found[draw.permutation(n)[: sizes.sum()]] = np.repeat(np.arange(CLUSTERS), sizes)[:n]
    return found


def written(number: int, n: int, draw: np.random.Generator) -> list[str]:
    """The texts of a document's chunks: frequent words among rare ones, and names and numbers of its own."""
    words = vocabulary()
    drawn = (len(words) * draw.random((n, SENTENCES, WORDS)) ** 3).astype(int).tolist()
    years = draw.integers(1000, 9999, (n, SENTENCES)).tolist()
    texts = []
    for i, sentences in enumerate(drawn):
        said = []
        for j, sentence in enumerate(sentences):
            parts = [words[word] for word in sentence]
            parts[0] = parts[0].capitalize()
            parts[7] = f"{parts[7].capitalize()}{words[(number * 31 + i * SENTENCES + j) % len(words)]}"
            parts[-2] = str(years[i][j])
            said.append(" ".join(parts) + ".")
        texts.append(" ".join(said))
    return texts


@cache
def vocabulary() -> list[str]:
    draw = random.Random(0)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er")]
    words = sorted({"".join(draw.choices(syllables, k=draw.choice((1, 2, 2, 3)))) for _ in range(8_000)})
    return draw.sample(words, len(words))


# Running and watching -------------------------------------------------------------------------------------------------


def measure(run: Path, stages: Sequence[str]) -> dict[str, Phase]:
    """Run the stages; what each phase took."""
    found: dict[str, Phase] = {}
    clusters = {name: str(run / "cluster" / (name + shards.SUFFIX)) for name in shards.names(str(run / "cluster"))}
    per_shard = {name: PER_CLUSTER * shards.read_footer(file).n_rows for name, file in clusters.items()}
    for stage in stages:
        with serving() as server:
            asks = ("--base-url", server.url, "--model", "scripted") if stage != "select" else ()
            command = [sys.executable, "-m", "datagen", stage, "-o", str(run), "--workers", "2", *asks]
            phases = [stage, DATASET] if stage == "select" else [stage]
            found |= watch(command, phases, run, per_shard)
            found[stage].requests, found[stage].server_cpu = asked_of(server)
        for name in phases:
            found[name].rows = rows_of(run, name)[0] if stage == "select" else sum(per_shard.values())
    return found


def asked_of(server: Server) -> tuple[int, float]:
    """The requests that a server was sent, and its seconds on a processor."""
    with urllib.request.urlopen(server.url.removesuffix("/v1") + "/stats") as reply:
        return json.load(reply)["requests"], processor(server.pid)


def watch(command: list[str], phases: list[str], run: Path, per_shard: dict[str, int]) -> dict[str, Phase]:
    """Run a command to its end, looking at its memory and at how far it is. Raises where it fails."""
    found = {name: Phase() for name in phases}
    log = run.with_suffix(".log")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (
        open(log, "ab") as out,
        subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, env=environment, cwd=ROOT) as process,
    ):
        begun, used, cpu = time.perf_counter(), 0.0, {}
        now, *later = phases
        total, told = sum(per_shard.values()), 0
        try:
            while process.poll() is None:
                if later and (run / now / "ledger.json").exists():
                    found[now].seconds, found[now].cpu = time.perf_counter() - begun, sum(cpu.values())
                    begun, used = time.perf_counter(), sum(cpu.values())
                    now, *later = later
                    told = 0
                pids = members(process.pid)
                cpu |= {pid: seconds for pid in pids if (seconds := processor(pid))}
                done = sum(per_shard[name] for name in finished(run / now))
                spent = time.perf_counter() - begun, sum(cpu.values()) - used
                found[now].seen.append((done, memory_mb(pids), *spent))
                if done >= told + total / TOLD:
                    told = done
                    print(f"{'':4} {now:9} {done:>9,} rows {spent[0]:8.1f} s", end="")
                    print(f" {found[now].seen[-1][1]:8.1f} MB {spent[1]:8.1f} s of processor", flush=True)
                time.sleep(EVERY)
            found[now].seconds, found[now].cpu = time.perf_counter() - begun, sum(cpu.values()) - used
        finally:
            process.terminate()  # Ctrl-C does not reach a session of its own
    if process.returncode or later:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{tail}")
    return found


def finished(folder: Path) -> list[str]:
    """The names of the shards that are there."""
    names = os.listdir(folder) if folder.exists() else []
    return [name.removesuffix(shards.SUFFIX) for name in names if name.startswith("shard-")]


def figures(phase: Phase) -> dict[str, Any]:
    """What is said of a phase by itself."""
    found = {
        "rows": phase.rows,
        "seconds": round(phase.seconds, 1),
        "peak_mb": round(phase.peak(), 1),
        "cpu_s": round(phase.cpu, 1),
    }
    if phase.requests:
        found |= {
            "requests": phase.requests,
            "per_second": round(phase.requests / phase.seconds),
            "ceiling": round(phase.requests / phase.server_cpu),
            "cpu_ms_per_request": round(phase.cpu / phase.requests * 1000, 2),
            "server_ms_per_request": round(phase.server_cpu / phase.requests * 1000, 2),
        }
    return found


def compare(taken: dict[str, list[Phase]]) -> dict[str, dict[str, Any]]:
    """By phase: what it took over all rows, against a half and a tenth of them, as SHARES has them."""
    found = {}
    for name, (whole, half, tenth) in taken.items():
        found[name] = figures(whole) | {
            "mark": tenth.rows,
            "at_mark_mb": round(tenth.peak(), 1),
            "at_end_mb": round(whole.peak(), 1),
            "row_bytes": round((whole.peak() - tenth.peak()) * 2**20 / (whole.rows - tenth.rows)),
            "half_seconds": round(half.seconds, 1),
            "half_rows": half.rows,
            "ratio": round(2 * (whole.seconds / whole.rows) / (half.seconds / half.rows), 2),
            "cpu_ratio": round(2 * (whole.cpu / whole.rows) / (half.cpu / half.rows), 2),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} times fewer of both")
    parser.add_argument("--chunks", type=int, help=f"so many instead of {CHUNKS:,}")
    parser.add_argument("--candidates", type=int, help=f"so many instead of {CANDIDATES:,}")
    parser.add_argument("--written", action="store_true", help="write candidates and judgements, and run select alone")
    parser.add_argument("--keep", type=Path, help="a folder for the run directories, which stay")
    args = parser.parse_args()
    if not Path("/proc/self/status").exists():
        parser.error("memory is read from /proc, which only Linux has")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and the command that it watches with it

    candidates = args.candidates or CANDIDATES // (QUICK if args.quick else 1)
    chunks = args.chunks or CHUNKS // (QUICK if args.quick else 1)
    documents = -(-candidates // (CLUSTERS * PER_CLUSTER))
    per_document = max(16 * CLUSTERS, round(chunks / documents))
    taken: dict[str, list[Phase]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = args.keep or Path(temporary)
        names = build(place / "all", documents, per_document, args.written)
        print(f"{documents * per_document:,} chunks written", flush=True)
        for name, phase in measure(place / "all", () if args.written else ASKING).items():
            taken[name] = [phase, *(phase.until(share * phase.rows) for share in SHARES[1:])]
            print(f"{'':4} {name:9}", json.dumps(figures(phase)), flush=True)
        for share in SHARES:
            run = place / f"run-{share:g}"
            share_of(place / "all", run, names[: max(1, round(share * len(names)))])
            for name, phase in measure(run, ("select",)).items():
                taken.setdefault(name, []).append(phase)
                print(f"{share:<4g} {name:9}", json.dumps(figures(phase)), flush=True)
    summary = {
        "benchmark": "load",
        "stages": compare(taken),
        "candidates": documents * CLUSTERS * PER_CLUSTER,
        "chunks": documents * per_document,
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("numpy", "pyarrow", "openai", "aiohttp")},
    }
    print(json.dumps(summary | {"ratio": max(stage["ratio"] for stage in summary["stages"].values())}))


if __name__ == "__main__":
    main()
