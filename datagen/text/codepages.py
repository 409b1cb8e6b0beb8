"""The encodings before Unicode: which there are, how common each is, and which languages it was made for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from datagen.text import scripts


def _listed(names: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(versions.split("/")) for versions in names.split())


def _by_encoding(names: dict[str, str]) -> dict[str, str]:
    return {encoding: value for value, encodings in names.items() for encoding in encodings.split()}


# The likelier first: that one names a text which several read alike. Behind a slash are further versions of one
# encoding, of which the first that decodes all bytes counts.
COMMON = _listed(
    "latin-1 cp1252 gb18030 cp932/shift_jis_2004 cp1251 cp949 cp1250 big5/cp950/big5hkscs euc_jp/euc_jis_2004 cp1254 "
    "cp1256 cp1253 cp1255 cp1257 cp1258 cp874 iso8859-2 koi8-r"
)
USUAL = _listed(
    "iso8859-15 iso8859-7 iso8859-9 iso8859-5 iso8859-6 iso8859-8 iso8859-13 iso8859-16 iso8859-4 koi8-u cp866 cp850 "
    "cp437 cp852 mac-roman"
)
RARE = _listed(
    "cp1125 cp855 cp857 cp737 cp862 cp775 cp720 cp869 cp858 mac-cyrillic mac-latin2 mac-greek mac-turkish mac-iceland "
    "johab iso8859-3 iso8859-10 iso8859-14 cp861 cp865 kz1048 ptcp154 hp-roman8 cp860 cp863 koi8-t"
)
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
MULTIBYTE = re.compile("gb18030|cp932|cp949|big5|euc|johab")
# How common they are, and how likely in a language that they were not made for: base-10 logarithms.
COMMON_LOG, USUAL_LOG, RARE_LOG = -0.5, -1.5, -2.5
PRIOR = ((COMMON, COMMON_LOG), (USUAL, USUAL_LOG), (RARE, RARE_LOG))
ELSEWHERE, WITHOUT_SCRIPT = -2.0, -3.0

# Encodings of the Latin script, by the languages that they were made for.
REGIONAL = _by_encoding(
    {
        "pl cs sk hu ro sh sl": "cp1250 iso8859-2 iso8859-16 cp852 mac-latin2",
        "lt lv": "cp1257 iso8859-13 iso8859-4 iso8859-10 cp775",
        "tr": "cp1254 iso8859-9 iso8859-3 cp857 mac-turkish",
        "vi": "cp1258",
        "is": "mac-iceland cp861",
    }
)
# Those of other scripts: each has letters of its own in a text, or is unlikely.
SCRIPT_OF = _by_encoding(
    {
        "Cyrillic": "cp1251 koi8-r koi8-u koi8-t iso8859-5 cp866 cp1125 cp855 mac-cyrillic kz1048 ptcp154",
        "Greek": "cp1253 iso8859-7 cp737 cp869 mac-greek",
        "Hebrew": "cp1255 iso8859-8 cp862",
        "Arabic": "cp1256 iso8859-6 cp720 cp864",
        "Thai": "cp874",
        "Han": "gb18030 big5 cp950 big5hkscs",
        "Japanese": "cp932 shift_jis_2004 euc_jp euc_jis_2004",
        "Hangul": "cp949 johab",
    }
)
SHORT = 4096  # bytes: so short a text may have two or four bytes a character and no zero among them
_CONTROL = re.compile("[\x80-\x9f]")


def candidates(raw: bytes) -> Iterator[tuple[tuple[str, ...], float]]:
    """The encodings that may read bytes, each in all versions, and the logarithm of how common it is; of those of one
    byte a character that read the same text, the first.
    """
    if b"\0" in raw or (len(raw) <= SHORT and len(raw) % 2 == 0):
        yield from (((name,), COMMON_LOG if b"\0" in raw else RARE_LOG) for name in WIDE)
    if b"\0" in raw:
        return
    used = bytes(byte for byte in range(128, 256) if byte in raw)
    seen: set[str] = set()
    for group, prior in PRIOR:
        for names in group:
            if MULTIBYTE.match(names[0]):
                yield names, prior
                continue
            try:
                text = used.decode(names[0])
            except UnicodeDecodeError:
                continue
            if text not in seen and not _CONTROL.search(text):
                seen.add(text)
                yield names, prior


def versions(encoding: str) -> tuple[str, ...]:
    """The versions of an encoding, by the name of one; the first that decodes a text counts."""
    return next((names for group, _ in PRIOR for names in group if encoding in names), (encoding,))


def away(encoding: str, language: str) -> float:
    """How likely an encoding is for a language that it was not made for, as a base-10 logarithm; 0 for its own."""
    if language not in scripts.LANGUAGES_OF.get(SCRIPT_OF.get(encoding, ""), (language,)):
        return WITHOUT_SCRIPT
    return ELSEWHERE if language not in REGIONAL.get(encoding, language).split() else 0.0
