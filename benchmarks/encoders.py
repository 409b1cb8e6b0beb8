"""How well encoders tell the parts of a document apart, in many languages: the chapter test.

    python benchmarks/encoders.py [--quick] [--handbook DIR] [--languages zh-CN ru-RU …] [--encoders embedded minilm …]
      [--tokens N]

The Debian Administrator's Handbook is one book in many languages (the package debian-handbook, which is downloaded with
apt-get unless --handbook names the folder of its `html`). Each chapter's paragraphs are cut into chunks by this
package's splitter, of at most --tokens each, 512 as the pipeline's default; 0 takes every paragraph of 150 characters
(60 of Chinese, Japanese and Korean) by itself. The share is that of the chunks whose nearest neighbour in the book, by
cosine similarity, is from their own chapter; with its 95 % interval (Wilson 1927). Chance is what a neighbour drawn at
random would have.

A paragraph counts if at least 30 % of its letters are in the language's own script, or, where that is Latin, if it is
no paragraph of the English book: much of a translation may not be translated. A language with fewer than 80 chunks is
left out, and named. Each encoder runs in a process of its own, on one thread, for its peak memory. Besides the share:
that among the chunks more than three away in the text; that where the chunks came in a random order, of which the
embedded encoder, which learns from their order, makes less; the mean cosine similarity of chunks of one chapter and of
two; and chunks a second.

The last line is {language: {encoder: share}}. The full run does chunks of 512 and 160 tokens and single paragraphs, of
which the last line has the first.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

LANGUAGES = ["en-US", "zh-CN", "ru-RU", "ar-MA", "ja-JP", "de-DE", "fr-FR", "es-ES", "fa-IR", "it-IT"]
LANGUAGES += ["pl-PL", "cs-CZ", "tr-TR", "vi-VN", "ko-KR", "el-GR"]
QUICK = ["en-US", "zh-CN", "ru-RU"]
SCRIPTS = {"ar": "ARABIC", "fa": "ARABIC", "ru": "CYRILLIC", "el": "GREEK", "ko": "HANGUL"}
SCRIPTS |= {"zh": ("CJK",), "ja": ("CJK", "HIRAGANA", "KATAKANA")}
DENSE = ("zh", "ja", "ko")
OWN, FEWEST = 0.3, 80  # share of letters in the own script; chunks of a language
AWAY = 3  # chunks
SHORTEST = {True: 60, False: 150}  # characters of a single paragraph, by whether its script is dense


class Book(NamedTuple):
    """Chunks of one translation, and the chapter of each."""

    texts: list[str]
    chapters: list[str]


class Figures(NamedTuple):
    """What an encoder makes of one translation."""

    share: float
    far: float  # share of the nearest more than AWAY chunks off
    shuffled: float  # share where the chunks came in a random order
    same: float  # mean cosine similarity of chunks of one chapter
    other: float
    rate: float  # chunks a second


def main() -> None:
    """Measure, and print a table for each size."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three languages, one size")
    parser.add_argument("--handbook", type=Path, help="the folder with a folder for each language")
    parser.add_argument("--languages", nargs="+")
    parser.add_argument("--encoders", nargs="+", default=["embedded", "minilm"])
    parser.add_argument("--tokens", type=int)
    args = parser.parse_args()
    sizes = [args.tokens] if args.tokens is not None else [512] if args.quick else [512, 160, 0]
    with tempfile.TemporaryDirectory() as folder:
        handbook = args.handbook or downloaded(Path(folder))
        languages = args.languages or (QUICK if args.quick else LANGUAGES)
        pages = {language: paragraphs(handbook / language) for language in {"en-US", *languages}}
    results = [measured(pages, languages, size, args.encoders) for size in sizes]
    print(json.dumps(results[0]))


