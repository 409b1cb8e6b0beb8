"""Names in scripts with capitals: runs of capitalised words where a capital tells something.

In German, where every noun has a capital, a name is one that stands in no list and follows from no known word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from datagen.tasks.cloze import frequency
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.words import letters
from datagen.text.lexicon import (
    DASHES,
    ELISIONS,
    HONORIFICS,
    NO_NAMES,
    NUMBERED_PARTS,
    OPENERS,
    PARTICLES,
    TERMINATORS,
)
from datagen.text.scripts import HANGUL

NOUNS_WITH_CAPITALS = frozenset({"de"})
_ELISION = re.compile(ELISIONS, re.IGNORECASE)
_POSSESSIVE = re.compile(r"[’']s?$")
_APOSTROPHE = re.compile(r"[’']")
_AFTER_LATIN = re.compile(rf"(?<=[A-Za-z])[{HANGUL}]+$")  # a Korean particle
_ROMAN = re.compile(r"[IVXLCDM]+")
_AFTER_INITIAL = re.compile(r"\b(?:[A-Z]|Mrs?|Dr|St|MM?|Mme|Mlle|Prof|Rev|Capt)\.$")
NUMBERED = re.compile(r"[ \u00a0-]\d")  # a number that belongs to a name: "Core 2", "ISO 3166"
_DIGIT = re.compile(r"\d")
_ASCII_TOKEN = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z0-9]+)*")


@cache
def _token() -> re.Pattern[str]:
    word = f"[{letters()}]+"
    return re.compile(rf"{word}(?:[’']{word})*")


def tokens(shown: str) -> list[tuple[int, int]]:
    """Where words stand, with their elided articles and possessives; numbers are none."""
    pattern = _ASCII_TOKEN if shown.isascii() else _token()
    return [m.span() for m in pattern.finditer(shown) if not _DIGIT.search(m.group())]


def names(shown: str, code: str, doc: DocumentIndex) -> Iterator[tuple[int, int]]:
    """Where names stand in a sentence of this language."""
    run: list[tuple[int, int]] = []
    for start, end, expected in _capitalised(shown, code, doc):
        gap = shown[run[-1][1] : start] if run else ""
        initial = bool(run) and run[-1][1] - run[-1][0] == 1
        linked = gap == " " or (initial and gap == ". ") or (gap[:1] == gap[-1:] == " " and gap.strip() in PARTICLES)
        if run and (expected or not linked):
            yield from _name(shown, run, code, doc)
            run = []
        if not expected:
            run.append((start, end))
    if run:
        yield from _name(shown, run, code, doc)


def _capitalised(shown: str, code: str, doc: DocumentIndex) -> Iterator[tuple[int, int, bool]]:
    """Capitalised words, without elided article and possessive, and whether any word would have its capital there."""
    for token in tokens(shown):
        start, end = bare(shown, *token, code)
        if start < end and shown[start].isupper():
            lead = shown[:start].rstrip(OPENERS + DASHES + " ")
            between = shown[len(lead) : start]
            word = shown[start:end].casefold()
            opened = bool(between.strip(DASHES + " _*"))
            if re.fullmatch(" [-–—] ", between):  # what is explained, or an item of a list, begins there
                opened = frequency.is_known(word, code)
            expected = not lead or lead[-1] in TERMINATORS + ":" or "--" in between or opened
            if lead.endswith(".") and _AFTER_INITIAL.search(lead[-8:]):
                expected = opened
            expected = expected or word == "i" or (word in NO_NAMES and word in doc.common)
            yield start, end, expected


def bare(shown: str, start: int, end: int, code: str) -> tuple[int, int]:
    """A word's place without its elided article, its possessive and, in Turkish, what an apostrophe sets off."""
    if code == "ko" and (particle := _AFTER_LATIN.search(shown, start, end)):
        end = particle.start()
    if not _APOSTROPHE.search(shown, start, end):
        return start, end
    if elision := _ELISION.match(shown, start, end):
        start = elision.end()
    if possessive := _POSSESSIVE.search(shown, start, end):
        end = possessive.start()
    if code == "tr" and (apostrophe := _APOSTROPHE.search(shown, start, end)):
        end = apostrophe.start()
    return start, end


def _name(shown: str, run: list[tuple[int, int]], code: str, doc: DocumentIndex) -> Iterator[tuple[int, int]]:
    while run and shown[run[0][0] : run[0][1]].casefold() in HONORIFICS:
        run = run[1:]
    if code in NOUNS_WITH_CAPITALS:
        run = _without_nouns(shown, run, code)
    if not run:
        return
    parts = [shown[a:b] for a, b in run]
    start, end = run[0][0], run[-1][1]
    text, before, after = shown[start:end], shown[start - 1 : start], shown[end : end + 1]
    if (
        max(map(len, parts)) < 3
        or text.casefold() in NO_NAMES
        or parts[0].casefold() in NUMBERED_PARTS
        or _ROMAN.fullmatch(parts[0])
        or len(parts[0]) == len(parts[-1]) == 1
        or (len(parts[-1]) == 1 and parts[0].casefold() not in HONORIFICS)
        or (before == "_") != (after == "_")
        or NUMBERED.match(shown, end)
        or before in ("@", "#")
    ):
        return
    if any(p.isupper() and len(p) > 2 for p in parts) and (len(parts) > 1 or len(text) > 6):  # set in capitals
        return
    if len(parts) > 1 or text.casefold() not in doc.lower_case:
        yield start, end


def _without_nouns(shown: str, run: list[tuple[int, int]], code: str) -> list[tuple[int, int]]:
    """The run without the dictionary's nouns before and after a name."""

    def is_noun(place: tuple[int, int]) -> bool:
        word = shown[place[0] : place[1]]
        return word.isalpha() and frequency.is_familiar(word, code)

    while run and is_noun(run[0]):
        run = run[1:]
    while run and is_noun(run[-1]):
        run = run[:-1]
    return run
