"""PDF as text, by pdfium: pages as lines with their places, and these as paragraphs (`paragraphs`).

The outline gives the headings, or else the size of the letters. Text is in the order in which pdfium gives it, which is
that of the file, column by column where the file has it so; right-to-left scripts are in the order of reading.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from datagen.text.formats import paragraphs
from datagen.text.formats.extracted import MOST_HEADINGS, UNSEEN, Extracted, Limits, Unreadable
from datagen.text.formats.lines import Line, Page, whole, without_margins
from datagen.text.formats.paragraphs import HYPHEN
from datagen.text.formats.right_to_left import in_reading_order

MOST_PAGES = 50_000
UNKNOWN = 0.3  # of the characters: fonts that do not say which letters they show
LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ſt", "ﬆ": "st"})
LIGATURES |= str.maketrans({"Ĳ": "IJ", "ĳ": "ij", "\xa0": " ", "\u2002": " ", "\u2003": " ", "\u2009": " "})
HYPHENS = (0x02, 0xFFFE)  # pdfium's, at the end of a line, of a word that may go on in the next
ENDS = frozenset({10, 13, *HYPHENS})
LAM, ALEFS = 0x644, frozenset({0x622, 0x623, 0x625, 0x627, 0x671})  # written as one sign, where they follow each other
_MONO = re.compile(rb"mono|courier|typewriter|consol|menlo|cmtt|fixed|sftt|ectt|lmtt", re.IGNORECASE)
_BOLD = re.compile(rb"bold|black|heavy|cmbx|sfbx|ecbx|-medi|\\bmedi", re.IGNORECASE)
_PRIVATE = re.compile("[\ue000-\uf8ff\ufffd]")


def extract(path: str, limits: Limits) -> Extracted:
    """The text of a PDF, with its pages and headings.

    Raises Unreadable where it is encrypted, damaged, too large, or holds no text.
    """
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as e:
        raise _refused(str(e)) from None
    with document:
        n = len(document)
        if n > MOST_PAGES:
            raise Unreadable("too large", f"{n:,} pages, where {MOST_PAGES:,} are the most")
        found, size = _Found([], [], []), 0
        for i in range(n):
            limits.alive()
            page = _page(document, i, found)
            found.pages.append(page)
            size += sum(len(line.text.encode("utf-8", "replace")) for line in page.lines)
            limits.check(size)
        _check_text(found, n)
        title = UNSEEN.sub("", document.get_metadata_value("Title") or "").strip()
        outline = _outline(document)
    text, pages, headings = paragraphs.of(
        in_reading_order(without_margins([whole(page) for page in found.pages])), outline
    )
    more: dict[str, Any] = {"n_pages": n}
    if found.empty:
        more["pages_without_text"] = len(found.empty)
    if found.torn:
        more["pages_unreadable"] = len(found.torn)
    return Extracted(text, version(), title, pages=pages, headings=headings, more=more)


def version() -> str:
    """The library that reads, with its version."""
    from importlib.metadata import version as of

    return f"pypdfium2 {of('pypdfium2')}"


@dataclass(frozen=True, slots=True)
class _Found:
    """The pages read so far; the numbers of those without text, and of those that pdfium cannot read."""

    pages: list[Page]
    empty: list[int]
    torn: list[int]


def _refused(why: str) -> Unreadable:
    if "password" in why.lower() or "security" in why.lower():
        return Unreadable("encrypted", "the PDF needs a password: qpdf --decrypt --password=PASSWORD in.pdf out.pdf")
    return Unreadable("damaged file", f"pdfium cannot read the PDF ({why.rstrip('.')}): try qpdf in.pdf out.pdf")


def _check_text(found: _Found, n: int) -> None:
    """Raise Unreadable for a PDF without text, with what would help."""
    letters = "".join(line.text for page in found.pages for line in page.lines)
    if not letters.strip():
        if len(found.torn) == n:
            raise Unreadable("damaged file", "pdfium can read no page of the PDF: try qpdf in.pdf out.pdf")
        what = f"none of its {n:,} page{'s' * (n != 1)} has text: if they are scans, ocrmypdf in.pdf out.pdf"
        raise Unreadable("scanned", what)
    if len(_PRIVATE.findall(letters)) > UNKNOWN * len(letters):
        what = "its fonts do not say which letters they show: ocrmypdf --force-ocr in.pdf out.pdf reads them by sight"
        raise Unreadable("no letters", what)


def _page(document: Any, i: int, found: _Found) -> Page:
    """A page's lines; none where it has no text, or cannot be read."""
    import pypdfium2 as pdfium

    try:
        page = document.get_page(i)
        try:
            textpage = page.get_textpage()
            try:
                lines = _lines(textpage.raw, textpage.count_chars())
            finally:
                textpage.close()
            height = page.get_height()
        finally:
            page.close()
    except pdfium.PdfiumError:
        found.torn.append(i)
        return Page((), 0)
    if not lines:
        found.empty.append(i)
    return Page(tuple(lines), height)


