"""Words of a text, whatever its script, and a quote's one-line form.

A word is letters, digits and the marks that belong to them: Unicode categories L, N and M, with joiners inside.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache

from datagen.text.scripts import KANA, KHMER, MYANMAR, THAI_LAO, UNSPACED

JOINERS = "\u200c\u200d"  # shape letters in Persian and in Indic scripts; no part of what a word is
_UNSPACED = re.compile(rf"[{UNSPACED}]")
_LETTER = re.compile(f"[{THAI_LAO}{MYANMAR}{KHMER}{KANA}]")  # of those: Thai to Khmer, kana
_LETTERS_A_WORD = 3
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+(?:_+[A-Za-z0-9]+)*")  # as `_word`, several times as fast
_WRAPPED_HYPHEN = re.compile(r"(?<=[^\W\d_])-[ \t]*\r?\n[ \t]*(?=[^\W\d_])")
_WRAPPED_UNSPACED = re.compile(rf"(?<=[{UNSPACED}。！？，、])[ \t]*\r?\n[ \t]*(?=[{UNSPACED}])")
# Tatweel and the vowel points of Hebrew and Arabic: a word is the same with and without them.
_POINTS = dict.fromkeys(
    [*map(ord, JOINERS), 0x640, *range(0x591, 0x5BE), 0x5BF, 0x5C1, 0x5C2, 0x5C7, *range(0x64B, 0x660), 0x670]
)


def is_mark(character: str) -> bool:
    """Whether a character is a combining mark, such as a vowel sign."""
    return unicodedata.category(character)[0] == "M"


def is_wordlike(character: str) -> bool:
    """Whether a character may be a part of a word: a letter, a digit or a mark. False for an empty string."""
    return character.isalnum() or (bool(character) and is_mark(character))


def _ranges(kept: Iterator[int]) -> str:
    """Code points, ascending, as the inside of a regular expression's character class."""
    runs: list[list[int]] = []
    for code in kept:
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"{re.escape(chr(a))}-{re.escape(chr(b))}" if a < b else re.escape(chr(a)) for a, b in runs)


@cache
def letters() -> str:
    """The inside of a character class: what words of scripts with spaces are made of, digits included."""
    assigned = min(sys.maxunicode, 0x1FFFF)  # beyond are Han characters, which UNSPACED has, and marks of no letter
    return _ranges(c for c in range(assigned) if is_wordlike(chr(c)) and not _UNSPACED.match(chr(c)))


@cache
def _word() -> re.Pattern[str]:
    # Underscores count only inside a word: "snake_case" is one word, "_italic_" and "__init__" lose theirs.
    inside = f"[{letters()}]+"
    return re.compile(rf"[{UNSPACED}]|{inside}(?:[_{JOINERS}]+{inside})*")


def spelled_words(text: str) -> list[str]:
    """The words as spelled, without punctuation; a character each where a script has no spaces."""
    return (_ASCII_WORD if text.isascii() else _word()).findall(text)


def fold(word: str) -> str:
    """What words are compared by: casefolded, without joiners, tatweel and vowel points."""
    return word.casefold() if word.isascii() else word.casefold().translate(_POINTS)


def words(text: str) -> list[str]:
    """`spelled_words`, folded."""
    return [folded for w in spelled_words(text) if (folded := fold(w))]


def length(text: str) -> float:
    """Length in words; two characters of a script without spaces count as one, their marks as none."""
    unspaced = [] if text.isascii() else _UNSPACED.findall(text)
    return len(spelled_words(text)) - len(unspaced) / 2 - sum(map(is_mark, unspaced)) / 2


def has_capitals(text: str) -> bool:
    """Whether a text's last letter is of a script with capitals: elsewhere a sentence may begin with any Latin word."""
    last = next((c for c in reversed(text) if c.isalpha()), "a")
    return last.lower() != last.upper()


def is_unspaced(character: str) -> bool:
    """Whether a character (or the start of a text) belongs to a script without spaces."""
    return _UNSPACED.match(character) is not None


def is_letter(word: str) -> bool:
    """Whether a word is one letter of a script without spaces, which is no word as a Han character is one."""
    return len(word) == 1 and _LETTER.match(word) is not None


def reach(before: Sequence[str], after: Sequence[str]) -> int:
    """How many times as many words say as much beside a blank: letters of scripts without spaces are no words."""
    return _LETTERS_A_WORD if any(map(is_letter, [*before[-1:], *after[:1]])) else 1


def show(quote: str) -> str:
    """A verbatim quote as one line: white space collapsed, words joined where a line was wrapped at their hyphen."""
    return " ".join(_WRAPPED_UNSPACED.sub("", _WRAPPED_HYPHEN.sub("-", quote)).split())
