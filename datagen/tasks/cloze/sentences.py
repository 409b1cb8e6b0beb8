"""Cuts a chunk into its whole prose sentences, verbatim, whatever the language.

A sentence never crosses a block: a paragraph break, a bullet, a ruler or a deeper indentation ends it. A boundary is
only drawn where it is safe; a doubtful one (an abbreviation, a lower-case follower) leaves two sentences joined, which
the length limit then drops.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from datagen.tasks.cloze.boilerplate import is_boilerplate
from datagen.tasks.cloze.prose import MAX_CHARS, MIN_WORDS, NAMED, balanced, ends_with_stop, fault
from datagen.tasks.cloze.words import has_capitals, is_unspaced
from datagen.text.lexicon import (
    ABBREVIATIONS,
    BEFORE_NUMBER,
    CLOSERS,
    DASHES,
    FULL_STOPS,
    OPENERS,
    SPACES,
    TERMINATORS,
)
from datagen.text.scripts import UNSTOPPED

# Always matches at a terminator, so that a scan over a run of any length is linear; what follows is tested by hand.
_STOP = re.compile(
    rf"(?:[{TERMINATORS}]+|(?<=[\u0370-\u03ff\u1f00-\u1fff]);(?=\s))(?:[{re.escape(CLOSERS)}]|[{SPACES}][»›])*|"
    rf"(?<=[{UNSTOPPED}])(?=\s)"
)
_BULLET = re.compile(r"[ \t]*(?:[*•·‣+-]|\d{1,3}[.)]|\(\d{1,3}\)|[\[{]\d{1,3}[\]}])[ \t]+")
_RULER = re.compile(r"[ \t]*[-=*~^_#+|.:'\"` \t]{3,}")
_PARAGRAPH_END = re.compile(r"[ \t\r]*\n[ \t\r]*\n")
_TOKEN_START = re.compile(r"[\s(\[{\"'“‘«’—-]")
_NUMERAL = re.compile(r"\s*(?:\d|[IVXLC]+\b)")
_QUOTED = re.compile(r"[」』”’]")  # a sentence that is quoted here goes on with a particle: 「…。」と
_GOES_ON = re.compile(r"[とっはがのもでにをやかなだ、，]")
_UNSTOPPED = re.compile(f"[{UNSTOPPED}]")
_CLAUSE_START = re.compile(  # no sign of repetition or omission, and none of the words that go on with a sentence
    r"(?![\u0e2f\u0e46\u0eaf\u0ec6]|ที่(?!สำคัญ)|และ|หรือ|ซึ่ง|โดย(?!เฉพาะ)|ก็|จึง|ของ|กับ|ด้วย|ตาม|เพื่อ|ให้|ใน|เป็น|คือ|จาก|ว่า|[\u0e01-\u0e2e]{1,3}\.)"
    r"[\u0e00-\u0eff]"
)
_REPEATED = "\u0e46\u0ec6"  # a blank stands behind this sign, whatever follows
_GAP = re.compile(r" {2}|[ \t\r]*\n")  # what ends a sentence there
_CLAUSE = 60  # characters of clauses that are taken together, at the least
_BROKEN = 0.75  # of a paragraph's width: a line where the next word would have had room ends something
_HEADING = 60  # characters of a line, at the most
_A_LINE_EACH = 4  # times a line's length: where another one is as long, paragraphs are lines, and not wrapped
_REACH = 400  # how far around a sentence its place in the text is looked at
_VERSE_WIDTH = 62  # verse has short lines that begin with capitals


class Sentence(NamedTuple):
    """`chunk[start:end] == text`."""

    start: int
    end: int
    text: str


def prose_sentences(chunk: str, before: str = "", after: str = "") -> list[Sentence]:
    """The chunk's sentences that are whole, well-formed prose. `before` and `after`: the neighbouring chunks' texts."""
    found = []
    for start, end in _pieces(chunk, after):
        if end - start < 2 * MIN_WORDS - 1:  # as many words do not fit, spaces included
            continue
        start, end = _trim(chunk, start, end)
        text = chunk[start:end]
        if not fault(text) and not misplaced(chunk, start, end, before, after):
            found.append(Sentence(start, end, text))
    return found


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Runs of lines that a sentence may cross, as character ranges."""
    start, position, indent = -1, 0, 0
    for line in text.split("\n"):
        bullet = _BULLET.match(line)
        text_at = bullet.end() if bullet else len(line) - len(line.lstrip())
        blank = not line.strip() or _RULER.fullmatch(line) is not None
        if start >= 0 and (blank or bullet or text_at > indent + 1 or _is_hard_break(text, position - 1)):
            yield start, position
            start = -1
        if start < 0 and not blank:
            start = position + text_at
        indent = text_at
        position += len(line) + 1
    if start >= 0:
        yield start, len(text)


def _is_hard_break(text: str, at: int) -> bool:
    """Whether the line that ends at the line feed `at` is a heading, say, and not a line of a wrapped sentence.

    It stopped before the width of its paragraph, where the next word would have had room, without a mark at its end.
    """
    begin, end = text.rfind("\n", max(0, at - _REACH), at) + 1, text.find("\n", at + 1, at + _REACH)
    above, below = text[begin:at].rstrip(), text[at + 1 : end if end >= 0 else at + _REACH].strip()
    if not above or not below or above[-1] in ",;、，-–—(" or below[0].islower():
        return False
    word = 1 if is_unspaced(below) else len(below.split(maxsplit=1)[0])
    width = len(below)
    for line in text[max(0, at - _REACH) : at + _REACH].split("\n"):
        width = max(width, len(line))
    if len(above) > _HEADING and width < _A_LINE_EACH * len(above):
        return False
    return len(above) + 1 + word < _BROKEN * width


