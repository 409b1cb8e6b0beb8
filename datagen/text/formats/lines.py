"""The lines of a page: what stands in each, where, and how large; and the lines that recur at the edges of pages."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

EDGE = 0.14  # of a page's height, from its top and its bottom: where running heads and page numbers stand
NEAR = 0.02  # of a page's height, within which two of them stand alike
RECURS = 3  # pages from which on a line recurs
_NUMBER = re.compile(
    r"[-–—\[( ]*(?:(?:page|p\.|seite|pagina|página|стр\.?|第)\s*)?(?:\d{1,5}|[ivxlcdm]{1,8})"
    r"(?:\s*(?:/|of|von|de|sur|из)\s*\d{1,5})?(?:\s*[页頁]|\s*ページ)?[-–—\]) ]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page, in points from its lower left corner: `y` of its baseline, `size` its height, and how wide a
    letter is on average. fixed: its font is of one width; bold: it is bold, all of it.
    """

    text: str
    x0: float
    x1: float
    y: float
    size: float
    fixed: bool = False
    bold: bool = False

    @property
    def advance(self) -> float:
        """The width of a letter."""
        return (self.x1 - self.x0) / max(len(self.text), 1)


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of a page in reading order, and its height in points."""

    lines: tuple[Line, ...]
    height: float


def whole(page: Page) -> Page:
    """The page with lines that pdfium gives in parts, at a raised or lowered letter, or a wide gap, put together."""
    lines: list[Line] = []
    for b in page.lines:
        a = lines[-1] if lines else None
        near = a is not None and abs(a.y - b.y) < (0.3 if len(a.text) > 3 < len(b.text) else 0.8) * max(a.size, b.size)
        if a is None or not near or not -0.3 * a.size <= b.x0 - a.x1 < 2 * a.size or a.text.endswith("\ufffe"):
            lines.append(b)
            continue
        of = a if len(a.text) >= len(b.text) else b  # a letter may be large, such as a sum's
        lines[-1] = replace(
            of,
            text=f"{a.text} {b.text}",
            x0=a.x0,
            x1=max(a.x1, b.x1),
            fixed=a.fixed and b.fixed,
            bold=a.bold and b.bold,
        )
    return replace(page, lines=tuple(lines))


def without_margins(pages: list[Page]) -> list[Page]:
    """The pages without running heads and feet, and without page numbers.

    A line is one where it stands among the first two or the last two of its page, near the page's edge, and a line that
    is the same but for its digits stands there on three pages at least (of two pages, on both); where it begins or
    ends with the number of its page, as lines at the edges of three pages do; or where it is no larger than running
    text, stands apart from what is next to it, and lines that do so stand as high on a third of the pages. Where
    nothing else stands on a page, only its number is left out.
    """
    enough = min(RECURS, max(2, len(pages)))
    ahead: Counter[int] = Counter()  # by how much printed page numbers are ahead of the pages' own
    seen: Counter[tuple[str, int]] = Counter()
    edges = [_edges(page) for page in pages]
    for number, (page, found) in enumerate(zip(pages, edges, strict=True)):
        ahead.update({n - number for i in found for n in _numbers(page.lines[i])})
        for key in {key for i in found for key in _keys(page.lines[i], page, both=True)}:
            seen[key] += 1
    apart = _apart(pages)
    printed = {offset for offset, n in ahead.most_common(4) if n >= RECURS and n > len(pages) // 10}
    kept = []
    for number, (page, found) in enumerate(zip(pages, edges, strict=True)):
        gone = {i for i in found if any(seen[key] >= enough for key in _keys(page.lines[i], page))}
        gone |= {i for i in found if any(n - number in printed for n in _numbers(page.lines[i]))}
        gone |= apart[number] & found
        if len(gone) == len(page.lines):  # all that a page has is no running head
            gone = {i for i in gone if _NUMBER.fullmatch(page.lines[i].text.strip())}
        kept.append(replace(page, lines=tuple(line for i, line in enumerate(page.lines) if i not in gone)))
    return kept


def _apart(pages: list[Page]) -> list[set[int]]:
    """Of each page, the lines on its topmost and lowest baseline that stand apart, where those of other pages do."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[round(line.size, 1)] += len(line.text)
    most = 1.1 * sizes.most_common(1)[0][0] if sizes else 0.0
    found: list[dict[int, tuple[bool, int]]] = []
    places: Counter[tuple[bool, int]] = Counter()
    for page in pages:
        order = sorted(range(len(page.lines)), key=lambda i: -page.lines[i].y)
        here: dict[int, tuple[bool, int]] = {}
        for top, side in ((True, order), (False, order[::-1])):
            first = [i for i in side if abs(page.lines[i].y - page.lines[side[0]].y) < page.lines[i].size / 2]
            rest = [abs(page.lines[i].y - page.lines[side[0]].y) for i in side if i not in first]
            if rest and min(rest) > 1.7 * page.lines[side[0]].size and all(page.lines[i].size <= most for i in first):
                here |= {i: (top, round(page.lines[i].y)) for i in first}
        found.append(here)
        for top, y in set(here.values()):
            places[top, y] += 1
    enough = max(RECURS, len(pages) / 3)

    def recurs(top: bool, y: int) -> bool:
        return sum(places[top, y + near] for near in (-1, 0, 1)) >= enough

    return [{i for i, place in here.items() if recurs(*place)} for here in found]


def _numbers(line: Line) -> set[int]:
    """The numbers that a line begins and ends with, as one with a page number does."""
    found = re.match(r"(\d{1,5})(?:\s|$)", line.text), re.search(r"(?:\s|^)(\d{1,5})$", line.text)
    return {int(m[1]) for m in found if m}


def _edges(page: Page) -> set[int]:
    """Which lines stand at the top or the bottom of a page: on its two topmost and two lowest baselines."""
    order = sorted(range(len(page.lines)), key=lambda i: -page.lines[i].y)
    found: set[int] = set()
    for side in (order, order[::-1]):
        heights: list[float] = []
        for i in side:
            line = page.lines[i]
            at_edge = line.y > page.height * (1 - EDGE) if side is order else line.y < page.height * EDGE
            if not heights or abs(line.y - heights[-1]) > line.size / 2:
                heights.append(line.y)
            if not at_edge or len(heights) > 2:
                break
            found.add(i)
    return found


def _keys(line: Line, page: Page, both: bool = False) -> list[tuple[str, int]]:
    """What a line recurs by: its text without digits and how high it stands, to the next of two grids; a page number
    by its place alone.
    """
    text = re.sub(r"\s+", "", re.sub(r"\d+", "#", line.text)).casefold()
    text = "#" if _NUMBER.fullmatch(line.text.strip()) else text
    place = int(line.y / max(page.height, 1) / NEAR)
    return [(text, place + near) for near in ((-1, 0, 1) if both else (0,))]
