"""Distinctive terms of a sentence: names, titles, numbers, identifiers and rare words, each fit to be blanked and hard
to guess.

Terms are found in the sentence as shown on one line; their places are characters of that line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from datagen.tasks.cloze import affixes, frequency, guessable, names, native
from datagen.tasks.cloze.blanks import blanked
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.languages import NO_CAPITALS, function_words, language
from datagen.tasks.cloze.torn import torn
from datagen.tasks.cloze.words import is_letter, spelled_words, words
from datagen.text.lexicon import (
    ADJECTIVE_ENDING,
    AFTER_NOUN,
    BEFORE_VERBS,
    CLITIC_HOSTS,
    CLITICS,
    DETERMINERS,
    ELISIONS,
    NO_NOUNS,
    PARTICLES,
    PREPOSITIONS,
    PRONOUNS,
    SLAVIC_ADJECTIVE,
    VERB_ENDING,
    WEAK_ENDING,
)
from datagen.text.scripts import KANA

MAX_CHUNKS = {"title": 4, "identifier": 4, "name": 4, "number": 4, "noun": 3}
MAX_TERM_CHARS = 60

_ELISION = re.compile(ELISIONS, re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:[.,’'\u00a0\u202f]\d+)*(?:[ ]\d{3}(?!\d))*")
_GROUPED = re.compile(r"\d+(?:[.,]\d+)?|\d{1,3}(?:([.,’' \u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_IDENTIFIER = re.compile(r"(?<![\w.-])[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*(?!\w)")
_CAMEL = re.compile(r"[a-z][A-Z]")
_SLAVIC = re.compile(SLAVIC_ADJECTIVE)
_WEAK, _VERB, _ADJECTIVE = re.compile(WEAK_ENDING), re.compile(VERB_ENDING), re.compile(ADJECTIVE_ENDING)
_NO_NOMINAL = re.compile(r"(?:ly|ing|ed)$")
_MARKED = re.compile(
    r"(?<![\w’'])['‘](?=\w)([^'‘’\"]{3,60}?)[,.]?['’](?!\w)|\"([^\"]{3,60}?)[,.]?\"|“([^”“]{3,60}?)[,.]?”|"
    r"«[ \u00a0\u202f]?([^«»]{3,60}?)[ \u00a0\u202f]?»|(?<![\w\"'`_])_(?=[^\W_])([^_]{3,60}?)_(?!\w)|"
    r"„([^“”„]{3,60}?)[,.]?[“”]|「([^「」、。！？]{2,16})」|《([^《》]{2,20})》|『([^『』、。！？]{2,16})』"
)
_UNSPACED_GROUPS = 7  # the first group of `_MARKED` that belongs to a script without spaces
_FURIGANA = re.compile(f"[{KANA}々・]+")  # how the Han characters before it are read
_CALLED = re.compile(r"と(?:いう|題|名付|呼|よば)")  # what 「」 say of a name; else they quote
_MODEL = re.compile(r"\b[A-Z]{2,}[A-Za-z]*\s$")  # what a number after it is a part of the name of: "IEEE 1394"
_DECIMAL = re.compile(r"\d{1,2}\.\d{1,2}")  # may number a section or a version, unless something is measured
_UNIT, _LONGEST_UNIT = re.compile(r"\d[ \u00a0]$"), 4  # "8 ZiB", "1 ГГц"
_MEASURED = re.compile(r"\s?(?:%|°|km|m|kg|million|billion|percent|per\b)")
_COUNTED = re.compile(  # what a number after it only points at
    r"(?:\b(?:pp?|pages?|chap|chapters?|fig|figure|vol|volume|no|nos|nr|section|sect|chapitre|version|table|step|part|"
    r"kapitel|abschnitt|seite|abbildung|tabelle|capítulo|página|capitolo|pagina|глава|стр|рис|раздел|bölüm|sayfa|"
    r"κεφάλαιο|τμήμα|"
    r"rfc|iso|bug|issue|port)|第|제|[§°º№])\.?\s*$",
    re.IGNORECASE,
)
_COUNTER = re.compile(r"\s?(?:章|节|節|頁|页|回|장|절|쪽|페이지)")  # what makes a number before it one of those


class Term(NamedTuple):
    """`shown[start:end] == text`."""

    text: str
    start: int
    end: int
    kind: str
    chunks: int  # in how many chunks of the document it stands
    guess: float  # how well it can be guessed, from 0 to 1: see guessable.py
    blanked: str  # the sentence without it


def find(shown: str, doc: DocumentIndex) -> list[Term]:
    """The sentence's terms that are worth asking for: distinctive, and hard to guess."""
    return [term for term in proposed(shown, doc) if term.guess <= guessable.MOST]


