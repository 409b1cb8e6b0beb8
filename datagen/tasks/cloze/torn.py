"""Terms that are no whole words: torn by an extractor or at a line's end, or two words run together.

What a text holds is compared with its own vocabulary and with that of its language.
"""

from __future__ import annotations

import re

from datagen.tasks.cloze import frequency
from datagen.tasks.cloze.blanks import BLANK
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.languages import JOINED, NO_CAPITALS, function_words, scripts_of
from datagen.tasks.cloze.words import fold, is_unspaced, spelled_words

_GLUED = re.compile(r"([^\W\d_]{2,})\d{4,}")  # the name of a standard and a page, say
_BEFORE, _AFTER = re.compile(r"([^\W_]+) $"), re.compile(r" ([^\W_]+)")
_RUN_TOGETHER = JOINED | {"hi"}  # with words that are easily set without the blank between them
_VERY_FREQUENT = 5.0  # on the Zipf scale


def torn(term: str, blanked: str, code: str, doc: DocumentIndex) -> str | None:
    """What says that a term is a part of a word, or two words; None if nothing does.

    blanked: the term's sentence without it. code: that one's language.
    """
    parts = spelled_words(term)
    for word in parts:
        if len(scripts_of(word)) > 1:
            return f"letters of two scripts: {word!r}"
        glued = _GLUED.fullmatch(word)
        if glued and doc.chunk_counts.get(fold(glued[1])):
            return f"{glued[1]!r} and a number: {word!r}"
        if code in _RUN_TOGETHER and _is_two_words(word, code):
            return f"two words: {word!r}"
    return _part_of(parts, blanked, code, doc)


def _part_of(parts: list[str], blanked: str, code: str, doc: DocumentIndex) -> str | None:
    """A word that is one of the document, or of the language, and made of an end of the term and the word beside it."""
    left, _, right = blanked.partition(BLANK)
    before, after = _BEFORE.search(left), _AFTER.match(right)
    pairs = [(before[1], parts[0])] if before and parts else []
    pairs += [(parts[-1], after[1])] if after and parts else []
    grammar = frozenset[str]() if code in NO_CAPITALS else function_words(code)  # "a muse" is not "amuse"
    for a, b in pairs:
        whole = fold(a + b)
        if is_unspaced(a[-1]) or is_unspaced(b) or not grammar.isdisjoint((fold(a), fold(b))):
            continue
        if doc.chunks_with([whole]) or (code and frequency.is_known(whole, code)):
            return f"a part of {whole!r}"
    return None


def _is_two_words(word: str, code: str) -> bool:
    folded = fold(word)
    if frequency.is_known(folded, code):
        return False
    halves = ((folded[:n], folded[n:]) for n in range(2, len(folded) - 1))
    return any(min(frequency.zipf(a, code), frequency.zipf(b, code)) >= _VERY_FREQUENT for a, b in halves)
