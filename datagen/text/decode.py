"""A text file's encoding: a byte order mark, else UTF-8, else the likeliest that charset-normalizer finds.

What fits no encoding with confidence is refused, never read as something else in silence.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

# Longest first: the mark of UTF-16 begins the one of UTF-32. Each with the codec that reads mark and text together,
# which is the one recorded, and the one that reads the text behind the mark.
MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
]

# The legacy encodings of the web, the likelier first. No others are tried: each further code page would turn more text
# into nonsense than it rescues. Those of the Latin script differ in a few letters; the language tells them apart.
LEGACY = ["cp1252", "cp1251", "cp1250", "gb18030", "cp932", "euc_jp", "big5", "cp949", "cp1253", "cp1254", "cp1255"]
LEGACY += ["cp1256", "cp1257", "iso8859_2", "koi8_r", "iso8859_5", "cp866", "mac_cyrillic"]
EAST_ASIAN = {"gb18030", "cp932", "euc_jp", "big5", "cp949"}
LATIN = {"cp1252", "cp1250", "cp1254", "cp1257", "iso8859_2"}
CENTRAL = {"cp1250", "iso8859_2"}
NATIVE = dict.fromkeys(["Hungarian", "Polish", "Czech", "Slovak", "Slovene", "Croatian", "Romanian"], CENTRAL)
NATIVE |= {"Turkish": {"cp1254"}, "Lithuanian": {"cp1257"}, "Latvian": {"cp1257"}, "Estonian": {"cp1257"}}
ENOUGH = 4000  # bytes of text from which its language can be told

# What gives a wrong encoding away: control characters, and amid Latin letters those of another script, or symbols.
CONTROL = re.compile("[\x80-\x9f]")
SCRIPTS = "\u0370-\u06ff"
SYMBOLS = "\xa1-\xaa\xac\xae-\xb3\xb5\xb6\xb8-\xba\xbc-\xbf\xd7\xf7\u02c6-\u02dd‚„†‡‰\u3000-\ud7a3\uff61-\uff9f"
STRANGE = re.compile(f"[{SCRIPTS}{SYMBOLS}]")
MIXED = re.compile(f"[a-z][{SCRIPTS}]|[{SCRIPTS}][a-z]|[a-z][{SYMBOLS}][a-z]", re.IGNORECASE)


class BadDocument(Exception):
    """What cannot be a document: a short reason, what was seen, and the document's id if it is known."""

    def __init__(self, reason: str, what: str, doc_id: str | None = None):
        super().__init__(reason, what)
        self.reason, self.what, self.doc_id = reason, what, doc_id


def mark_of(raw: bytes) -> tuple[bytes, str, str]:
    """The byte order mark at the start, the codec that reads it and the text, the one that reads only the text."""
    return next((known for known in MARKS if raw.startswith(known[0])), (b"", "utf-8", "utf-8"))


def decode(raw: bytes) -> tuple[str, str]:
    """The text in a text file's bytes, its line ends untouched, and the Python codec that reads it.

    A byte order mark decides, then UTF-8 if it is valid, then statistics. Bytes that are UTF-8 but for a few damaged
    places are refused, because some other encoding would read them, wrongly; so are bytes nothing fits. What is refused
    raises BadDocument.
    """
    mark, encoding, codec = mark_of(raw)
    try:
        return raw[len(mark) :].decode(codec), encoding
    except UnicodeDecodeError as e:
        start = len(mark) + e.start
    where = f"line {raw.count(10, 0, start) + 1}, byte {start} of the file (0x{raw[start]:02x})"
    if codec != "utf-8":
        raise BadDocument("undecodable", f"{where} is not {codec}, which the first bytes of the file announce")
    good = raw.decode("utf-8", "ignore")
    multibyte, invalid = len(good) - len(good.encode("ascii", "ignore")), len(raw) - len(good.encode())
    if mark or multibyte > invalid:
        raise BadDocument("invalid UTF-8", f"{where} is not valid UTF-8, which the rest of the file is")
    if b"\0" in raw:
        what = f"byte {raw.index(0)} is NUL; if this is UTF-16 without its mark, convert it to UTF-8"
        raise BadDocument("NUL bytes", what)
    guess = _guess(raw)
    if guess is None:
        raise BadDocument(
            "undecodable", f"{where} is not UTF-8, and no other encoding fits; iconv -c -f utf-8 leaves such bytes out"
        )
    return guess


def _guess(raw: bytes) -> tuple[str, str] | None:
    """The text and its legacy encoding, or None where nothing is likely enough.

    charset-normalizer says of each encoding how messy the text looks in it ("chaos") and how far its letters are those
    of a language ("coherence"). Its first choice among near equals is arbitrary (Central European for English with a
    few accents), so the choice among them is made here.
    """
    from charset_normalizer import from_bytes

    # It looks at a few stretches, where a rare accent need not occur: give it only lines that have one. (Long lines are
    # cut, at a blank, which is never half of a character.)
    sample = bytearray()
    for line in re.finditer(rb"[^\n]{,4096}[^\n ]*[\n ]?", raw):
        if not line[0].isascii():
            sample += line[0]
        if len(sample) > 1 << 16:
            break
    found: list[tuple[set[str], CharsetMatch]] = []
    for match in from_bytes(sample, cp_isolation=LEGACY):
        text = str(match)
        mixed = len(MIXED.findall(text)) > 0.05 * len(STRANGE.findall(text))
        names = {match.encoding, *(same.encoding for same in match.submatch)}
        # Letters of no language are no evidence; but coherence is blind to East Asia, and cp1252 is the common case.
        if not mixed and not CONTROL.search(text) and (match.coherence >= 0.25 or names & {"cp1252", *EAST_ASIAN}):
            found.append((names, match))
    near = _near(found, 0.005, 0.05)
    encoding = next((name for name in LEGACY if any(name in names for names, _ in near)), None)
    if encoding in LATIN:
        near = _near([(names, match) for names, match in found if names & LATIN], 0.1, 0.15)
        language = max((match for _, match in near), key=lambda match: match.coherence).language
        common = [names for names, _ in near if "cp1252" in names]
        native = [names for names, _ in near if names & NATIVE.get(language, set())]
        names = (native or common or [near[0][0]])[0]
        if common and names not in common and len(sample) < ENOUGH:
            return None
        encoding = next(name for name in LEGACY if name in names)
    try:
        text = raw.decode(encoding) if encoding else "\x80"
    except UnicodeDecodeError:
        return None
    if CONTROL.search(text):
        return None
    return text, codecs.lookup("latin-1" if raw.decode("latin-1") == text else str(encoding)).name


def _near(
    found: list[tuple[set[str], CharsetMatch]], chaos: float, coherence: float
) -> list[tuple[set[str], CharsetMatch]]:
    """Those about as tidy as the tidiest, and of them those about as coherent as the most coherent; tidiest first."""
    found = sorted(found, key=lambda each: each[1].chaos)
    found = [each for each in found if each[1].chaos <= found[0][1].chaos + chaos]
    most = max((match.coherence for _, match in found), default=0)
    return [each for each in found if each[1].coherence >= most - coherence]