def proposed(shown: str, doc: DocumentIndex) -> Iterator[Term]:
    """The sentence's distinctive terms, each standing once in it and in few chunks of the document."""
    code = language(shown)
    found: list[Term] = []
    for kind, start, end in _places(shown, code, doc):
        text = shown[start:end]
        cut_off = shown.startswith(("…", "..."), end)
        if len(text) > MAX_TERM_CHARS or ";" in text or cut_off or any(start < t.end and t.start < end for t in found):
            continue
        phrase = words(text)
        if is_common(phrase, doc) or is_attached(text, code, doc):
            continue
        if _UNIT.search(shown, max(0, start - 12), start) and len(text) <= _LONGEST_UNIT and not text[0].isdigit():
            continue
        left = blanked(shown, text)
        if kind == "noun" and text.isalpha() and frequency.is_misspelt(text, code):
            continue
        chunks = spread(phrase, code, doc)
        if left is None or not doc.is_distinctive(text, chunks, MAX_CHUNKS[kind]):
            continue
        if torn(text, left, code, doc):
            continue
        guess = guessable.guessability(text, left, code)
        found.append(Term(text, start, end, kind, chunks, guess, left))
        yield found[-1]


def spread(phrase: Sequence[str], code: str, doc: DocumentIndex) -> int:
    """In how many chunks of the document a term stands; in a language that inflects, any form of its rarest word."""
    found = doc.chunks_with(phrase)
    if not found or code not in affixes.INFLECTED:
        return found
    return max(found, min(doc.chunks_with_forms(word, code) for word in phrase))


def is_common(phrase: Sequence[str], doc: DocumentIndex) -> bool:
    """Whether all words of a phrase are all over the document; letters of scripts without spaces are no words."""
    return not all(map(is_letter, phrase)) and all(w in doc.common for w in phrase)


def is_attached(term: str, code: str, doc: DocumentIndex) -> bool:
    """Whether a word of the term carries what its language attaches to words."""

    def known(word: str) -> bool:
        return frequency.is_known(word, code) or doc.chunk_counts.get(word, 0) > 0

    return any(affixes.is_attached(word, code, known) for word in words(term) if not word.isascii() or code != "ko")


def _places(shown: str, code: str, doc: DocumentIndex) -> Iterator[tuple[str, int, int]]:
    """Places worth a blank, as (kind, start, end), the better kinds first."""
    yield from _titles(shown, code)
    yield from _identifiers(shown)
    if code in NO_CAPITALS:
        yield from (("name", start, end) for start, end in native.rare_words(shown, code, doc))
    yield from (("name", start, end) for start, end in names.names(shown, code, doc))
    yield from _numbers(shown)
    yield from _nouns(shown, code, doc)
    yield from _technical(shown, code)


def _titles(shown: str, code: str) -> Iterator[tuple[str, int, int]]:
    """What stands between quotation or emphasis marks and is capitalised throughout, as titles are."""
    for match in _MARKED.finditer(shown):
        group = match.lastindex or 0
        if group >= _UNSPACED_GROUPS:
            opener = match[0][0]
            reading = opener == "《" and _FURIGANA.fullmatch(match[group])
            if not reading and (opener != "「" or _CALLED.match(shown, match.end())):
                yield "title", match.start(group), match.end(group)
            continue
        parts = [w for w in spelled_words(match[group]) if w.casefold() not in PARTICLES]
        capitals = sum(w[0].isupper() for w in parts)
        as_titles_are = (
            2 <= len(parts) <= 7
            and max(map(len, parts)) > 2
            and parts[0][0].isupper()
            and len(parts[-1]) > 1
            and capitals >= 0.7 * len(parts)
            and not (match.start() == 0 and match[0][-2:-1] == ",")  # what someone says
        )
        if as_titles_are and code not in names.NOUNS_WITH_CAPITALS and not re.search(r"[!?;:,_()]", match[group]):
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


