"""Zip archives by strangers: their members within bounds, and their XML without declarations that expand."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree

from datagen.text.formats.extracted import Limits, Unreadable

MOST_MEMBERS = 50_000
_DECLARES = re.compile("<!(?:ENTITY|ATTLIST|ELEMENT)")


@contextmanager
def archive(path: str) -> Iterator[zipfile.ZipFile]:
    """An archive that is open. Raises Unreadable where it is none, has too many members, or is encrypted."""
    try:
        with zipfile.ZipFile(path) as opened:
            if len(opened.infolist()) > MOST_MEMBERS:
                n = len(opened.infolist())
                raise Unreadable("too large", f"{n:,} files in it, where {MOST_MEMBERS:,} are the most")
            if any(info.flag_bits & 1 for info in opened.infolist()):
                raise Unreadable(
                    "encrypted", "files in it are encrypted: unpack it with its password, and pack it again"
                )
            yield opened
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, ValueError, OSError) as e:
        raise Unreadable("damaged file", f"not a zip archive that can be unpacked: {e}") from None


def member(opened: zipfile.ZipFile, name: str, limits: Limits) -> bytes | None:
    """What a member holds, None where there is none of this name. Raises Unreadable where it is too large.

    Of what it is said to hold, no byte more is unpacked.
    """
    try:
        info = opened.getinfo(name)
    except KeyError:
        return None
    limits.check(info.file_size)
    with opened.open(info) as stream:
        raw = stream.read(limits.most_bytes + 1)
    limits.check(len(raw))
    return raw


def xml(raw: bytes, what: str) -> ElementTree.Element:
    """The root of an XML document. Raises Unreadable where it is none, or declares entities: nothing is expanded, and
    nothing is fetched.
    """
    check_xml(raw, what)
    try:
        return ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError) as e:
        raise Unreadable("damaged file", f"{what} is no XML: {e}") from None


def check_xml(raw: bytes, what: str) -> None:
    """Raise Unreadable for XML that declares entities or the like, in whichever encoding."""
    text = raw.replace(b"\0", b"").decode("latin-1")  # of UTF-16 and 32, the ASCII characters
    if _DECLARES.search(text):
        raise Unreadable("damaged file", f"{what} declares entities, which no such document needs")
