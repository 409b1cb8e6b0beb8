"""A term and its blank: how a sentence is blanked, what tells which sentence it is, and what gives a term away."""

from __future__ import annotations

import re
from collections.abc import Sequence

from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.words import is_unspaced, words

BLANK = "_____"
_ONE_BLANK = re.compile(rf"(?<!_){BLANK}(?!_)")


def without_blanks(question: str) -> tuple[str, int]:
    """The question with its blanks taken out, and how many there were."""
    return _ONE_BLANK.subn(" ", question)


def blanked(shown: str, term: str) -> str | None:
    """The sentence with the term blanked; None if it does not stand there once, as a whole word.

    Emphasis marks right around the term go with it: they would run into the blank.
    """
    places = [m.start() for m in re.finditer(re.escape(term), shown)] if term else []
    whole = [at for at in places if _is_whole(shown, at, at + len(term))]
    if len(whole) != 1 or BLANK in shown:
        return None
    start, end = whole[0], whole[0] + len(term)
    if shown[start - 1 : start] == "_" and shown[end : end + 1] == "_":
        start, end = start - 1, end + 1
    return shown[:start] + BLANK + shown[end:]


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is not a part of a longer word; a single emphasis mark on both sides is no part."""
    left, right = text[max(0, start - 2) : start], text[end : end + 2]
    if left[-1:] == "_" and right[:1] == "_":
        left, right = left[:-1], right[1:]
    return not (_joined(left[-1:], text[start]) or _joined(right[:1], text[end - 1]))


def _joined(outer: str, inner: str) -> bool:
    return (outer.isalnum() or outer == "_") and not (is_unspaced(outer) or is_unspaced(inner))


def context(blanked_sentence: str, doc: DocumentIndex) -> float:
    """How many words of a blanked sentence tell which sentence it is: all but the document's function words."""
    telling = {w for w in words(blanked_sentence) if w not in doc.common}
    return sum(1.0 if len(w) > 1 else 0.5 if is_unspaced(w) else 0.0 for w in telling)


def given_away(term: str, shown: Sequence[str]) -> str | None:
    """A shown word that is a telling word of the term or a variant of one, or the term itself."""
    asked = words(term)
    if f" {' '.join(asked)} " in f" {' '.join(shown)} ":
        return term
    capitals = [w for w in asked if w.capitalize() in term and len(w) > 1] if len(asked) > 1 else []
    telling = capitals or [w for w in asked if len(w) > 1]
    return next((w for w in shown for t in telling if variants(w, t)), None)


def variants(a: str, b: str) -> bool:
    """Whether two words are forms of one, by spelling: the same, a plural, or a long common beginning."""
    if a[0] != b[0]:
        return False
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if short == long or (len(short) > 2 and long in (short + "s", short + "es")):
        return True
    common = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    return common >= 5 and common >= 0.75 * len(long)
