"""Which script a text is written in."""

from __future__ import annotations

import unicodedata
from collections import Counter

NAMES = {
    "CJK": "Han",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HALFWIDTH": "Japanese",
    "KATAKANA-HIRAGANA": "Japanese",
    "FULLWIDTH": "Latin",
}
LOOKED_AT = 20_000  # characters


def counts(text: str) -> Counter[str]:
    """How many letters of each script are in a text, by the first word of their names in Unicode."""
    found: Counter[str] = Counter()
    for char, n in Counter(text).items():
        if char.isalpha():
            first = unicodedata.name(char, "UNKNOWN").partition(" ")[0]
            found[NAMES.get(first, first.capitalize())] += n
    return found


def script(text: str) -> str:
    """The script most of the text's first letters are of, such as Latin, Cyrillic, Han, Hangul; empty without letters.

    Han with at least one kana to twenty of its characters is Japanese.
    """
    found = counts(text[:LOOKED_AT])
    if not found:
        return ""
    if found["Japanese"] * 20 >= found["Han"] > 0:
        return "Japanese" if found["Japanese"] + found["Han"] >= max(found.values()) else found.most_common(1)[0][0]
    return found.most_common(1)[0][0]
