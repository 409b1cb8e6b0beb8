"""Distinctive terms of a sentence: names, titles, numbers, identifiers and rare nouns, each fit to be blanked.

Terms are found in the sentence as shown on one line; their places are characters of that line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from datagen.tasks.cloze.blanks import blanked
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.words import is_unspaced, words
from datagen.text.lexicon import (
    ADJECTIVE_ENDING,
    AFTER_NOUN,
    CLITIC_HOSTS,
    CLITICS,
    DASHES,
    ELISIONS,
    HONORIFICS,
    NO_NAMES,
    NO_NOUNS,
    NUMBERED_PARTS,
    OPENERS,
    PARTICLES,
    TERMINATORS,
    UNSPACED,
    VERB_ENDING,
    WEAK_ENDING,
)

MAX_CHUNKS = {"title": 4, "identifier": 4, "name": 4, "number": 4, "noun": 3, "word": 1}
MAX_TERM_CHARS = 60

_TOKEN = re.compile(rf"[^\W\d_{UNSPACED}]+(?:[’'][^\W\d_{UNSPACED}]+)*")
_ELISION = re.compile(ELISIONS)
_POSSESSIVE = re.compile(r"[’']s?$")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_IDENTIFIER = re.compile(r"(?<![\w.])[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*(?!\w)")
_CAMEL = re.compile(r"[a-z][A-Z]")
_ROMAN = re.compile(r"[IVXLCDM]+")
_WEAK, _VERB, _ADJECTIVE = re.compile(WEAK_ENDING), re.compile(VERB_ENDING), re.compile(ADJECTIVE_ENDING)
_AFTER_INITIAL = re.compile(r"\b(?:[A-Z]|Mrs?|Dr|St|MM?|Mme|Mlle|Prof|Rev|Capt)\.$")
_MARKED = re.compile(
    r"(?<![\w’'])['‘](?=\w)([^'‘’\"]{3,60}?)[,.]?['’](?!\w)|\"([^\"]{3,60}?)[,.]?\"|“([^”“]{3,60}?)[,.]?”|"
    r"«[ \u00a0\u202f]?([^«»]{3,60}?)[ \u00a0\u202f]?»|(?<![\w\"'`_])_(?=[^\W_])([^_]{3,60}?)_(?!\w)|"
    r"「([^「」]{2,16})」|《([^《》]{2,20})》|『([^『』]{2,16})』"
)
_UNSPACED_GROUPS = 6  # the first group of `_MARKED` that belongs to a script without spaces
_COUNTED = re.compile(  # what a number after it only points at
    r"(?:\b(?:pp?|pages?|chap|chapters?|fig|figure|vol|volume|no|section|chapitre|version|table|step)|[§°º])\.?\s*$",
    re.IGNORECASE,
)


class Term(NamedTuple):
    """`shown[start:end] == text`."""

    text: str
    start: int
    end: int
    kind: str
    chunks: int  # in how many chunks of the document it stands


def find(shown: str, doc: DocumentIndex) -> list[Term]:
    """The sentence's distinctive terms, each standing once in it and in few chunks of the document."""
    found: list[Term] = []
    for kind, start, end in _proposed(shown, doc):
        text = shown[start:end]
        if len(text) > MAX_TERM_CHARS or ";" in text or any(start < t.end and t.start < end for t in found):
            continue
        phrase = words(text)
        if all(w in doc.common for w in phrase) or blanked(shown, text) is None:
            continue
        if 1 <= (chunks := doc.chunks_with(phrase)) <= MAX_CHUNKS[kind]:
            found.append(Term(text, start, end, kind, chunks))
    return found


def _proposed(shown: str, doc: DocumentIndex) -> Iterator[tuple[str, int, int]]:
    """Places worth a blank, as (kind, start, end), the better kinds first."""
    yield from _titles(shown)
    yield from _identifiers(shown)
    yield from _names(shown, doc)
    yield from _numbers(shown)
    yield from _nouns(shown, doc)


