"""HTML and XHTML as text: what a browser shows of a page, without what surrounds it.

Paragraphs, headings and tables stand apart by a blank line; the items of a list, and a term and what it means, on lines
of their own; the rows of a table as `cell | cell`, unless the table only lays out the page; `pre` as it is. Scripts,
styles, navigation, form controls and what is hidden are left out. selectolax (lexbor) parses as browsers do; the tree
is walked without recursion, however deep it is.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from datagen.text import decode
from datagen.text.formats.extracted import Block, Extracted, Limits, Unreadable, collapsed, joined, words

SKIPPED = words(
    "script style template noscript iframe object embed applet svg canvas video audio map nav select button input "
    "textarea datalist dialog menu head title link meta rt rp frameset noframes"
)
ROLES = words(
    "navigation search menu menubar toolbar banner contentinfo dialog alertdialog tablist tooltip doc-pagebreak"
)
CLASSES = words(
    "navheader navfooter docnav breadcrumb breadcrumbs sphinxsidebar headerlink anchorjs-link related navbar "
    "navigation skip-link skiplink visually-hidden sr-only screen-reader-text mw-editsection mw-jump-link noprint "
    "print-hidden cookie-banner toc-backref-nav"
)
BLOCKS = words(
    "address article aside blockquote body caption center details dd div dl dt fieldset figcaption figure footer "
    "form header hgroup hr html li legend main ol p pre section summary table tbody td tfoot th thead tr ul xmp "
    "listing plaintext dir"
)
VERBATIM = frozenset({"pre", "xmp", "listing", "plaintext"})
LISTS = frozenset({"ul", "ol", "dir", "dl"})
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
CHARSET = re.compile(
    rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w:.-]{1,40})|encoding\s*=\s*["']([\w:.-]{1,40})""", re.I
)
AS_BROWSERS = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932"}
AS_BROWSERS |= {"euc_kr": "cp949", "iso8859-9": "cp1254", "big5": "big5hkscs"}
RAISED = str.maketrans("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
LOWERED = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
DEEPEST = 20  # lists in lists that are indented, tables in tables that are tables, raised letters in raised ones
CELL = 400  # characters of a table's cell, beyond which the table lays out a page
OFTEN = 20_000  # nodes


def extract(raw: bytes, limits: Limits, encoding: str | None = None) -> Extracted:
    """The text of a page. encoding: a Python codec, which overrules what the page says. Raises Unreadable where its
    encoding cannot be told, or is another than the one given, or it is too large.
    """
    limits.check(len(raw))
    text, encoding = decoded(raw, encoding)
    blocks, title = blocks_of(text, limits)
    body, headings = joined(blocks)
    limits.check(len(body.encode()))
    return Extracted(body, version(), title, encoding, headings=headings)


def version() -> str:
    """The library that parses, with its version."""
    from importlib.metadata import version as of

    return f"selectolax {of('selectolax')}"


def decoded(raw: bytes, encoding: str | None = None) -> tuple[str, str]:
    """A page's characters and their codec: the one given, else by its mark, as UTF-8, as the page says, or by what is
    likely. Raises Unreadable.
    """
    try:
        return decode.decode(raw, encoding) if encoding else _decoded(raw)
    except decode.BadDocument as e:
        raise Unreadable(e.reason, e.what) from None


def _decoded(raw: bytes) -> tuple[str, str]:
    declared = CHARSET.search(raw[:4096])
    label = (declared[1] or declared[2]).decode("ascii", "replace").lower() if declared else ""
    try:
        codec = AS_BROWSERS.get(name := codecs.lookup(label).name, name) if label else ""
    except LookupError:
        codec = ""
    shifting = codec.startswith(("iso2022", "hz")) and (b"\x1b" in raw or b"~{" in raw)  # it looks like ASCII
    if not shifting:
        try:
            return decode.decode(raw) if not codec or decode.mark_of(raw)[0] else (raw.decode("utf-8"), "utf-8")
        except UnicodeDecodeError:
            pass
    try:
        return raw.decode(codec), codec
    except (UnicodeError, LookupError):  # it is not what it says, or no encoding of text at all
        return decode.decode(raw)


def blocks_of(text: str, limits: Limits) -> tuple[list[Block], str]:
    """The blocks of a page, and its title ("" if it has none)."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    limits.alive()
    root = tree.root
    if root is None:
        return [], ""
    found = tree.css_first("head > title")
    title = collapsed(found.text()).strip() if found is not None else ""
    writer = _Writer(limits)
    _walk(root, writer)
    return writer.blocks(), title


def _walk(root: Any, writer: _Writer) -> None:
    """Enter and leave every node, in the order of the document."""
    node, top = root, root.mem_id
    while True:
        child = node.first_child if writer.enter(node) else None
        if child is not None:
            node = child
            continue
        writer.leave(node)
        while node.mem_id != top and node.next is None:
            node = node.parent
            writer.leave(node)
        if node.mem_id == top:
            return
        node = node.next


@dataclass(slots=True)
class _List:
    """A list that is being written. marker: what stands before an item's paragraph; fresh: the item has none yet."""

    tag: str
    number: int = 1
    marker: str = ""
    fresh: bool = False
    begun: bool = False
    loose: bool = False


@dataclass(slots=True)
class _Part:
    """A page, or a table's cell: its blocks, the running text that is in no block yet, and the lists it is in."""

    blocks: list[Block] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    level: int = 0  # of the heading that is being written
    nested: bool = False  # a table stands in it


@dataclass(slots=True)
class _Table:
    rows: list[list[_Part]] = field(default_factory=list)
    captions: list[_Part] = field(default_factory=list)


class _Writer:
    """Makes blocks of a page's nodes, as they are entered and left."""

    def __init__(self, limits: Limits):
        self.limits, self.seen = limits, 0
        self.parts = [_Part()]
        self.tables: list[tuple[_Table, int]] = []  # with the parts that were open when it began
        self.verbatim = 0
        self.deeper = 0  # tables that are open beyond the deepest: they only part blocks
        self.small = 0  # raised or lowered text in which the node is

    def blocks(self) -> list[Block]:
        """All that was written."""
        while self.tables:
            self._end_table()
        self._flush()
        return self.parts[0].blocks

    def enter(self, node: Any) -> bool:
        """Whether what is in the node counts."""
        self.seen += 1
        if self.seen % OFTEN == 0:
            self.limits.alive()
        tag = node.tag or ""
        if tag == "-text":
            text = node.text_content or ""
            part = self.parts[-1]
            part.running.append(text if self.verbatim else re.sub("[\r\f]", " ", text).replace("\n", "\r"))
            return False
        if tag.startswith("-"):  # a comment, a document type
            return False
        self.small += tag in ("sup", "sub")
        if tag in SKIPPED or _left_out(node):
            return False
        if tag in ("math", "br", "sup", "sub", "q", "a"):
            return self._inline(node, tag)
        level = _level(tag)
        if level or tag in BLOCKS:
            self._flush()
            self._begin(node, tag, level)
        return True

    def _inline(self, node: Any, tag: str) -> bool:
        running = self.parts[-1].running
        if tag == "br":
            running.append("\n")
        elif tag == "q":
            running.append("“")
        elif tag == "math":
            running.append(_math(node))
            return False
        elif tag == "a":
            given = node.attributes
            if "noteref" not in f"{given.get('epub:type')} {given.get('role')}":
                return True
            text = node.text().strip()
            running.append(text if text.startswith(("[", "(")) else f"[{text}]")
            return False
        elif tag in ("sup", "sub") and self.small <= DEEPEST:  # each looks at all that is in it
            text = node.text().strip()
            if node.css_first("a[href]") is not None and 0 < len(text) <= 6:  # of a note
                running.append(text if text.startswith(("[", "(")) else f"[{text}]")
                return False
            small = text.translate(RAISED if tag == "sup" else LOWERED)
            if text and not set(small) & set(text):
                running.append(small)
                return False
        return True

    def _begin(self, node: Any, tag: str, level: int) -> None:
        part = self.parts[-1]
        part.level = level or part.level
        if tag in VERBATIM:
            self.verbatim += 1
        elif tag in LISTS:
            start = (node.attributes.get("start") or "") if tag == "ol" else ""
            part.lists.append(_List(tag, int(start) if re.fullmatch("-?[0-9]{1,9}", start) else 1))
        elif tag in ("li", "dt", "dd") and part.lists:
            here = part.lists[-1]
            here.fresh, here.marker = True, ""
            if tag == "li":
                value = node.attributes.get("value") or ""
                here.number = int(value) if re.fullmatch("-?[0-9]{1,9}", value) else here.number
                here.marker = f"{here.number}. " if here.tag == "ol" else "- "
                here.number += 1
            elif tag == "dd":
                here.marker = "  "
        elif tag == "table" and (self.deeper or len(self.tables) == DEEPEST):
            part.nested, self.deeper = True, self.deeper + 1
        elif self.deeper:
            pass
        elif tag == "table":
            part.nested = True
            self.tables.append((_Table(), len(self.parts)))
        elif tag == "tr" and self.tables:
            self._to_table()
            self.tables[-1][0].rows.append([])
        elif tag in ("td", "th", "caption") and self.tables:
            self._to_table()
            table = self.tables[-1][0]
            table.rows = table.rows or ([[]] if tag != "caption" else [])
            (table.captions if tag == "caption" else table.rows[-1]).append(_Part())
            self.parts.append((table.captions if tag == "caption" else table.rows[-1])[-1])

    def leave(self, node: Any) -> None:
        """What was entered ends."""
        tag = node.tag or ""
        if tag.startswith("-"):
            return
        self.small -= tag in ("sup", "sub")
        if tag == "q" and not _left_out(node):
            self.parts[-1].running.append("”")
        if tag in SKIPPED or not (tag in BLOCKS or _level(tag)) or _left_out(node):
            return
        self._flush()
        part = self.parts[-1]
        if _level(tag):
            part.level = 0
        elif tag in VERBATIM:
            self.verbatim -= 1
        elif tag in LISTS and part.lists:
            part.lists.pop()
        elif self.deeper:
            self.deeper -= tag == "table"
        elif tag in ("td", "th", "caption") and self.tables:
            self._to_table()
        elif tag == "table" and self.tables:
            self._end_table()

    def _to_table(self) -> None:
        """End the cell that is open in the innermost table."""
        while len(self.parts) > self.tables[-1][1]:
            self._flush()
            self.parts.pop()

    def _end_table(self) -> None:
        self._to_table()
        table, _ = self.tables.pop()
        part = self.parts[-1]
        for block in _of_table(table):
            self._put(part, block.text, block.level, block.gap)

    def _flush(self) -> None:
        """Make a block, or several, of the running text."""
        part = self.parts[-1]
        if not part.running:
            return
        text = "".join(part.running)
        part.running.clear()
        if self.verbatim:
            text = re.sub(
                "(?<![ \t\r\f\xa0])[ \t\r\f\xa0]++(?=\n|$)", "", text.replace("\r\n", "\n").replace("\xa0", " ")
            ).strip("\n")
            found = [text] if text.strip() else []
        else:
            lines = [collapsed(line.replace("\r", "\n")).strip() for line in text.split("\n")]
            found = [each for each in re.split("\n{2,}", "\n".join(lines).strip("\n")) if each]
        for each in found:
            self._put(part, " ".join(each.split("\n")) if part.level else each, part.level, 2)

    def _put(self, part: _Part, text: str, level: int, gap: int) -> None:
        """Add a block, as it stands in the lists that it is in."""
        if not text.strip():
            return
        if part.lists and not level:
            indent = "  " * min(len(part.lists) - 1, DEEPEST)
            here = part.lists[-1]
            first, outer = here.fresh, here.begun or len(part.lists) > 1
            marker = here.marker if first else " " * len(here.marker)
            here.loose |= not first
            tight = outer and (first if here.tag != "dl" else first and here.marker)
            gap = 1 if tight and not (here.loose and first and here.tag != "dl") else gap
            here.fresh, here.begun = False, True
            rest = "\n" + indent + " " * len(marker)
            text = indent + marker + rest.join(text.split("\n"))
        part.blocks.append(Block(text, level, gap))


def _level(tag: str) -> int:
    return int(tag[1]) if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456" else 0


def _left_out(node: Any) -> bool:
    given = node.attributes
    if not given:
        return False
    if "hidden" in given or given.get("aria-hidden") == "true" or given.get("role") in ROLES:
        return node.tag not in ("html", "body", "main", "article")
    if "pagebreak" in (given.get("epub:type") or "").split():  # the number of a printed page, amid a sentence
        return True
    if node.tag not in ("html", "body", "main", "article") and CLASSES & set((given.get("class") or "").split()):
        return True
    return bool(HIDDEN.search(given.get("style") or ""))


def _math(node: Any) -> str:
    """A formula as its author wrote it, if the page says how, else its signs."""
    source = node.css_first('annotation[encoding="application/x-tex"]')
    alternative = node.attributes.get("alttext") or ""
    return (source.text() if source is not None else alternative if "\\" in alternative else "") or node.text()


def _of_table(table: _Table) -> Iterator[Block]:
    """A table as one block, its rows as lines; one that lays out a page as the blocks in its cells."""
    for caption in table.captions:
        yield from caption.blocks
    cells = [cell for row in table.rows for cell in row]
    longest = max((sum(len(block.text) for block in cell.blocks) for cell in cells), default=0)
    plain = not any(cell.nested or any(block.level for block in cell.blocks) for cell in cells)
    if max(map(len, table.rows), default=0) < 2 or longest > CELL or not plain:
        for cell in cells:
            yield from cell.blocks
        return
    rows = [[" ".join(" ".join(block.text for block in cell.blocks).split()) for cell in row] for row in table.rows]
    yield Block("\n".join(" | ".join(row) for row in rows if any(row)))
