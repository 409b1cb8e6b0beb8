"""Where a text may be cut into chunks, best places first, whatever its script.

The tiers, in their order: between paragraphs; at the end of a line that ends a sentence; of any line; behind a
sentence, a part of one, a comma; between words; behind any mark. A cut falls behind the marks, the brackets and
quotation marks that close there, and the numbers of footnotes, in front of the white space; never in front of a mark
that ends something.

Every pattern matches wherever its first character stands, and takes a run of marks or of white space as a whole: what
it needs besides is looked at afterwards. So a scan takes linear time, however long a run.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from datagen.text.punctuation import (
    BRACKETS,
    CLAUSES,
    CLOSING_QUOTES,
    COMMAS,
    OPENING_QUOTES,
    SPACED,
    STOPS,
    WIDE_BRACKETS,
    WORD_SPACES,
)

LINE_ENDS = r"\n\r\x0b\x0c\x1c-\x1e\x85\u2028"  # as str.splitlines has them; U+2029 ends a paragraph
_NEWLINE = rf"(?>\r\n|[{LINE_ENDS}])"
_BLANKS = rf"[^\S{LINE_ENDS}\u2029]*+"
_MARKS = STOPS + CLAUSES + COMMAS
# What belongs to the mark that it follows.
_MORE = (
    rf"(?>(?:[{_MARKS}{BRACKETS}{CLOSING_QUOTES}]|[{OPENING_QUOTES}](?=[\s{SPACED})\]]|$)|[\"'*_`](?!\w)|\[\d{{1,3}}\]"
    rf"|[¹²³⁰-⁹]|[ \u00a0\u202f][»›!?:;](?!\w))*)"
)
# What ends something, where a chunk could begin: a mark, a bracket; a quotation mark, unless a word follows it.
_ENDING = re.compile(
    rf"[{STOPS}{COMMAS}{BRACKETS}{WORD_SPACES}]|(?!:)[{CLAUSES}]|:(?!\w)|(?<=\S)[{CLOSING_QUOTES}]|[{CLOSING_QUOTES}\"'](?!\w)"
    rf"|(?<=\w)[\"']"
)
_JOINER = "\u200d"  # it makes one sign of two


class Tier(NamedTuple):
    """Places of one kind: `pattern`'s matches end a piece behind their group, else where they begin. White space has to
    follow there, unless the group holds a character of `bare`.
    """

    pattern: re.Pattern[str]
    bare: re.Pattern[str]


def _behind(marks: str, space: str = r"\s*+") -> re.Pattern[str]:
    return re.compile(rf"([{marks}]{_MORE}){space}")


_NEVER = re.compile(r"(?!)")
_UNSPACED = re.compile(rf"(?![{SPACED}])[{_MARKS}{WIDE_BRACKETS}{WORD_SPACES}]")
TIERS = (
    Tier(re.compile(rf"[{LINE_ENDS}\u2029](?:(?<=\u2029)|(?>(?:(?<=\r)\n)?){_BLANKS}{_NEWLINE})\s*+"), _NEVER),
    Tier(_behind(STOPS, rf"(?>(?:{_BLANKS}{_NEWLINE}\s*+)?)"), _NEVER),
    Tier(re.compile(rf"[{LINE_ENDS}]\s*+"), _NEVER),
    Tier(_behind(STOPS), _UNSPACED),
    Tier(_behind(CLAUSES), _UNSPACED),
    Tier(_behind(COMMAS), _UNSPACED),
    Tier(re.compile(rf"([{WORD_SPACES}]++)\s*+|\s++"), _UNSPACED),
    Tier(_behind(_MARKS + BRACKETS), re.compile("")),
)


def places(tier: Tier, text: str, start: int, end: int) -> Iterator[int]:
    """The tier's places inside of `text[start:end]`, ascending."""
    for match in tier.pattern.finditer(text, start, end):
        at, following = match.end(1) if match.lastindex else match.start(), match.end()
        if not start < at or not following < end or _ENDING.match(text, following):
            continue
        if at < following or tier.bare.search(text, match.start(), at):
            yield at


def last_beginning(text: str, start: int, end: int) -> int | None:
    """The last place from `start` to `end`, itself included, where a chunk may begin; None if there is none."""
    return next((at for at in range(end, start - 1, -1) if _begins(text, at)), None)


def first_beginning(text: str, start: int, end: int) -> int | None:
    """The first place from `start` to before `end` where a chunk may begin; None if there is none."""
    return next((at for at in range(start, end) if _begins(text, at)), None)


def _begins(text: str, at: int) -> bool:
    """Whether a chunk may begin at a character: one that ends nothing, and is no part of a sign with those before."""
    character = text[at]
    if character.isspace() or _ENDING.match(text, at):
        return False
    return not (unicodedata.category(character)[0] == "M" or character == _JOINER or text[at - 1] == _JOINER)
