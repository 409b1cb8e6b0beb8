"""Words of a text, whatever its script, and a quote's one-line form."""

from __future__ import annotations

import re

from datagen.text.lexicon import UNSPACED

# Underscores count only inside a word: "snake_case" is one word, "_italic_" and "__init__" lose theirs.
_WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+(?:_+[^\W_{UNSPACED}]+)*")
_UNSPACED = re.compile(rf"[{UNSPACED}]")
_WRAPPED_HYPHEN = re.compile(r"(?<=[^\W\d_])-[ \t]*\r?\n[ \t]*(?=[^\W\d_])")
_WRAPPED_UNSPACED = re.compile(rf"(?<=[{UNSPACED}。！？，、])[ \t]*\r?\n[ \t]*(?=[{UNSPACED}])")


def spelled_words(text: str) -> list[str]:
    """The words as spelled, without punctuation; a character each where a script has no spaces."""
    return _WORD.findall(text)


def words(text: str) -> list[str]:
    """`spelled_words`, casefolded."""
    return [w.casefold() for w in _WORD.findall(text)]


def length(text: str) -> float:
    """Length in words; two characters of a script without spaces count as one."""
    return len(_WORD.findall(text)) - len(_UNSPACED.findall(text)) / 2


def is_unspaced(character: str) -> bool:
    """Whether a character (or the start of a text) belongs to a script without spaces."""
    return _UNSPACED.match(character) is not None


def show(quote: str) -> str:
    """A verbatim quote as one line: white space collapsed, words joined where a line was wrapped at their hyphen."""
    return " ".join(_WRAPPED_UNSPACED.sub("", _WRAPPED_HYPHEN.sub("-", quote)).split())
