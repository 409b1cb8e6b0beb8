"""DOCX as text, by mammoth, which makes HTML of it: headings by the styles that have that name, lists, tables, notes.

Before mammoth sees the file, its members are held against the limits, and none may declare entities.
"""

from __future__ import annotations

import zipfile
from typing import Any

from datagen.text.formats import html, packed
from datagen.text.formats.extracted import Extracted, Limits, Unreadable, collapsed, joined

COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # what encrypted Office files, and those before 2007, begin with
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name^='toc '] =>
p[style-name^='TOC '] =>
p[style-name^='Contents '] =>
p[style-name^='Code'] => pre:separator('\\n')
p[style-name^='Source Code'] => pre:separator('\\n')
p[style-name^='Preformatted'] => pre:separator('\\n')
p[style-name^='HTML Preformatted'] => pre:separator('\\n')
"""


def extract(path: str, limits: Limits) -> Extracted:
    """The text of a document, with its headings.

    Raises Unreadable where it is encrypted, damaged or too large.
    """
    with open(path, "rb") as stream:
        if stream.read(8) == COMPOUND:
            if ENCRYPTED in stream.read(1 << 20):
                raise Unreadable(
                    "encrypted", "the document needs a password: save it without one, in Word or LibreOffice"
                )
            raise Unreadable(
                "another format", "a Word document of before 2007: soffice --headless --convert-to docx FILE"
            )
    with packed.archive(path) as opened:
        title = _checked(opened, limits)
    page = _html(path)
    limits.alive()
    blocks, _ = html.blocks_of(page, limits)
    text, headings = joined(blocks)
    limits.check(len(text.encode()))
    return Extracted(text, version(), title, headings=headings)


def version() -> str:
    """The libraries that read, with their versions."""
    from importlib.metadata import version as of

    return f"mammoth {of('mammoth')}, {html.version()}"


def _checked(opened: zipfile.ZipFile, limits: Limits) -> str:
    """The title that a document says it has. Raises Unreadable for members that are too large together, or not safe."""
    names = [info.filename for info in opened.infolist() if info.filename.lower().endswith((".xml", ".rels"))]
    if "word/document.xml" not in names and not any(name.startswith("word/") for name in names):
        raise Unreadable("another format", "a zip archive without word/document.xml: no DOCX")
    limits.check(sum(opened.getinfo(name).file_size for name in names))
    title = ""
    for name in names:
        raw = packed.member(opened, name, limits) or b""
        packed.check_xml(raw, name)
        limits.alive()
        if name == "docProps/core.xml":
            found = [each for each in packed.xml(raw, name).iter() if str(each.tag).endswith("}title")]
            title = collapsed(found[0].text or "").strip() if found else ""
    return title


def _html(path: str) -> str:
    import mammoth

    def no_image(image: Any) -> list[Any]:
        return []  # none is opened, in the file or elsewhere

    with open(path, "rb") as stream:
        try:
            return mammoth.convert_to_html(stream, style_map=STYLES, convert_image=no_image).value
        except Exception as e:  # of many kinds: whatever a part that is missing or odd leads to
            raise Unreadable("damaged file", f"mammoth cannot read the DOCX: {type(e).__name__}: {e}") from e