def _pieces(text: str, after: str) -> Iterator[tuple[int, int]]:
    for start, end in _blocks(text):
        at = start
        for stop in _STOP.finditer(text, start, end):
            stop_at = stop.end()
            if stop_at < len(text) and not text[stop_at].isspace() and text[stop.start()] not in FULL_STOPS:
                continue
            if stop_at - at < _CLAUSE and text[stop.start() : stop_at] == "" and not _GAP.match(text, stop_at):
                continue
            if _stops(text[max(start, stop_at - 40) : stop_at], text[stop_at : stop_at + 40] or _onward(after[:40])):
                yield at, stop_at
                at = stop_at
        yield at, end


def _onward(after: str) -> str:
    """What comes after a chunk that ends here: another word, except in scripts without spaces between words."""
    return after if _UNSTOPPED.match(after) else " " + after


def _stops(lead: str, following: str) -> bool:
    """Whether a sentence ends between `lead` and `following`."""
    core = lead.rstrip(CLOSERS + SPACES)
    if core and _UNSTOPPED.match(core[-1]) and (not following or following[0].isspace()):
        onward = following.strip()
        if not onward or _GAP.match(following):
            return not onward or _UNSTOPPED.match(onward) is not None
        return core[-1] not in _REPEATED and _CLAUSE_START.match(onward) is not None
    if not core or not ends_with_stop(core):
        return False
    if core[-1] in FULL_STOPS and _QUOTED.search(lead[len(core) :]) and _GOES_ON.match(following):
        return False
    if core[-1] in FULL_STOPS or _PARAGRAPH_END.match(following):
        return True
    onward = following.lstrip().lstrip(OPENERS)
    goes_on = onward[:1].islower() and has_capitals(core) and not NAMED.match(onward)
    if goes_on or (following and not following[0].isspace()):
        return False
    if core[-1] != "." or core[-2:-1] in tuple(TERMINATORS):
        return True
    token = _TOKEN_START.split(core[-17:-1])[-1].lstrip(OPENERS).casefold()
    if token in ABBREVIATIONS or (token in BEFORE_NUMBER and _NUMERAL.match(following)):
        return False
    if len(token) == 1 and token.isalpha() and token != "i":  # an initial; "said I." does end
        return False
    return not (token[-2:-1] == "." and len(token) <= 8)  # "e.g.", "U.S."


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Without white space, dialogue dashes, and a quotation mark whose partner stands in another sentence."""
    start, end = _strip(text, start, end)
    if end - start > MAX_CHARS or end - start < 2 or balanced(text[start:end]):
        return start, end
    if text[start] in OPENERS and balanced(text[start + 1 : end]):
        start += 1
    elif text[end - 1] in CLOSERS and balanced(text[start : end - 1]):
        end -= 1
    return _strip(text, start, end)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and (text[start].isspace() or text[start] in DASHES):
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def misplaced(chunk: str, start: int, end: int, before: str, after: str) -> str | None:
    """Why the chunk's text at start:end is no whole sentence of running text, or None."""
    if not (_clean_start(chunk, start, before) and _clean_end(chunk, end, after)):
        return "cut"
    lead = chunk[max(0, start - _REACH) : start].split("\n\n")[-1]
    rest = chunk[end : end + _REACH].split("\n\n")[0]
    lines = [line.strip() for line in (lead + chunk[start:end] + rest).strip().split("\n")]
    capitals = sum(line.lstrip(OPENERS + DASHES)[:1].isupper() for line in lines)
    if any(_is_hard_break(chunk, at) for at in _line_feeds(chunk, start, end)):
        return "heading"
    if is_boilerplate(" ".join(lines)):
        return "boilerplate"
    if len(lines) > 1 and max(map(len, lines)) < _VERSE_WIDTH and capitals > 0.7 * len(lines):
        return "verse"
    return None


def _line_feeds(text: str, start: int, end: int) -> Iterator[int]:
    at = text.find("\n", start, end)
    while at >= 0:
        yield at
        at = text.find("\n", at + 1, end)


def _clean_start(chunk: str, start: int, before: str) -> bool:
    lead = chunk[max(0, start - _REACH) : start]
    if start <= _REACH and len(lead.strip()) < 2:  # nothing but a separator or an opening mark stands before it
        lead = before[-_REACH:] + lead
    kept = lead.rstrip(OPENERS + DASHES + " \t\r\n")
    if not kept or _PARAGRAPH_END.search(lead, len(kept)):
        return True
    above, line = kept.rpartition("\n")[2], lead.rpartition("\n")[2]
    if _BULLET.fullmatch(line) or _RULER.fullmatch(above):
        return True
    if "\n" in lead and not line.strip() and len(line) > len(above) - len(above.lstrip()) + 1:
        return True  # a deeper indentation opens a block
    gap = chunk[max(0, start - 40) : start].rstrip(OPENERS + DASHES + " \t")
    if gap.endswith("\n") and _is_hard_break(chunk, chunk.rfind("\n", 0, start)):
        return True
    if _UNSTOPPED.match(kept[-1]) and not lead[-1].isspace():
        return False
    return _stops(lead.rstrip()[-40:], " " + chunk[start : start + 40])


def _clean_end(chunk: str, end: int, after: str) -> bool:
    rest = chunk[end : end + 60]
    following = (rest if rest.strip() else rest + _onward(after[:60])).lstrip(CLOSERS)
    return _stops(chunk[max(0, end - 40) : end], following)
