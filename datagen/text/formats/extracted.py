"""What an extractor gives, and how paragraphs become the text of a document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from datagen.text.scripts import WRAPPED_ANYWHERE

MOST_HEADINGS = 1000  # that are noted of a document
HEADING = 200  # characters of one that are noted
MB = 1_000_000

_NO_SPACE = re.compile(rf"(?<=[{WRAPPED_ANYWHERE}])[ \t\r\f]*\n[ \t\r\n\f]*(?=[{WRAPPED_ANYWHERE}])")
# What nobody sees, and what can't be written.
UNSEEN = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\xad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff]")


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


class Unreadable(Exception):
    """What cannot be read as a document: one of few reasons, and what was seen, with what would help."""

    def __init__(self, reason: str, what: str):
        super().__init__(reason, what)
        self.reason, self.what = reason, what


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a list's item, a table. level: of a heading, from 1; 0 for anything else. gap: the line feeds that
    part it from the block before it.
    """

    text: str
    level: int = 0
    gap: int = 2


@dataclass(slots=True)
class Extracted:
    """A document's text, and what is known of its places.

    pages: (number from 1, character of the text at which it begins). headings: (character, level from 1, text), at most
    MOST_HEADINGS. more: what else is to be said of it, by name.
    """

    text: str
    extractor: str
    title: str = ""
    encoding: str = "utf-8"
    pages: list[tuple[int, int]] = field(default_factory=list)
    headings: list[tuple[int, int, str]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def metadata(self, kind: str) -> dict[str, Any]:
        """What stands in a document's metadata; nothing that is empty does."""
        found = {"kind": kind, "extractor": self.extractor, "title": self.title, "pages": self.pages}
        return {name: value for name, value in (found | {"headings": self.headings} | self.more).items() if value}


@dataclass(frozen=True, slots=True)
class Limits:
    """most_bytes: of what is unpacked, and of the text. alive: called now and then; whoever waits knows by it that the
    work goes on.
    """

    most_bytes: int
    alive: Callable[[], None]

    def check(self, n: int) -> None:
        """Raise Unreadable where n bytes are more than may be."""
        if n > self.most_bytes:
            most = f"{self.most_bytes // MB:,} MB when unpacked, which is input.max_document_mb"
            raise Unreadable("too large", f"over {most}")


def joined(blocks: Iterable[Block], start: int = 0) -> tuple[str, list[tuple[int, int, str]]]:
    """The text of blocks, and its headings, whose places are counted from `start`. A block without text is left out;
    a heading is one line.
    """
    parts: list[str] = []
    headings: list[tuple[int, int, str]] = []
    length = 0
    for block in blocks:
        text = collapsed(block.text).strip() if block.level else block.text
        if not text.strip():
            continue
        if parts:
            parts.append("\n" * block.gap)
            length += block.gap
        if block.level and len(headings) < MOST_HEADINGS:
            headings.append((start + length, block.level, text[:HEADING]))
        parts.append(text)
        length += len(text)
    return "".join(parts), headings


def collapsed(text: str) -> str:
    """A stretch of running text on one line: blanks as one space, none between lines of a script that writes none, and
    characters that nobody sees left out.
    """
    if "\n" in text:
        text = _NO_SPACE.sub("", text)
    return re.sub("[ \t\r\n\f\xa0\u2028\u2029]+", " ", UNSEEN.sub("", text))
