"""PDF, DOCX and EPUB files, made by hand of what they are made of."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence

Placed = tuple[float, float, float, str]  # points from the left and from the bottom, size, what stands there
FONTS = {"F1": "Helvetica", "F2": "Courier"}


def pdf(
    pages: Sequence[Sequence[Placed]],
    *,
    outline: Sequence[tuple[int, str]] = (),
    title: str = "",
    font: str = "F1",
    encrypted: bool = False,
    image: bool = False,
    spelled: Mapping[str, str] | None = None,
) -> bytes:
    """A PDF of pages of lines. outline: page from 0 and title of each bookmark. image: every page shows a picture.
    spelled: which letters a sign of the first font stands for.
    """
    objects: dict[int, bytes] = {}
    first = 10
    kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(pages)))
    objects[1] = b"<< /Type /Catalog /Pages 2 0 R" + (b" /Outlines 5 0 R" if outline else b"") + b" >>"
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    for number, (_, base) in enumerate(FONTS.items(), 3):
        font_object = f"<< /Type /Font /Subtype /Type1 /BaseFont /{base} /Encoding /WinAnsiEncoding >>"
        objects[number] = font_object.encode()
    if spelled:
        objects[9] = _letters(spelled)
        objects[3] = objects[3].removesuffix(b">>") + b"/ToUnicode 9 0 R >>"
    shown = b"\nq 100 0 0 100 72 400 cm /I1 Do Q" if image else b""
    objects[8] = b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 "
    objects[8] += b"/Length 1 >>\nstream\n\x80\nendstream"
    for i, lines in enumerate(pages):
        content = b"".join(
            f"BT /{font} {size} Tf 1 0 0 1 {x} {y} Tm (".encode() + _escaped(text) + b") Tj ET\n"
            for x, y, size, text in lines
        )
        content += shown
        resources = "/Resources << /Font << /F1 3 0 R /F2 4 0 R >> /XObject << /I1 8 0 R >> >>"
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {resources} /Contents {first + 2 * i + 1} 0 R >>"
        objects[first + 2 * i] = page.encode()
        objects[first + 2 * i + 1] = f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream"
    after = first + 2 * len(pages)
    if outline:
        last = after + len(outline) - 1
        objects[5] = f"<< /Type /Outlines /First {after} 0 R /Last {last} 0 R /Count {len(outline)} >>".encode()
        for n, (page_number, name) in enumerate(outline):
            links = (f" /Prev {after + n - 1} 0 R" if n else "") + (
                f" /Next {after + n + 1} 0 R" if after + n < last else ""
            )
            dest = f"/Dest [{first + 2 * page_number} 0 R /XYZ 0 792 0] /Parent 5 0 R{links} >>"
            objects[after + n] = b"<< /Title (" + _escaped(name) + b") " + dest.encode()
    objects[6] = b"<< /Title (" + _escaped(title) + b") >>"
    trailer = b" /Info 6 0 R" if title else b""
    if encrypted:
        secret = "<" + "41" * 32 + ">"
        objects[7] = f"<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O {secret} /U {secret} >>".encode()
        trailer += b" /Encrypt 7 0 R /ID [<41> <41>]"
    return _file(objects, trailer)


def _letters(spelled: Mapping[str, str]) -> bytes:
    rows = "\n".join(f"<{ord(sign):02x}> <{text.encode('utf-16-be').hex()}>" for sign, text in spelled.items())
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /A def /CMapType 2 def\n"
        "1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"{len(spelled)} beginbfchar\n{rows}\nendbfchar endcmap end end"
    )
    return f"<< /Length {len(cmap)} >>\nstream\n{cmap}\nendstream".encode()


def _file(objects: Mapping[int, bytes], trailer: bytes) -> bytes:
    out, places = io.BytesIO(), {}
    out.write(b"%PDF-1.7\n")
    for number, body in sorted(objects.items()):
        places[number] = out.tell()
        out.write(f"{number} 0 obj\n".encode() + body + b"\nendobj\n")
    start, size = out.tell(), max(objects) + 1
    out.write(f"xref\n0 {size}\n".encode())
    for number in range(size):
        at = places.get(number)
        out.write(b"0000000000 65535 f \n" if at is None else f"{at:010d} 00000 n \n".encode())
    out.write(f"trailer\n<< /Size {size} /Root 1 0 R".encode() + trailer + f" >>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def _escaped(text: str) -> bytes:
    raw = text.encode("cp1252")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def lines(texts: Sequence[str], top: float = 700, left: float = 72, size: float = 11, step: float = 13) -> list[Placed]:
    """Lines one below the other."""
    return [(left, top - i * step, size, text) for i, text in enumerate(texts)]


def packed(members: Mapping[str, str | bytes], compress: bool = True) -> bytes:
    """A zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED)
    return out.getvalue()


CONTAINER = """<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">
<rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""


def epub_members(
    chapters: Mapping[str, str], title: str = "A book", spine: Sequence[str] = ()
) -> dict[str, str | bytes]:
    """The members of an EPUB: chapters by file name, each what is in its body. spine: their order, if it is another."""
    items = "".join(f'<item id="i{n}" href="{name}"/>' for n, name in enumerate(chapters))
    order = [list(chapters).index(name) for name in spine or chapters]
    refs = "".join(f'<itemref idref="i{n}"/>' for n in order)
    package = f"""<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></metadata>
<manifest>{items}</manifest><spine>{refs}</spine></package>"""
    members: dict[str, str | bytes] = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER}
    return (
        members
        | {"OPS/book.opf": package}
        | {
            f"OPS/{name}": f"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/></head>"
            f"<body>{body}</body></html>"
            for name, body in chapters.items()
        }
    )


def epub(chapters: Mapping[str, str], title: str = "A book", spine: Sequence[str] = ()) -> bytes:
    """An EPUB of chapters."""
    return packed(epub_members(chapters, title, spine))


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/word/document.xml"
 ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"""
RELS = """<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="r1" Target="word/document.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/></Relationships>"""
STYLES = f"""<?xml version="1.0"?><w:styles {W}><w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/>
</w:style></w:styles>"""
STYLE_RELS = """<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="r2" Target="styles.xml"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles"/></Relationships>"""


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of a DOCX."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def docx_members(body: str, prolog: str = "") -> dict[str, str | bytes]:
    """The members of a DOCX. prolog: what stands before the root of the document."""
    members: dict[str, str | bytes] = {
        "[Content_Types].xml": TYPES,
        "_rels/.rels": RELS,
        "word/_rels/document.xml.rels": STYLE_RELS,
        "word/styles.xml": STYLES,
        "word/document.xml": f"<?xml version='1.0'?>{prolog}<w:document {W}><w:body>{body}</w:body></w:document>",
    }
    return members


def docx(*paragraphs: str) -> bytes:
    """A DOCX of paragraphs."""
    return packed(docx_members("".join(paragraphs)))