def _titles(shown: str) -> Iterator[tuple[str, int, int]]:
    """What stands between quotation or emphasis marks and is capitalised throughout, as titles are."""
    for match in _MARKED.finditer(shown):
        group = match.lastindex or 0
        parts = [w for w in _TOKEN.findall(match[group]) if w.casefold() not in PARTICLES]
        capitals = sum(w[0].isupper() for w in parts)
        as_titles_are = (
            2 <= len(parts) <= 7 and max(map(len, parts)) > 2 and parts[0][0].isupper() and capitals >= 0.7 * len(parts)
        )
        if group >= _UNSPACED_GROUPS or (as_titles_are and not re.search(r"[!?;:,_()]", match[group])):
            yield "title", match.start(group), match.end(group)


def _identifiers(shown: str) -> Iterator[tuple[str, int, int]]:
    for match in _IDENTIFIER.finditer(shown):
        name, start, end = match.group(), match.start(), match.end()
        inner = name.strip("_")
        emphasis = name.startswith("_") and name.endswith("_") and not name.startswith("__")
        if len(inner) < 3 or (inner.isalpha() and shown[start - 1 : start].isspace() and not _CAMEL.search(inner)):
            continue
        if emphasis or min(map(len, inner.split("."))) < 2:
            continue
        fence = shown[max(0, start - 2) : start]
        fenced = fence[-1:] in tuple('"`') or fence in ("\"'", "`'")
        fenced = fenced and shown[end : end + 1] in tuple("\"`'(")
        telling = "_" in name or _CAMEL.search(name) or shown[end : end + 1] == "("
        if telling and (fenced or "." not in name):
            yield "identifier", start, end
        elif fenced and name.islower():  # a keyword, a value; in other books, a word that someone quotes
            yield ("identifier" if "." in name else "noun"), start, end


def _names(shown: str, doc: DocumentIndex) -> Iterator[tuple[str, int, int]]:
    """Runs of capitalised words where a capital tells something."""
    run: list[tuple[int, int]] = []
    for start, end, expected in _capitalised(shown, doc):
        gap = shown[run[-1][1] : start] if run else ""
        initial = bool(run) and run[-1][1] - run[-1][0] == 1
        linked = gap == " " or (initial and gap == ". ") or (gap[:1] == gap[-1:] == " " and gap.strip() in PARTICLES)
        if run and (expected or not linked):
            yield from _name(shown, run, doc)
            run = []
        if not expected:
            run.append((start, end))
    if run:
        yield from _name(shown, run, doc)


def _capitalised(shown: str, doc: DocumentIndex) -> Iterator[tuple[int, int, bool]]:
    """Capitalised words, without elided article and possessive, and whether any word would have its capital there."""
    for match in _TOKEN.finditer(shown):
        start, end = _bare(shown, match)
        if start < end and shown[start].isupper():
            lead = shown[:start].rstrip(OPENERS + DASHES + " ")
            between = shown[len(lead) : start]
            opened = between.strip(DASHES + " _*")
            expected = not lead or lead[-1] in TERMINATORS + ":" or "--" in between or bool(opened)
            if lead.endswith(".") and _AFTER_INITIAL.search(lead[-8:]):
                expected = bool(opened)
            word = shown[start:end].casefold()
            expected = expected or word == "i" or (word in NO_NAMES and word in doc.common)
            yield start, end, expected


def _bare(shown: str, match: re.Match[str]) -> tuple[int, int]:
    """A word's place without its elided article and its possessive."""
    start, end = match.span()
    if elision := _ELISION.match(shown, start, end):
        start = elision.end()
    if possessive := _POSSESSIVE.search(shown, start, end):
        end = possessive.start()
    return start, end


