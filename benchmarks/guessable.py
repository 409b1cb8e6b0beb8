"""Can blanks be filled without the document? Something that really guesses tries: a model of words in their context.

    python benchmarks/guessable.py [--quick] [--books FOLDER]

It is trained on other text in English: the docstrings of the standard library, and the books of FOLDER (plain text
files) but the one that is asked about. Texts that are asked about: Python's language reference, and each English book.

For a blank, the words seen after its left neighbours and before its right ones, and the most frequent words of the
language, are ranked by P(word | two words before) P(two words after | word), each backing off to shorter contexts
(Brants et al., 2007, "stupid backoff", 0.4) and to the frequencies of the library wordfreq.

every    names, numbers, identifiers, titles and nouns that stand in few chunks: what was asked before guessing counted
asked    those of them that `guessability` lets pass
left     those that it does not
top 1, top 5   the share that is filled right by the first guess, by one of five

The last line is one JSON object. A guesser of words knows less than a person: the rates are lower bounds, of use to
compare kinds and to see that what is left out is guessed more often.
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import re
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import wordfreq

from datagen.tasks.cloze import guessable, terms
from datagen.tasks.cloze.blanks import BLANK, blanked
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.languages import language
from datagen.tasks.cloze.sentences import prose_sentences
from datagen.tasks.cloze.words import show, words

BACKOFF = 0.4
FREQUENT = 3000  # words of the language that are always tried
BINS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.01)
QUICK = 400  # blanks of a text
EDGE = "\0"


class Blank(NamedTuple):
    """One word left out of a sentence."""

    left: list[str]
    right: list[str]
    word: str
    kind: str
    guess: float  # as estimated


class Guesser:
    """Counts of words next to each other, in text that is not asked about."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Count the words of the texts, their pairs and their triples."""
        self.grams: Counter[tuple[str, ...]] = Counter()
        self.after: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        self.before: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        self.words = 0
        for text in texts:
            spelled = words(text)
            self.words += len(spelled)
            for n in (1, 2, 3):
                self.grams.update(zip(*(spelled[i:] for i in range(n)), strict=False))
            for a, b in pairwise(spelled):
                self.after[a,].add(b)
                self.before[b,].add(a)
        self.frequent = wordfreq.top_n_list("en", FREQUENT)

    def five(self, blank: Blank) -> list[str]:
        """The five most likely words of a blank, the likeliest first."""
        tried = set(self.frequent) | self.after[blank.left[-1],] | self.before[blank.right[0],]
        scores = {word: self._score(blank, word) for word in tried}
        return sorted(scores, key=lambda word: (-scores[word], word))[:5]

    def _score(self, blank: Blank, word: str) -> float:
        after, beyond = blank.right
        return self._log((*blank.left, word)) + self._log((word, after)) + self._log((word, after, beyond))

    def _log(self, gram: tuple[str, ...]) -> float:
        """log of the probability of the last word after the others."""
        if len(gram) == 1:
            seen = self.grams[gram] / max(1, self.words)
            return math.log(0.5 * seen + 0.5 * (wordfreq.word_frequency(gram[0], "en") or 1e-9))
        whole, context = self.grams[gram], self.grams[gram[:-1]]
        return math.log(whole / context) if whole and context else math.log(BACKOFF) + self._log(gram[1:])


def chunks_of(text: str) -> list[str]:
    """Paragraphs, joined up to about a thousand characters."""
    found = [""]
    for paragraph in re.split(r"(?<=\n\n)", text.replace("\r", "")):
        if found[-1] and len(found[-1]) + len(paragraph) > 1000:
            found.append("")
        found[-1] += paragraph
    return found