def downloaded(folder: Path) -> Path:
    """The handbook from Debian's package."""
    try:
        subprocess.run(["apt-get", "download", "debian-handbook"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (package,) = folder.glob("debian-handbook*.deb")
        subprocess.run(["dpkg", "-x", package, folder / "unpacked"], check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        sys.exit(f"the Debian package debian-handbook cannot be had ({e}): unpack it elsewhere, and give --handbook")
    return folder / "unpacked/usr/share/doc/debian-handbook/html"


def paragraphs(folder: Path) -> list[tuple[str, str]]:
    """(chapter, text) of every paragraph of a translation, in order."""
    from selectolax.lexbor import LexborHTMLParser

    found = []
    for file in sorted(folder.glob("sect.*.html")):
        page = LexborHTMLParser(file.read_text(encoding="utf-8"))
        above = page.css_first("link[rel=up]")
        chapter = (above.attributes.get("href") or "") if above else ""
        if chapter and not chapter.startswith(("sect", "index")):
            found += [(chapter, " ".join(node.text().split())) for node in page.css("div.para")]
    return found


def book(language: str, pages: dict[str, list[tuple[str, str]]], tokens: int) -> Book:
    """The chunks of the paragraphs that are in this language."""
    from datagen.text import splitter, tokenizers

    english = {text for _, text in pages["en-US"]} if language != "en-US" else set()
    chapters: dict[str, list[str]] = {}
    for chapter, text in dict.fromkeys(pages[language]):
        script = SCRIPTS.get(language[:2])
        if own_share(text, script) >= OWN if script else text not in english:
            chapters.setdefault(chapter, []).append(text)
    dense = language.startswith(DENSE)
    tokenizer = tokenizers.load("embedded")
    pieces: list[tuple[str, str]] = []
    for chapter, texts in chapters.items():
        if tokens:
            whole = "\n\n".join(texts)
            pieces += [(whole[span.start : span.end], chapter) for span in splitter.split(whole, tokenizer, tokens)]
        else:
            pieces += [(text, chapter) for text in texts if len(text) >= SHORTEST[dense]]
    return Book([text for text, _ in pieces], [chapter for _, chapter in pieces])


def own_share(text: str, script: str | tuple[str, ...]) -> float:
    """The share of the letters that are of a script."""
    letters = [c for c in text if c.isalpha()]
    return sum(unicodedata.name(c, "").startswith(script) for c in letters) / max(1, len(letters))


def measured(
    pages: dict[str, list[tuple[str, str]]], languages: list[str], tokens: int, encoders: list[str]
) -> dict[str, dict[str, float]]:
    """A table for one size of chunks, printed; its shares."""
    books = {language: book(language, pages, tokens) for language in languages}
    few = {language: len(books[language].texts) for language in languages if len(books[language].texts) < FEWEST}
    books = {language: found for language, found in books.items() if language not in few}
    print(f"\n{f'chunks of at most {tokens} tokens' if tokens else 'single paragraphs'}")
    if few:
        print(f"fewer than {FEWEST}, left out: {', '.join(f'{language} ({n})' for language, n in few.items())}")
    shares: dict[str, dict[str, float]] = {language: {} for language in books}
    for name in encoders:
        with multiprocessing.get_context("spawn").Pool(1) as alone:
            found, memory = alone.apply(encoder_figures, (name, books))
        rate = len(books) / sum(1 / each.rate for each in found.values())
        print(f"\n{name}: {rate:,.0f} chunks/s on one thread, at most {memory / 1e6:,.0f} MB")
        heads = f"{'far':>8}{'shuffled':>10}{'cosine same':>13}{'other':>8}"
        print(f"  {'':7}{'chunks':>7}{'chance':>8}{'share':>8}{'95 % interval':>17}{heads}")
        for language, each in found.items():
            n = len(books[language].texts)
            low, high = wilson(each.share, n)
            chance = sum(k * (k - 1) for k in Counter(books[language].chapters).values()) / (n * (n - 1))
            interval = f"{low:.1%} to {high:.1%}"
            cosines = f"{each.same:>13.2f}{each.other:>8.2f}"
            shown = f"{chance:>8.1%}{each.share:>8.1%}{interval:>17}{each.far:>8.1%}{each.shuffled:>10.1%}"
            print(f"  {language:7}{n:>7}{shown}{cosines}", flush=True)
            shares[language][name] = round(each.share, 4)
    return shares


def encoder_figures(name: str, books: dict[str, Book]) -> tuple[dict[str, Figures], float]:
    """What an encoder makes of each book, and the peak memory of this process in bytes."""
    from datagen.config.data import EmbedConfig
    from datagen.embed import encoder

    settings = EmbedConfig(model=name, device="cpu")
    with threadpool_limits(1):
        encoder.encode_documents({"": ["What is loaded first is not timed."] * 4}, settings)
        found = {}
        for language, (texts, chapters) in books.items():
            start = time.perf_counter()
            vectors = encoder.encode_documents({language: texts}, settings)[language][0].astype(np.float32)
            seconds = time.perf_counter() - start
            similar = vectors @ vectors.T
            apart = ~np.eye(len(texts), dtype=bool)
            at = np.arange(len(texts))
            same = np.array(chapters)[:, None] == np.array(chapters)
            share = nearest_share(similar, same, apart)
            far = nearest_share(similar, same, np.abs(at[:, None] - at) > AWAY)
            shuffled = share
            if name == "embedded":
                mixed = np.random.default_rng(0).permutation(len(texts))
                again = encoder.encode_documents({language: [texts[i] for i in mixed]}, settings)[language][0]
                again = again.astype(np.float32)
                shuffled = nearest_share(again @ again.T, same[np.ix_(mixed, mixed)], apart)
            means = float(similar[same & apart].mean()), float(similar[~same].mean())
            found[language] = Figures(share, far, shuffled, *means, len(texts) / seconds)
    return found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def nearest_share(similar: np.ndarray, same: np.ndarray, counts: np.ndarray) -> float:
    """The share of the chunks whose nearest, of those that count, is from their own chapter; all are (n, n)."""
    nearest = np.where(counts, similar, -2).argmax(axis=1)
    return float(same[np.arange(len(same)), nearest].mean())


def wilson(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share of n (Wilson 1927)."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


if __name__ == "__main__":
    main()