def _name(shown: str, run: list[tuple[int, int]], doc: DocumentIndex) -> Iterator[tuple[str, int, int]]:
    while run and shown[run[0][0] : run[0][1]].casefold() in HONORIFICS:
        run = run[1:]
    if not run:
        return
    parts = [shown[a:b] for a, b in run]
    start, end = run[0][0], run[-1][1]
    text, before, after = shown[start:end], shown[start - 1 : start], shown[end : end + 1]
    if (
        max(map(len, parts)) < 3
        or text.casefold() in NO_NAMES
        or parts[0].casefold() in NUMBERED_PARTS
        or "-" in (before, after)
    ):
        return
    if _ROMAN.fullmatch(parts[0]) or (before == "_") != (after == "_"):
        return
    if any(p.isupper() and len(p) > 2 for p in parts) and (len(parts) > 1 or len(text) > 6):  # set in capitals
        return
    ordinary = len(parts) == 1 and text.casefold() in doc.lower_case
    yield ("noun" if ordinary and len(text) >= 6 else "word" if ordinary else "name"), start, end


def _numbers(shown: str) -> Iterator[tuple[str, int, int]]:
    """Numbers of two digits and more that count, measure or date something."""
    for match in _NUMBER.finditer(shown):
        start, end = match.span()
        before, after = shown[start - 1 : start] or " ", shown[end : end + 1] or " "
        glued_left = before in "-+–/:.[{(#_°=" or (before.isalnum() and not is_unspaced(before))
        glued_right = after in "-–/:]})_=" or (after.isalnum() and not is_unspaced(after))
        digits = sum(c.isdigit() for c in match.group())
        if glued_left or glued_right or start == 0 or not 2 <= digits <= 12:
            continue
        if not _COUNTED.search(shown[max(0, start - 20) : start]):
            yield "number", start, end


def _nouns(shown: str, doc: DocumentIndex) -> Iterator[tuple[str, int, int]]:
    """Long lower-case words between function words: after an article most are nouns.

    Only where the language's articles are unknown, any function word before it will do.
    """
    tokens = list(_TOKEN.finditer(shown))
    for i, match in enumerate(tokens):
        start, end = _bare(shown, match)
        word = shown[start:end]
        if len(word) < 6 or not word.islower() or not word.isalpha() or word in NO_NOUNS or _WEAK.search(word):
            continue
        before, after = shown[start - 1 : start], shown[end : end + 1]
        if before in tuple("-_*&.") or after in tuple("-_*"):
            continue
        elided = start > match.start()
        if not elided and (i == 0 or shown[tokens[i - 1].end() : start] != " "):
            continue
        follower = tokens[i + 1].group() if i + 1 < len(tokens) else ""
        closed = not follower or follower.casefold() in doc.common or _ELISION.match(follower) is not None
        if _ADJECTIVE.search(word):  # still a noun before "of", none before "little"
            closed = follower in AFTER_NOUN
        if closed or after in tuple(".,;:!?)»"):
            lead = [t.group().casefold() for t in tokens[max(0, i - 2) : i]]
            lead += [shown[match.start() : start - 1].casefold()] if elided else []
            kind = _noun_kind(word, ["", *lead][-2], lead[-1], follower.casefold(), doc)
            if kind:
                yield kind, start, end


def _noun_kind(word: str, host: str, article: str, follower: str, doc: DocumentIndex) -> str | None:
    """What a word is by its neighbours, two before and one after: "noun", "word" (less sure), or nothing sure."""
    if article in CLITICS and (host in CLITIC_HOSTS or _VERB.search(word)):
        return None
    if article in doc.articles:
        return "noun"
    if "the" in doc.articles and host in doc.articles and article not in doc.common:
        # English puts what modifies a noun before it: "a neat uniform"; but "the import exists".
        verbal = follower in doc.articles or (word.endswith("s") and not _ADJECTIVE.search(article))
        return None if verbal else "noun"
    return "word" if article in doc.common and len(word) >= 7 and not doc.articles else None
