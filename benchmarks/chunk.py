"""Our splitter against langchain's RecursiveCharacterTextSplitter with the same tokenizer, and against tokenizing once.

    python benchmarks/chunk.py [same] [speed] [sizes] [--tokenizer NAME] [--quick]

same    the chunks of real documents, and of random texts made to be awkward. Where langchain's chunk is over the limit
        (it leaves a piece without separators whole, and does not count again what it has put together), ours must be
        parts of it, within the limit; all by the published splitter's places
speed   the documents one by one on one core, by the published splitter's places (ours) and our own (default);
        then all of them in a pool of two processes, as the stage `chunk` has it, against langchain in one process (it
        has no way to use a second) and in the same pool
sizes   from 0.1 to 30 million characters of the standard library's source: cost per character, memory; the same for our
        own places, and for runs of marks and of white space

NAME is `embedded`, `tiktoken` (cl100k's pattern, the embedded tokens), `hf` (a byte-level BPE of 32,000 tokens with
Qwen2's pattern, trained here), or as in chunk.tokenizer; without it, the first three. `own` is langchain from its own
constructor, `from_tiktoken_encoder` or `from_huggingface_tokenizer`. Times on one core are processor time; those of the
pool are both that and the clock's, which says little on a machine that has other work (`load`). The books are those in
../shared/data/books, if there.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import random
import re
import sysconfig
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tiktoken
import tiktoken.registry
from langchain_text_splitters import RecursiveCharacterTextSplitter, TextSplitter
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Fast

from datagen.executors.local import pin_threads, pool
from datagen.text.splitter import SEPARATORS, split
from datagen.text.tokenizers import EMBEDDED_FILE, EMBEDDED_PATTERN, Tokenizer, from_encoding, load, read_ranks

LIMIT = 512
RUNS = {"full stops": ".", "lines": "\n", "closed": ')." ', "comments": "x).\n"}
SIZES, QUICK_SIZES = (0.1, 0.3, 1, 3, 10, 30), (0.1, 0.3, 1)  # million characters
BOOKS = {"news-from-nowhere.txt": "utf-8", "entre-nous.fr.txt": "utf-8", "dickens-and-music.latin1.txt": "latin-1"}
FOLDER = Path(__file__).parents[2] / "shared" / "data" / "books"
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
CL100K += r"|\s+(?!\S)|\s"
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
HOSTILE = {
    "no separators": ("a", "Word", "0123456789", "_", "漢", "é", "ñandú"),
    "only separators": SEPARATORS,
    "CJK": ("漢字", "かな", "한글", "。", "，", "！", "「", "」", "\u3000", "\n", "ｶﾞ"),
    "emoji": ("👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "😀", " ", "\n", ". ", "\ufe0f"),
    "CRLF": ("\r\n", "\r\n\r\n", "\r", "word", " and", ". ", ".\r\n", "\t", "\n"),
    "combining marks": ("e\u0301", "\u0301", "\u0338", "=\u0338", "a", " ", ", ", "ガ\u3099", "\n", "ṩ\u0323"),
    "anything": (*"\x00\x1c\x85\u2028\u200b", "'s", "it's", "  ", " " * 40, "z" * 60, "!?", "\n\n", ", "),
}


def documents() -> dict[str, str]:
    """The books, Python's language reference, and the largest modules of the standard library."""
    texts = {name: (FOLDER / name).read_text(encoding=e) for name, e in BOOKS.items() if (FOLDER / name).exists()}
    return texts | {"language reference": reference()} | {p.name: p.read_text(encoding="utf-8") for p in modules()[:24]}


def reference() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(inspect.cleandoc(topics[name]) for name in sorted(topics))


def modules() -> list[Path]:
    paths = Path(sysconfig.get_path("stdlib")).glob("*.py")
    return sorted(paths, key=lambda path: (-path.stat().st_size, path.name))


