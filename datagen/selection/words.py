"""Runs of words as 64-bit hashes, and sets of them. A few nanoseconds a character: it goes over whole corpora.

Words are compared without their case, punctuation and spacing; a character of a script without spaces counts as one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from datagen.text.scripts import UNSPACED

APART, WITHIN, ALONE = 0, 1, 2  # what a character is: between words, part of one, or a word of its own
BASE = np.uint64(0x9E3779B97F4A7C15)
MOST_BITS = 27  # that a set's bit array is indexed by


@dataclass(frozen=True)
class Words:
    """The words of a text: their hashes, (n_words,) uint64, and where each stands in the folded text."""

    text: str
    hashes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.hashes)

    def show(self, at: int, n: int) -> str:
        """n words from a word on, as compared."""
        spans = zip(self.starts[at : at + n].tolist(), self.ends[at : at + n].tolist(), strict=True)
        return " ".join(self.text[start:end] for start, end in spans)


def read(text: str) -> Words:
    """The words of a text, as they are compared."""
    text = unicodedata.normalize("NFKC", text).casefold()
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds, numbers = _characters()
    kind = kinds[codes]
    before = np.append(np.uint8(APART), kind)[:-1]
    begins = (kind != APART) & ((before == APART) | (kind == ALONE) | (before == ALONE))
    inside = np.flatnonzero(kind != APART)
    first = np.flatnonzero(begins[inside])
    if not len(first):
        return Words(text, np.zeros(0, np.uint64), first, first)
    lengths = np.diff(first, append=len(inside))
    within = np.arange(len(inside)) - np.repeat(first, lengths)
    powers = np.cumprod(np.full(lengths.max(), BASE))
    hashes = np.add.reduceat(numbers[codes[inside]] * powers[within], first)
    return Words(text, hashes, inside[first], inside[first + lengths - 1] + 1)


def runs(words: Words, longest: int) -> Iterator[np.ndarray]:
    """The hashes of all runs of 1, 2, … `longest` words, (n_words - length + 1,) each, as long as there are any."""
    found = np.zeros(len(words) + 1, np.uint64)
    for length in range(1, min(longest, len(words)) + 1):
        found = found[:-1] * BASE + words.hashes[length - 1 :]
        yield found


@cache
def _characters() -> tuple[np.ndarray, np.ndarray]:
    """(0x110000,) what each character is, and a number for it that looks drawn at random (splitmix64)."""
    characters = [chr(code) for code in range(0x110000)]
    kinds = np.array([c.isalnum() or unicodedata.category(c)[0] == "M" for c in characters], np.uint8)
    kinds[[m.start() for m in re.finditer(f"[{UNSPACED}]", "".join(characters))]] = ALONE
    numbers = np.arange(1, 0x110001, dtype=np.uint64) * BASE
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return kinds, numbers ^ (numbers >> np.uint64(31))


@dataclass(frozen=True)
class Sets:
    """A set of hashes for each of some files; a bit array over all of them answers most lookups."""

    sets: list[np.ndarray]  # each ascending
    seen: np.ndarray
    shift: np.uint64

    def find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of (n,) hashes are in a set, as ascending positions, and for each the first set that has it."""
        which = np.flatnonzero(self.seen[hashes >> self.shift])
        files = np.full(len(which), -1)
        for file, known in enumerate(self.sets):
            at = np.searchsorted(known, hashes[which])
            there = at < len(known)
            there[there] = known[at[there]] == hashes[which[there]]
            files[there & (files < 0)] = file
        return which[files >= 0], files[files >= 0]


def sets(parts: Sequence[Sequence[np.ndarray]]) -> Sets:
    """The sets of these hashes, which come in parts for each file."""
    found = [np.unique(np.concatenate([np.zeros(0, np.uint64), *of_file])) for of_file in parts]
    bits = min(MOST_BITS, sum(map(len, found)).bit_length() + 3)
    shift = np.uint64(64 - bits)
    seen = np.zeros(1 << bits, bool)
    for hashes in found:
        seen[hashes >> shift] = True
    return Sets(found, seen, shift)