def _lines(page: Any, n: int) -> list[Line]:
    from pypdfium2 import raw

    lines: list[Line] = []
    codes = [raw.FPDFText_GetUnicode(page, i) for i in range(n)]
    _turn_ligatures(page, codes)
    start = 0
    for end in [*(i for i, code in enumerate(codes) if code in ENDS), n]:
        stop = end + (end < n and codes[end] in HYPHENS)  # behind one, pdfium writes no line end
        if stop > start and (line := _line(page, codes, start, stop)):
            lines.append(line)
        start = end + 1
    return lines


def _turn_ligatures(page: Any, codes: list[int]) -> None:
    """Put lam before alef where both are one sign: pdfium turns its two letters round with the line."""
    from pypdfium2 import raw

    first, second = raw.FS_RECTF(), raw.FS_RECTF()
    for i, code in enumerate(codes[:-1]):
        if code in ALEFS and codes[i + 1] == LAM:
            boxed = raw.FPDFText_GetLooseCharBox(page, i, first) and raw.FPDFText_GetLooseCharBox(page, i + 1, second)
            if boxed and first.left == second.left and first.right == second.right:
                codes[i], codes[i + 1] = LAM, code


def _line(page: Any, codes: list[int], start: int, end: int) -> Line | None:
    from pypdfium2 import raw

    text = "".join(map(chr, codes[start:end])).replace("\x02", HYPHEN).translate(LIGATURES)
    hyphen = text.rstrip().endswith(HYPHEN)
    text = re.sub("[ \t]+", " ", UNSEEN.sub("", text)).strip()
    seen = [i for i in range(start, end) if codes[i] > 32 and codes[i] not in (0xFFFE, 0xFFFF, 0xA0)]
    if not text or not seen:
        return None
    x, y = ctypes.c_double(), ctypes.c_double()
    box = raw.FS_RECTF()
    boxes, heights = [], []
    sample = (seen[0], seen[-1], seen[len(seen) // 2])
    for i in sample:
        if raw.FPDFText_GetLooseCharBox(page, i, box) and raw.FPDFText_GetCharOrigin(page, i, x, y):
            boxes.append((box.left, box.right, abs(box.top - box.bottom)))
            heights.append(y.value)
    if not boxes:
        return None
    left, right = min(b[0] for b in boxes), max(b[1] for b in boxes)
    size = median(b[2] for b in boxes)
    return Line(text + HYPHEN * hyphen, left, right, median(heights), size, *_fonts(page, sample))


def _fonts(page: Any, places: Sequence[int]) -> tuple[bool, bool]:
    """Whether the characters at these places are all of one width, and whether all are bold, by their fonts."""
    from pypdfium2 import raw

    fixed = bold = True
    flags, name = ctypes.c_int(), ctypes.create_string_buffer(128)
    for i in places:
        raw.FPDFText_GetFontInfo(page, i, name, len(name), flags)
        fixed = fixed and (bool(flags.value & 1) or bool(_MONO.search(name.value)))
        bold = bold and (bool(flags.value & 1 << 18) or bool(_BOLD.search(name.value)))
    return fixed, bold


def _outline(document: Any) -> list[tuple[int, int, str]]:
    """The bookmarks: page from 0, level from 1, title."""
    found = []
    for item in document.get_toc(max_depth=8):
        dest = item.get_dest()
        index = dest.get_index() if dest else None
        title = " ".join(UNSEEN.sub("", item.get_title() or "").translate(LIGATURES).split())
        if index is not None and title:
            found.append((index, item.level + 1, title))
        if len(found) >= MOST_HEADINGS:
            break
    return found
