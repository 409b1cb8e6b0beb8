"""A text file's encoding: the one that is given, else a byte order mark, else UTF-8, else the likeliest (legacy.py).

What fits no encoding, or two that make different texts of it, is refused, never read as something in silence.
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from datagen.text import legacy

# Longest first: the mark of UTF-16 begins the one of UTF-32. Each with the codec that reads mark and text together,
# which is the one recorded, and the one that reads the text behind the mark.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
)

# Encodings of seven bits a byte look like ASCII: what begins their other characters, and which read them.
ESCAPE = re.compile(rb"\x1b\$(?:[@AB]|[()][A-D])")
ISO_2022 = ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext", "iso2022_jp_2004", "iso2022_kr")
HZ = re.compile(rb"~\{(?:[!-}][!-~])+~\}")
UTF_7 = re.compile(rb"\+[A-Za-z0-9/]{3,}-?")
NEAR = 50_000  # bytes around such a place that are looked at

CONTROLS = bytes({*range(32), 127} - {*b"\t\n\r\f\x1b"})
FEW_CONTROLS = 0.9  # of a text's bytes are no control characters; of one of UTF-16 or 32 many are
GARBLED = 4  # characters of which each became several, before it is no chance
# Bytes 0x80 to 0x9f as those who read UTF-8 as cp1252 see them.
WESTERN = {ord(char): byte for byte in range(128, 160) if (char := bytes([byte]).decode("cp1252", "ignore"))}


class BadDocument(Exception):
    """What cannot be a document: a short reason, what was seen, and the document's id if it is known."""

    def __init__(self, reason: str, what: str, doc_id: str | None = None):
        super().__init__(reason, what)
        self.reason, self.what, self.doc_id = reason, what, doc_id


def mark_of(raw: bytes) -> tuple[bytes, str, str]:
    """The byte order mark at the start, the codec that reads it and the text, the one that reads only the text."""
    return next((known for known in MARKS if raw.startswith(known[0])), (b"", "utf-8", "utf-8"))


def decode(raw: bytes, encoding: str | None = None) -> tuple[str, str]:
    """The text in a text file's bytes, its line ends untouched, and the Python codec that reads it.

    `encoding`, a Python codec, overrules all that the bytes look like. Else a byte order mark decides, then UTF-8 if it
    is valid, then what is likely.

    Raises BadDocument for what cannot be decoded so: bytes that are UTF-8 but for a few damaged places, or in a few
    lines; bytes that nothing fits, or that two encodings fit alike; and text that was garbled before it was written.
    """
    if encoding:
        return _as_given(raw, encoding)
    mark, name, codec = mark_of(raw)
    try:
        text = raw[len(mark) :].decode(codec)
    except UnicodeDecodeError as e:
        at = len(mark) + e.start
    else:
        return (text, name) if codec != "utf-8" else _checked(raw, text, name)
    if codec != "utf-8":
        what = f"{_place(raw, at)} is not {codec}, which the first bytes of the file announce"
        raise BadDocument("undecodable", what)
    if mark:
        raise BadDocument("invalid UTF-8", f"{_place(raw, at)} is not valid UTF-8, which the rest of the file is")
    return _likely(raw, at)


def _place(raw: bytes, at: int) -> str:
    return f"line {raw.count(10, 0, at) + 1}, byte {at} of the file (0x{raw[at]:02x})"


def _as_given(raw: bytes, encoding: str) -> tuple[str, str]:
    """The text in the encoding that a person gave. Raises BadDocument where it does not decode."""
    mark, name, codec = mark_of(raw)
    given = codecs.lookup(encoding).name
    mark, given = (mark, codec) if given in (name, codec) else (b"", given)
    try:
        return raw[len(mark) :].decode(given), name if mark else given
    except UnicodeDecodeError as e:
        at = min(len(mark) + e.start, len(raw) - 1)
        what = f"{_place(raw, at)} is not {encoding}, which input.encoding says it is"
        raise BadDocument("undecodable", what) from None


def _checked(raw: bytes, text: str, name: str) -> tuple[str, str]:
    """The text of valid UTF-8, unless it is something else that looks like it. Raises BadDocument."""
    if raw.isascii() and (found := _seven_bits(raw)):
        return found
    if len(raw[:NEAR].translate(None, CONTROLS)) < FEW_CONTROLS * len(raw[:NEAR]):
        wide = legacy.choose(raw)
        return (text, name) if wide.text is None else (wide.text, wide.encoding)
    if garbled := _garbled(text):
        at, wrong, right, codec = garbled
        line = text.count("\n", 0, at) + 1
        what = f"line {line}: {wrong!r} for {right!r}: UTF-8 was read as {codec} and written"
        repair = f"--set input.encoding={name} takes it as it is"
        with suppress(UnicodeEncodeError):
            text.encode(codec)
            repair = f"iconv -f utf-8 -t {codec} repairs it, {repair}"
        raise BadDocument("garbled", f"{what} again; {repair}")
    return text, name