def blanks(text: str) -> Iterator[Blank]:
    """Every name, number, identifier, title and noun of a text that stands in few of its chunks, if it is one word."""
    doc = DocumentIndex.build(chunks_of(text))
    for i, chunk in enumerate(doc.chunks):
        for sentence in prose_sentences(chunk, *doc.neighbours(i)):
            shown = show(sentence.text)
            for term in terms.proposed(shown, doc):
                asked, whole = words(term.text), blanked(shown, term.text)
                if len(asked) != 1 or whole is None or language(shown) != "en":
                    continue
                left, right = (words(side) for side in whole.split(BLANK))
                estimate = guessable.guessability(term.text, whole, "en")
                yield Blank([EDGE, EDGE, *left][-2:], [*right, EDGE, EDGE][:2], asked[0], term.kind, estimate)


def docstrings() -> str:
    """What the standard library says of itself."""
    found: list[str] = []
    warnings.simplefilter("ignore", DeprecationWarning)
    for name in sorted(sys.stdlib_module_names):
        if name.startswith("_") or name in {"antigravity", "this", "idlelib", "turtledemo"}:
            continue
        try:
            module = import_module(name)
        except (ImportError, OSError):  # of another platform, or not built
            continue
        for _, each in [
            ("", module),
            *inspect.getmembers(module, lambda m: inspect.isclass(m) or inspect.isroutine(m)),
        ]:
            if isinstance(doc := getattr(each, "__doc__", None), str):
                found.append(doc)
    return "\n\n".join(dict.fromkeys(found))


def rates(found: Sequence[tuple[Blank, list[str]]]) -> dict[str, float]:
    """How many blanks there are, and which shares are filled right."""
    n = max(1, len(found))
    return {
        "blanks": len(found),
        "top 1": round(sum(blank.word == five[0] for blank, five in found) / n, 4),
        "top 5": round(sum(blank.word in five for blank, five in found) / n, 4),
        "estimate": round(sum(blank.guess for blank, _ in found) / n, 4),
    }


def show_table(found: Sequence[tuple[Blank, list[str]]]) -> dict[str, dict[str, float]]:
    """Print a line for each group of blanks; all of them by name."""
    table = {
        "every": rates(found),
        "asked": rates([f for f in found if f[0].guess <= guessable.MOST]),
        "left": rates([f for f in found if f[0].guess > guessable.MOST]),
    }
    for kind in sorted({blank.kind for blank, _ in found}):
        table[f"asked {kind}"] = rates([f for f in found if f[0].kind == kind and f[0].guess <= guessable.MOST])
    for low, high in pairwise(BINS):
        table[f"{low:g} to {min(1.0, high):g}"] = rates([f for f in found if low <= f[0].guess < high])
    print(f"{'':18}{'blanks':>8}{'top 1':>8}{'top 5':>8}{'estimate':>10}")
    for name, row in table.items():
        print(f"{name:18}{row['blanks']:8}{row['top 1']:8.2%}{row['top 5']:8.2%}{row['estimate']:10.2f}")
    return table


def main() -> None:
    """Guess, and print how often it is right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"at most {QUICK} blanks of each text")
    parser.add_argument("--books", type=Path, help="a folder of plain text files in UTF-8 or Latin-1")
    args = parser.parse_args()
    from pydoc_data.topics import topics  # the language reference, large

    asked_about = {"reference": "\n\n".join(topics[name] for name in sorted(topics))}
    for path in sorted(args.books.glob("*.txt")) if args.books else []:
        encoding = "latin-1" if "latin1" in path.name else "utf-8-sig"
        text = path.read_text(encoding=encoding)
        if language(text[len(text) // 2 :][:2000]) == "en":
            asked_about[path.stem] = text
    if len(asked_about) == 1:
        print("no English book in --books FOLDER: only the language reference is asked about")
    manuals, found = docstrings(), []
    for name, text in asked_about.items():
        guesser = Guesser(
            [manuals, *(other for title, other in asked_about.items() if title not in (name, "reference"))]
        )
        of_text = list(blanks(text))
        of_text = of_text[:: max(1, len(of_text) // QUICK)] if args.quick else of_text
        print(f"{name}: {len(of_text)} blanks, guessed from {guesser.words:,} words of other text")
        found += [(blank, guesser.five(blank)) for blank in of_text]
    print(json.dumps(show_table(found)))


if __name__ == "__main__":
    main()
