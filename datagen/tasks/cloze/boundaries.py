"""Where words begin and end: by ICU where they are written without spaces, by what joins them elsewhere."""

from __future__ import annotations

import re
from functools import lru_cache

from icu4py.breakers import WordBreaker

from datagen.tasks.cloze import affixes
from datagen.tasks.cloze.words import JOINERS, is_unspaced, is_wordlike
from datagen.text.lexicon import ELISIONS
from datagen.text.scripts import UNSPACED_LANGUAGES, WRAPPED_LANGUAGES

# What joins the parts of one token when no space is around it: "e-mail", "3.14", "10:30", "and/or", "don't", "R.E.".
_CONNECTORS = frozenset("-‐‑–.,:/'’_@+&#=·・\\~*^%°×<>״׳־−")
_SIGNS = frozenset("-+−–±~#°§=<>^*/\\@&")
_ELIDED = re.compile(rf"(?<![^\W_])(?:{ELISIONS})$", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['’](?:s(?![^\W_])|(?![^\W_]))")
_SPACED_DIGITS = re.compile(r"[ \u00a0\u202f\u2009]\d{3}(?!\d)")


@lru_cache(maxsize=1024)
def segments(text: str, code: str) -> tuple[tuple[int, int], ...]:
    """ICU's word segments of a text, as ranges of its characters (ICU counts in UTF-16 units)."""
    found = ((a, b) for a, b in WordBreaker(text, code if code in UNSPACED_LANGUAGES else "en").segments())
    if not text or max(text) <= "\uffff":
        return tuple(found)
    place: dict[int, int] = {}
    at = 0
    for i, character in enumerate(text):
        place[at] = i
        at += 2 if character > "\uffff" else 1
    place[at] = len(text)
    return tuple((place[a], place[b]) for a, b in found)


def pieces(text: str, code: str) -> list[str]:
    """The words of a text by ICU, folded, without what stands between words."""
    return [text[a:b].casefold() for a, b in segments(text, code) if is_wordlike(text[a])]


def is_whole(text: str, start: int, end: int, code: str) -> bool:
    """Whether text[start:end] is whole tokens of a text in this language, and not a part of one.

    Outside may stand: an elided article, a possessive, a particle or suffix that its language sets off (as Korean
    does, and Turkish with an apostrophe), and one emphasis mark on both sides.
    """
    left, right = text[max(0, start - 12) : start], text[end : end + 24]
    if left[-1:] == "_" and right[:1] == "_":
        left, right = left[:-1], right[1:]
    if is_unspaced(text[start]) or is_unspaced(text[end - 1]):
        edges = {edge for segment in segments(text, code) for edge in segment}
        if start not in edges or end not in edges:
            return False
    return _begins(left, text[start:end]) and _ends(right, text[start:end], code)


def beside_line_end(text: str, term: str, code: str) -> bool:
    """Whether a term stands next to a line's end in a text that may have been wrapped inside of words.

    Chinese, Japanese and Korean texts are, words of Latin letters and of Hangul in them included; what is written in
    Han characters and kana is told by its segments once the lines are joined.
    """
    if code not in WRAPPED_LANGUAGES or "\n" not in text:
        return False
    before = "" if is_unspaced(term[0]) else rf"(?<=\w)[ \t]*\n[ \t]*{re.escape(term)}|"
    after = "(?!)" if is_unspaced(term[-1]) else rf"{re.escape(term)}[ \t]*\r?\n[ \t]*\w"
    return re.search(before + after, text) is not None


def _begins(left: str, term: str) -> bool:
    outer, inner = left[-1:], term[0]
    if not outer or is_unspaced(outer) or is_unspaced(inner):
        return True
    if is_wordlike(outer) or outer == "_" or outer in JOINERS:
        return False
    if inner.isdigit() and (outer in _SIGNS or re.search(r"\d[ \u00a0\u202f\u2009]$", left)):
        return False
    if outer in "'’" and _ELIDED.search(left):
        return True
    if outer == "-" and left[-2:-1] == "-":  # a dash, typed as two hyphens
        return True
    return not (outer in _CONNECTORS and (is_wordlike(left[-2:-1]) or left[-2:-1] in _CONNECTORS))


def _ends(right: str, term: str, code: str) -> bool:
    outer, inner = right[:1], term[-1]
    if not outer or is_unspaced(outer) or is_unspaced(inner):
        return True
    if is_wordlike(outer) or outer == "_" or outer in JOINERS:
        return affixes.set_off(term, right, code)
    if inner.isdigit() and (_SPACED_DIGITS.match(right) or re.match(r"[-–−+*/^=<>]", right)):
        return False
    if outer in "'’" and (_POSSESSIVE.match(right) or code == "tr"):
        return True
    if outer in "+#":  # "GTK+", "C#"
        return False
    if outer in "(/":
        return outer == "(" and (right[1:2] == ")" or not is_wordlike(right[1:2]) or "_" in term or "." in term)
    if outer == "." and len(term) == 1:
        return False
    if outer == "-" and right[1:2] == "-":
        return True
    return not (outer in _CONNECTORS and is_wordlike(right[1:2]))