def _seven_bits(raw: bytes) -> tuple[str, str] | None:
    """The text that bytes of ASCII stand for, and its codec; None where they stand for themselves. Raises BadDocument
    where that cannot be told.
    """
    if escape := ESCAPE.search(raw):
        for codec in ISO_2022:
            with suppress(UnicodeDecodeError):
                if not (text := raw.decode(codec)).isascii():
                    return text, codec
        what = f"{_place(raw, escape.start())} begins ISO-2022, which the rest is not"
        raise BadDocument("undecodable", f"{what}; --set input.encoding=ascii takes it as it is")
    if (found := HZ.search(raw)) and _natural(raw, found.start(), "hz"):
        with suppress(UnicodeError):
            return raw.decode("hz"), "hz"
    if (found := UTF_7.search(raw)) and _natural(raw, found.start(), "utf-7"):
        what = f"{_place(raw, found.start())} may begin UTF-7 or be what it looks like"
        raise BadDocument("undecodable", f"{what}: --set input.encoding=utf-7, or =ascii, says which")
    return None


def _natural(raw: bytes, at: int, codec: str) -> bool:
    """Whether the bytes from that line on are likely text in a codec, other than ASCII."""
    at = raw.rfind(b"\n", 0, at) + 1
    end = raw.rfind(b"\n", at, at + NEAR) + 1 or at + NEAR
    try:
        text = codecs.getincrementaldecoder(codec)().decode(raw[at:end])
    except UnicodeDecodeError:
        return False
    reading = legacy.read(codec, text)
    return not text.isascii() and (reading.is_plausible or reading.has_plausible_words)


def _garbled(text: str) -> tuple[int, str, str, str] | None:
    """Where all of a text is UTF-8 that was read as another encoding and written as UTF-8 again: the first place, what
    stands there, what belongs there, and the encoding.
    """
    first = re.search(r"[^\x00-\x7f]", text)
    start = first.start() if first else len(text)
    end = max(text.rfind(mark, start, start + NEAR) for mark in " \n")
    for codec in ("cp1252", "cp1251"):
        table = WESTERN if codec == "cp1252" else {}
        written = "latin-1" if table else codec
        try:
            text[start:end].translate(table).encode(written).decode()  # which nearly all texts fail at
            right = text.translate(table).encode(written).decode()
        except UnicodeError:
            continue
        n = sum(map(len, re.findall(r"[^\x00-\x7f]", right)))
        if n >= GARBLED:
            at = next(i for i, (a, b) in enumerate(zip(text, right, strict=False)) if a != b)
            width = len(right[at].encode())
            return at, text[at : at + width], right[at], codec
    return None


def _likely(raw: bytes, at: int) -> tuple[str, str]:
    """The text in the encoding in which it is the likeliest. Raises BadDocument where none is, or several are."""
    choice = legacy.choose(raw)
    where = f"{_place(raw, at)} is not"
    likely = choice.likely or ((choice.encoding,) if choice.text is not None else ())
    if b"\0" not in raw and likely and (line := legacy.foreign_line(raw, likely[0])):
        raise BadDocument("undecodable", f"{where} UTF-8, and line {line} is: convert either to the other's encoding")
    if choice.text is not None:
        return choice.text, codecs.lookup(choice.encoding).name
    if b"\0" in raw:
        nul = f"byte {raw.index(0)} is NUL; if this is UTF-16 without its mark, convert it to UTF-8"
        raise BadDocument("NUL bytes", nul)
    if choice.encoding == "utf-8":
        raise BadDocument("invalid UTF-8", f"{where} valid UTF-8, which the rest of the file is")
    if len(choice.likely) == 2:
        first, second = choice.likely
        what = f"UTF-8; {first} and {second} fit alike: say which by --set input.encoding={first}"
    elif choice.likely:
        what = f"UTF-8, and no other encoding fits surely; if you know it, --set input.encoding={choice.likely[0]}"
    else:
        what = "UTF-8, and no other encoding fits; iconv -c -f utf-8 leaves such bytes out"
    raise BadDocument("undecodable", f"{where} {what}")