def long_text(size: float) -> str:
    """So many million characters of the standard library's source, with the language reference before it."""
    library = Path(sysconfig.get_path("stdlib"))
    parts, wanted = [reference()], int(size * 1e6)
    for path in sorted(library.rglob("*.py")):
        if sum(map(len, parts)) >= wanted:
            break
        if "site-packages" not in path.parts:
            parts.append(path.read_text(encoding="utf-8", errors="replace"))
    text = "\n\n".join(parts)
    return (text * (wanted // len(text) + 1))[:wanted]


def train(folder: Path) -> str:
    """The name of a tokenizer of the kind that most models have now."""
    fast = Fast(models.BPE())
    fast.normalizer = normalizers.NFC()
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=32_000, initial_alphabet=alphabet, show_progress=False, special_tokens=[])
    fast.train_from_iterator([long_text(6), *documents().values()], trainer)
    fast.save(str(folder / "tokenizer.json"))
    return f"hf:{folder / 'tokenizer.json'}"


@cache
def tokenizer_of(spec: str) -> Tokenizer:
    return from_encoding("tiktoken", encoding_of(spec)) if spec == "tiktoken" else load(spec)


@cache
def encoding_of(spec: str) -> tiktoken.Encoding:
    """The tiktoken.Encoding behind a tokenizer, known to tiktoken by its name, too."""
    if spec.startswith("tiktoken:"):
        return tiktoken.get_encoding(spec.removeprefix("tiktoken:"))
    pattern = CL100K if spec == "tiktoken" else EMBEDDED_PATTERN
    ranks = read_ranks(EMBEDDED_FILE.read_bytes())
    special = {"<|endoftext|>": len(ranks)}  # as all have; without one, `encode` is slow
    encoding = tiktoken.Encoding(spec, pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    tiktoken.registry.ENCODINGS[spec] = encoding
    return encoding


@cache
def own(spec: str) -> TextSplitter:
    """langchain's splitter from the constructor that it has for this kind of tokenizer."""
    if spec.startswith("hf:"):
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        name = spec.removeprefix("hf:")
        from_file = Path(name).is_file()
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=name) if from_file else AutoTokenizer.from_pretrained(name)
        return RecursiveCharacterTextSplitter.from_huggingface_tokenizer(tokenizer, **settings(LIMIT))
    name = encoding_of(spec).name
    return RecursiveCharacterTextSplitter.from_tiktoken_encoder(encoding_name=name, **settings(LIMIT))


def langchain(spec: str, limit: int = LIMIT) -> RecursiveCharacterTextSplitter:
    """langchain's splitter with the tokenizer that ours has."""
    count = tokenizer_of(spec).count
    return RecursiveCharacterTextSplitter(length_function=lambda text: count([text])[0], **settings(limit))


def settings(limit: int = LIMIT) -> dict[str, Any]:
    return {"separators": list(SEPARATORS), "chunk_size": limit, "chunk_overlap": 0}


def ours(spec: str, text: str, limit: int = LIMIT, published: bool = True) -> list[str]:
    """Our chunks, at the published splitter's places or at our own."""
    return [text[s.start : s.end] for s in split(text, tokenizer_of(spec), limit, published)]


# same -----------------------------------------------------------------------------------------------------------------


def same(spec: str, quick: bool) -> dict[str, Any]:
    books = Counter[str]()
    for name, text in documents().items():
        found = compare(spec, text, LIMIT) + compare(spec, text, 64)
        print(f"  {name:32} {len(text):>10,} characters  {dict(found)}")
        books += found
    awkward = Counter[str]()
    rng = random.Random(0)
    for kind, pieces in HOSTILE.items():
        found = Counter[str]()
        for _ in range(30 if quick else 300):
            mixed = pieces if rng.random() < 0.7 else (*pieces, *HOSTILE["anything"], *SEPARATORS)
            text = "".join(rng.choices(mixed, k=rng.randrange(300)))
            found += compare(spec, text, rng.randrange(16, 64)) + Counter(texts=1)
        print(f"  {kind:32} {dict(found)}")
        awkward += found
    return {
        "chunks_of_documents": {kind: books[kind] for kind in ("same", "parted", "different")},
        "chunks_of_hostile_texts": {kind: awkward[kind] for kind in ("texts", "same", "parted", "different")},
    }


def compare(spec: str, text: str, limit: int) -> Counter[str]:
    """How many of langchain's chunks are ours, too; are over the limit, and parted by us; and are neither."""
    mine, count, found = iter(ours(spec, text, limit)), tokenizer_of(spec).count, Counter[str]()
    for chunk in langchain(spec, limit).split_text(text):
        if chunk.isspace():
            continue  # no chunk of ours
        if count([chunk])[0] <= limit:
            found["same" if next(mine, None) == chunk else "different"] += 1
            continue
        left = "".join(chunk.split())
        while left and (part := "".join(next(mine, "").split())) and left.startswith(part):
            left = left[len(part) :]
        found["different" if left else "parted"] += 1
    found["different"] += sum(1 for _ in mine)
    return found


# speed ----------------------------------------------------------------------------------------------------------------


def speed(spec: str, quick: bool) -> dict[str, Any]:
    texts = documents()
    rows = {}
    for name, text in texts.items():
        peer, theirs = langchain(spec), own(spec)
        seconds = best_of(
            1 if quick else 3,
            {
                "once": lambda text=text: tokenizer_of(spec).count([text]),
                "ours": lambda text=text: ours(spec, text),
                "default": lambda text=text: ours(spec, text, published=False),
                "langchain": lambda text=text, peer=peer: peer.split_text(text),
                "own": lambda text=text, theirs=theirs: theirs.split_text(text),
            },
        )
        rows[name] = seconds
        show(name, rows[name])
    total = {key: sum(row[key] for row in rows.values()) for key in next(iter(rows.values()))}
    show("all", total)
    pooled = on_two_cores(spec, list(texts.values()), 1 if quick else 3)
    for name, (seconds, processor) in pooled.items():
        print(f"  {name:32} {seconds:8.4f} s, processor time {processor:8.4f} s")
    mine = pooled["ours, two processes"]
    against = {name: [round(t / m, 2) for t, m in zip(pooled[name], mine, strict=True)] for name in pooled}
    return {
        "ratio": against["langchain, one process"][0],
        "ratio_by_processor_time": against["langchain, one process"][1],
        "to_langchain_on_two_cores": against["langchain, two processes"],
        "to_langchains_own_on_one_core": against["own, one process"],
        "to_langchains_own_on_two_cores": against["own, two processes"],
        "per_core": round(total["langchain"] / total["ours"], 2),
        "per_core_least": min(round(row["langchain"] / row["ours"], 2) for row in rows.values()),
        "times_tokenizing_once": round(total["ours"] / total["once"], 2),
        "default_times_tokenizing_once": round(total["default"] / total["once"], 2),
        "times_tokenizing_once_most": max(round(row["ours"] / row["once"], 2) for row in rows.values()),
        "mchars_of_documents": round(sum(map(len, texts.values())) / 1e6, 2),
    }


def show(name: str, seconds: Mapping[str, float]) -> None:
    times = "  ".join(f"{key} {s:8.4f}" for key, s in seconds.items())
    ratios = f"ratio {seconds['langchain'] / seconds['ours']:6.2f}  times once {seconds['ours'] / seconds['once']:5.2f}"
    print(f"  {name:32} {times}  {ratios}", flush=True)


def best_of(rounds: int, functions: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The least processor time of each, in seconds; they take turns, so that a busy machine is busy for all."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.process_time()
            function()
            seconds[name].append(time.process_time() - start)
    return {name: min(times) for name, times in seconds.items()}


def on_two_cores(spec: str, texts: list[str], rounds: int) -> dict[str, tuple[float, float]]:
    """For each way the least seconds from handing over the first text to the last one's end, and of processor time.

    That is the processor time of the process that had most to do: what the former would be, were nothing else to run.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    with pool(2) as in_two:
        ways = {"two processes": in_two, "one process": lambda work, items: map(work, items)}
        for who in ("ours", "langchain", "own"):
            list(in_two(work, [(who, spec, text[:10_000]) for text in texts]))  # both have started, and loaded
        for _ in range(rounds):
            for who, way in product(("ours", "langchain", "own"), ways):
                busy = Counter[int]()
                start = time.perf_counter()
                for process, seconds in ways[way](work, [(who, spec, text) for text in texts]):
                    busy[process] += seconds
                found.setdefault(f"{who}, {way}", []).append((time.perf_counter() - start, max(busy.values())))
    return {name: (min(t for t, _ in times), min(t for _, t in times)) for name, times in found.items()}


def work(item: tuple[str, str, str]) -> tuple[int, float]:
    """Split a text (where it was handed to: chunks stay there). The process, and its seconds of processor time."""
    who, spec, text = item
    start = time.process_time()
    if who == "ours":
        ours(spec, text)
    else:
        (langchain(spec) if who == "langchain" else own(spec)).split_text(text)
    return os.getpid(), time.process_time() - start


# sizes ----------------------------------------------------------------------------------------------------------------


def sizes(spec: str, quick: bool) -> dict[str, Any]:
    rows = []
    for size in QUICK_SIZES if quick else SIZES:
        text = long_text(size)
        functions = {
            "once": lambda text=text: tokenizer_of(spec).count([text]),
            "ours": lambda text=text: ours(spec, text),
            "default": lambda text=text: ours(spec, text, published=False),
            **{
                name: lambda run=run, text=text: ours(spec, (run * len(text))[: len(text)], published=False)
                for name, run in RUNS.items()
            },
        }
        seconds = best_of(1 if size > 2 else 5, functions)
        with get_context("spawn").Pool(1) as process:
            megabytes = process.apply(memory, (spec, size))
        rows.append(
            {
                "mchars": size,
                **{name: round(s, 4) for name, s in seconds.items()},
                "times_once": round(seconds["ours"] / seconds["once"], 2),
                "ns_per_char": round(seconds["ours"] / len(text) * 1e9, 1),
                "default_ns_per_char": round(seconds["default"] / len(text) * 1e9, 1),
                "memory_mb": megabytes,
            }
        )
        if len(rows) == 1:
            print("  ".join(f"{name:>12}" for name in rows[0]))
        print("  ".join(f"{value!s:>12}" for value in rows[-1].values()), flush=True)
    return {
        "mchars": [row["mchars"] for row in rows],
        "ns_per_char": [row["ns_per_char"] for row in rows],
        "memory_mb": [row["memory_mb"] for row in rows],
        "default_ns_per_char": [row["default_ns_per_char"] for row in rows],
        "growth_per_char": round(rows[-1]["ns_per_char"] / rows[0]["ns_per_char"], 2),
        "default_growth_per_char": round(rows[-1]["default_ns_per_char"] / rows[0]["default_ns_per_char"], 2),
    }


def memory(spec: str, size: float) -> float | None:
    """MB that splitting adds to the peak of the process that runs this; None where there is no /proc."""
    pin_threads()
    text = long_text(size)
    ours(spec, text[:10_000])
    before = peak(anew=True)
    split(text, tokenizer_of(spec), LIMIT)
    return None if before is None else round((peak() or before) - before, 1)


def peak(anew: bool = False) -> float | None:
    """This process's largest resident set, in MB, since its start or since it was last looked at anew."""
    process = Path("/proc/self")
    if not process.exists():
        return None
    if anew:
        (process / "clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
    return int(found[1]) / 1024 if found else None


def main() -> None:
    parts = {"same": same, "speed": speed, "sizes": sizes}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="same | speed | sizes", choices=[*parts, []])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and texts, up to 1 million characters")
    parser.add_argument("--tokenizer", help="embedded, tiktoken, hf, or as in chunk.tokenizer; else the first three")
    args = parser.parse_args()

    pin_threads()  # as in a worker process
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        for name in [args.tokenizer] if args.tokenizer else ["embedded", "tiktoken", "hf"]:
            spec = train(Path(folder)) if name == "hf" else name
            found[name] = {}
            for part in args.parts or parts:
                print(f"{name}: {part}")
                found[name] |= parts[part](spec, args.quick)
    ratios = [figures["ratio"] for figures in found.values() if "ratio" in figures]
    summary = {
        "benchmark": "chunk",
        "ratio": min(ratios, default=None),
        "ratio_is": "langchain's time in one process to ours in two, for the same documents and tokenizer; the least",
        "pairs_are": "by the clock, by processor time",
        **found,
        "load": [round(load, 1) for load in os.getloadavg()],
        "max_tokens": LIMIT,
        "versions": {name: version(name) for name in ("langchain-text-splitters", "tiktoken", "tokenizers", "numpy")},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
