"""Whether an answer holds a gold wording: whole words, after the usual normalisation.

Source: RULER's rule (`string_match_part`, Hsieh et al. 2024, arXiv 2404.06654), which looks for a gold wording anywhere
in the output, made strict: in the answer alone, and bounded by words. Normalised as in SQuAD (Rajpurkar et al. 2016):
case, articles, punctuation and white space do not count. Departures: punctuation parts words instead of joining them; a
decimal point, a minus and symbols such as % and $ count. Scripts that are written without spaces, and Korean, whose
particles are written with their noun, have no word bounds: every character is a word, so plain containment decides.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from datagen.text.scripts import HANGUL, UNSPACED

_ARTICLES = {"a", "an", "the"}
_OPPOSITE = {"yes": "no", "no": "yes"}
_POINT, _MINUS = "\ue000", "\ue001"  # of a number: they stay in its word
_GROUPING = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DECIMAL = re.compile(r"(?<=\d)[.,](?=\d)")
_SIGN = re.compile(r"(?<![\w)\]])-(?=\d)")
_SYMBOLS = {"Sc", "Sm", "So"}
# Besides: Hangul, its letters included, Bopomofo, strokes, and small kana.
_UNBOUNDED = re.compile(f"[{UNSPACED}{HANGUL}\u1100-\u11ff\u3100-\u318f\u31a0-\u31ff\ua960-\ua97f\ud7b0-\ud7ff]")


def holds(gold: str, answer: str) -> bool:
    """Whether the gold wording stands in the answer, word for word. A "yes" or "no" does not where the answer says
    both; an empty wording stands nowhere.
    """
    wanted, given = normalised(gold), normalised(answer)
    if not wanted:
        return gold.strip() != "" and gold.strip() in answer
    if set(wanted.split()) <= _ARTICLES:  # vitamin A
        given = _written(answer)
    if says_both(gold, answer):
        return False
    return f" {wanted} " in f" {given} "


def says_both(gold: str, answer: str) -> bool:
    """Whether the gold wording is "yes" or "no", and the answer says both."""
    wanted, given = normalised(gold), normalised(answer).split()
    return wanted in given and _OPPOSITE.get(wanted) in given


def normalised(text: str) -> str:
    """The words of a text with one space between them, without articles, unless there is nothing else."""
    words = _written(text).split()
    return " ".join([word for word in words if word not in _ARTICLES] or words)


def _written(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold().replace("−", "-")
    text = _SIGN.sub(_MINUS, _DECIMAL.sub(_POINT, _GROUPING.sub("", text)))
    return " ".join("".join(map(_character, text)).split())


@cache
def _character(c: str) -> str:
    category = unicodedata.category(c)
    if c in (_POINT, _MINUS):
        return c
    if category in _SYMBOLS or c in "%&#@":
        return f" {c} "
    if category[0] not in "LMN":
        return " "
    return f" {c} " if _UNBOUNDED.match(c) else c
