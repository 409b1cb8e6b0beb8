"""Lines of scripts that are read from right to left, as pdfium gives them, in the order of reading.

pdfium orders a line by stretches of one direction. In one that reads from the right it turns the order of all stretches
round, and takes the blanks and hyphens between two Latin words for ends of stretches: "Common Weakness Enumeration"
comes as "Enumeration Weakness Common". Here such words are turned back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from datagen.text.formats.lines import Page

RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"  # Hebrew, Arabic and their kin
_STRETCH = re.compile(rf"(?P<right>[{RIGHT}]+)|(?P<left>[^\W{RIGHT}_]+)")
_PART = rf"[^\s{RIGHT}()\[\]،,.;:]*"
_LATIN = re.compile(rf"[^\W\d_{RIGHT}]{_PART}(?:[ \-–/]+{_PART}[^\W_{RIGHT}]{_PART})+")


def is_right_to_left(text: str) -> bool:
    """Whether a text has more letters of such scripts than of others."""
    right = sum(map(len, re.findall(f"[{RIGHT}]+", text)))
    return right > sum(c.isalpha() for c in text) - right


def in_reading_order(pages: Sequence[Page]) -> list[Page]:
    """The pages with their lines in reading order. Where the document is read from the right, places are mirrored, too:
    lines begin at `x0` then, as others do.
    """
    mirrored = is_right_to_left("".join(line.text for page in pages for line in page.lines))
    if not mirrored:
        return list(pages)
    return [
        replace(
            page, lines=tuple(replace(line, text=_turned(line.text), x0=-line.x1, x1=-line.x0) for line in page.lines)
        )
        for page in pages
    ]


def _turned(text: str) -> str:
    stretches = list(_STRETCH.finditer(text))
    if sum(m["right"] is not None for m in stretches) * 2 < len(stretches) or not re.search(f"[{RIGHT}]", text):
        return text
    return _LATIN.sub(lambda m: _reversed(m[0]), text)


def _reversed(words: str) -> str:
    def of_word(word: str) -> str:
        return "-".join(word.split("-")[::-1]) if not any(c.isdigit() for c in word) else word

    parts = re.split("( +)", words)
    return "".join(of_word(part) for part in parts[::-1])
