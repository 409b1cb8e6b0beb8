"""EPUB as text: its chapters in the order of the spine, each XHTML, without the table of contents.

Source: EPUB 3.3 (W3C), sections 4.2.6 (container.xml), 5.2 (the package document) and 5.7 (the spine). EPUB 2 is read
alike.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from datagen.text.formats import html, packed
from datagen.text.formats.extracted import MOST_HEADINGS, Extracted, Limits, Unreadable, collapsed, joined

MOST_CHAPTERS = 20_000
VOID = "area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr"
FONTS = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}  # what hides fonts, and no text
_EMPTY = re.compile(
    rf"""<(?!(?:{VOID})\b)([A-Za-z][\w:.-]*+)((?>(?:[^<>"'/]|/(?!>)|"[^"<]*+"|'[^'<]*+')*))/>""", re.IGNORECASE
)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)  # one that nothing closes reaches to the end


def extract(path: str, limits: Limits) -> Extracted:
    """The text of a book, with its headings.

    Raises Unreadable where it is encrypted, damaged, too large, or holds no text.
    """
    with packed.archive(path) as book:
        _check_rights(book, limits)
        place, package = _package(book, limits)
        title = next((_text(each) for each in package.iter() if _tag(each) == "title" and _text(each)), "")
        parts: list[str] = []
        headings: list[tuple[int, int, str]] = []
        length = unpacked = missing = 0
        for name in _spine(place, package):
            limits.alive()
            raw = packed.member(book, name, limits)
            if raw is None:
                missing += 1
                continue
            unpacked += len(raw)
            limits.check(unpacked)
            text, _ = html.decoded(raw)
            blocks, _ = html.blocks_of(as_html(text), limits)
            chapter, found = joined(blocks, length + 2 * bool(parts))
            if chapter:
                length += len(chapter) + 2 * bool(parts)
                parts.append(chapter)
                headings += found[: MOST_HEADINGS - len(headings)]
    if not parts:
        raise Unreadable("no text", "no chapter of the book holds text; its pages may be images")
    more = {"chapters_missing": missing} if missing else {}
    return Extracted("\n\n".join(parts), html.version(), title, headings=headings, more=more)


def as_html(text: str) -> str:
    """XHTML as an HTML parser understands it: an empty element is closed, and CDATA is text."""
    text = _CDATA.sub(lambda m: m[1].replace("&", "&amp;").replace("<", "&lt;"), text)
    return _EMPTY.sub(r"<\1\2></\1>", text)


def _check_rights(book: zipfile.ZipFile, limits: Limits) -> None:
    """Raise Unreadable for a book whose text is encrypted. Fonts that are hidden are no text."""
    raw = packed.member(book, "META-INF/encryption.xml", limits)
    if raw is None and "META-INF/rights.xml" not in book.namelist():
        return
    methods = {
        each.get("Algorithm") for each in packed.xml(raw, "encryption.xml").iter() if _tag(each) == "EncryptionMethod"
    } if raw is not None else {None}  # fmt: skip
    if methods - FONTS:
        raise Unreadable("encrypted", "the book is protected by DRM: get a copy without it from where it was bought")


def _package(book: zipfile.ZipFile, limits: Limits) -> tuple[str, Element]:
    """The place and the root of the package document."""
    raw = packed.member(book, "META-INF/container.xml", limits)
    if raw is not None:
        roots = [each.get("full-path") for each in packed.xml(raw, "container.xml").iter() if _tag(each) == "rootfile"]
    else:
        roots = [name for name in book.namelist() if name.endswith(".opf")]
    for place in roots:
        if place and (found := packed.member(book, place, limits)) is not None:
            return place, packed.xml(found, place)
    raise Unreadable("damaged file", "the book has no package document (.opf): it is no EPUB")


def _spine(place: str, package: Element) -> list[str]:
    """The members that are the chapters, in order, each once."""
    items = {each.get("id"): each for each in package.iter() if _tag(each) == "item"}
    names: dict[str, None] = {}
    for ref in [each for each in package.iter() if _tag(each) == "itemref"][:MOST_CHAPTERS]:
        item = items.get(ref.get("idref"))
        href = item.get("href") if item is not None else None
        is_contents = item is not None and "nav" in (item.get("properties") or "").split()
        if href and not is_contents:
            names[posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(href.split("#")[0])))] = None
    return list(names)


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _text(element: Element) -> str:
    return collapsed("".join(element.itertext())).strip()