def _numbers(shown: str) -> Iterator[tuple[str, int, int]]:
    """Numbers of two digits and more that count, measure or date something."""
    for match in _NUMBER.finditer(shown):
        start, end = match.span()
        digits = sum(c.isdigit() for c in match.group())
        opener = shown[start - 1 : start] in tuple("[({") and shown[end : end + 1] in tuple("])}:")
        model = _MODEL.search(shown, max(0, start - 12), start) is not None
        if start == 0 or opener or model or not 2 <= digits <= 12 or not _GROUPED.fullmatch(match.group()):
            continue
        if _DECIMAL.fullmatch(match.group()) and not _MEASURED.match(shown, end):
            continue
        if not (_COUNTED.search(shown[max(0, start - 20) : start]) or _COUNTER.match(shown, end)):
            yield "number", start, end


def _nouns(shown: str, code: str, doc: DocumentIndex) -> Iterator[tuple[str, int, int]]:
    """Rare lower-case words where nouns stand: after an article, or a preposition in languages without articles."""
    articles = DETERMINERS.get(code) or PREPOSITIONS.get(code)
    if not articles or code in names.NOUNS_WITH_CAPITALS:
        return
    spans = names.tokens(shown)
    grammar = function_words(code)
    for i, span in enumerate(spans):
        start, end = names.bare(shown, *span, code)
        word = shown[start:end]
        if len(word) < 6 or not word.islower() or not word.isalpha() or word in NO_NOUNS or _WEAK.search(word):
            continue
        elided = start > span[0]
        if not elided and (i == 0 or shown[spans[i - 1][1] : start] != " "):
            continue
        follower = shown[slice(*spans[i + 1])].casefold() if i + 1 < len(spans) else ""
        closed = not follower or follower in grammar or _ELISION.match(follower) is not None
        if code in PREPOSITIONS and _SLAVIC.search(word):
            continue
        if _ADJECTIVE.search(word):  # still a noun before "of", none before "little"
            closed = follower in AFTER_NOUN
        if closed or shown[end : end + 1] in tuple(".,;:!?)»"):
            lead = [shown[a:b].casefold() for a, b in spans[max(0, i - 2) : i]]
            lead += [shown[span[0] : start - 1].casefold()] if elided else []
            if _is_noun(word, ["", *lead][-2], lead[-1], follower, articles):
                yield "noun", start, end


def _technical(shown: str, code: str) -> Iterator[tuple[str, int, int]]:
    """English nouns and adjectives that are in no list and follow from no known word, wherever they stand."""
    if code != "en":
        return
    spans = names.tokens(shown)
    for i, (start, end) in enumerate(spans):
        word = shown[start:end]
        if len(word) < 6 or not word.islower() or not word.isalpha() or word in NO_NOUNS or _NO_NOMINAL.search(word):
            continue
        lead = shown[slice(*spans[i - 1])].casefold() if i else ""
        follower = shown[slice(*spans[i + 1])].casefold() if i + 1 < len(spans) else ""
        spaced = shown[start - 1 : start] == " " and shown[end : end + 1] in tuple(" .,;:!?)")
        verbal = lead in BEFORE_VERBS or follower in DETERMINERS[code] or follower in PRONOUNS
        if spaced and not verbal and not frequency.is_familiar(word, code):
            yield "noun", start, end


def _is_noun(word: str, host: str, article: str, follower: str, articles: frozenset[str]) -> bool:
    """Whether a word is a noun by its neighbours, two before and one after."""
    if article in CLITICS and (host in CLITIC_HOSTS or _VERB.search(word)):
        return False
    if article in articles:
        return True
    if "the" in articles and host in articles:
        # English puts what modifies a noun before it: "a neat uniform"; but "the import exists".
        verbal = follower in articles or (word.endswith("s") and not _ADJECTIVE.search(article))
        return not verbal
    return False
