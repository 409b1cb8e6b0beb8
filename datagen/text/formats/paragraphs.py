"""Lines of pages as paragraphs.

A line ends a paragraph where the gap to the next is wider than that of running text, the next one is indented as first
lines are, or of another size; also where it is short (the next line's first word would have had room) and ends as a
sentence does. A short line that ends otherwise keeps its line end: a verse, an address, a row of a table. So do lines
of a fixed-width font, with their indentation. All else is joined: across pages and columns, too, where a sentence goes
on; without a blank in scripts that write none, and where the document wraps its lines inside of Korean words.

A hyphen at a line's end is taken out where the document writes the word without, and kept where it writes it with one,
or where both parts are words of the document and the whole is not.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from datagen.text.formats.extracted import HEADING, MOST_HEADINGS
from datagen.text.formats.lines import Line, Page
from datagen.text.scripts import WRAPPED_ANYWHERE
from datagen.text.wrapped import beside, inside_of_words, vocabulary

HYPHEN = "\ufffe"  # at the end of a line: pdfium takes the word to go on in the next
LARGER = 1.12  # times the height of running text: a heading, where there is no outline
WIDER = 1.3  # times the usual gap: the next paragraph
ENDS = re.compile(r"[.!?:;…。！？：；।۔؟][\"'”’»)\]」』）]*(?:\d{1,3}|\[\d+\])?$")
BULLET = re.compile(r"(?:[•‣◦▪▫■□●○∙·–—*➢✓❖♦]|\(?(?:\d{1,3}|[a-zA-Z])[.)]|\[\d{1,3}\])\s+\S")
WORD = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*")
NUMBER = re.compile(r"(?:chapter|appendix|part|section|chapitre|annexe|partie|kapitel|anhang|teil|abschnitt|глава|第)?"
                    r"[\divxlc]{0,8}[a-z]?[章节節部]?")  # fmt: skip
_WRAPPED_ANYWHERE = re.compile(f"[{WRAPPED_ANYWHERE}]")

Heading = tuple[int, int, str]  # (character, level from 1, text)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A line with its page's number from 0, and, if it is part of a heading, that one's level and number."""

    line: Line
    page: int
    level: int = 0
    heading: int = -1


@dataclass(frozen=True, slots=True)
class _Habits:
    """What is usual in a document: the height of its running text, the gap between lines of a height, the right edges
    of its columns, ascending, how often it writes which word, and which two parts of a word its line ends part.
    """

    size: float
    pitch: dict[float, float]
    edges: list[float]
    words: Counter[str]
    cut: frozenset[tuple[str, str]]

    def gap(self, size: float) -> float:
        """The usual distance between two baselines of lines so high."""
        return self.pitch.get(round(size), size * 1.1)

    def edge(self, around: Sequence[Line], line: Line) -> float:
        """Where a line could have ended: at the next edge of a column, or as far as a neighbour does."""
        at = bisect_left(self.edges, line.x1 - 2)
        near = [other.x1 for other in around if abs(other.x0 - line.x0) < 4 * line.size]
        widest = max(near, default=line.x1)
        return min(self.edges[at], max(widest, self.edges[at])) if at < len(self.edges) else widest


def of(
    pages: Sequence[Page], outline: Sequence[tuple[int, int, str]]
) -> tuple[str, list[tuple[int, int]], list[Heading]]:
    """The text of pages, the character at which each page begins, by its number from 1, and the headings.

    outline: page from 0, level from 1, title of each bookmark. Without one, lines that are larger, or bold and short,
    are the headings.
    """
    lines = [line for page in pages for line in page.lines]
    habits = _habits(pages, lines)
    marks = _of_outline(pages, outline) if outline else _of_sizes(pages, habits)
    placed = [
        _Placed(line, p, *marks.get((p, i), (0, -1)))
        for p, page in enumerate(pages)
        for i, line in enumerate(page.lines)
    ]
    text, starts, headings = _written(placed, lines, habits)
    begins: list[tuple[int, int]] = []
    after = len(text)
    for number in range(len(pages) - 1, -1, -1):  # a page without text begins where the next one does
        after = starts.get(number, after)
        begins.append((number + 1, after))
    return text, begins[::-1], headings[:MOST_HEADINGS]


def _written(placed: list[_Placed], lines: list[Line], habits: _Habits) -> tuple[str, dict[int, int], list[Heading]]:
    parts: list[str] = []
    starts: dict[int, int] = {}
    found: list[tuple[int, int, int]] = []  # of each heading: where it begins and ends, and its level
    length, first, in_list, left = 0, 0, False, 0.0
    for i, here in enumerate(placed):
        line, text = here.line, here.line.text
        between = ""
        if i:
            before = placed[i - 1]
            around = lines[max(0, i - 8) : i + 8]
            following = placed[i + 1].line if i + 1 < len(placed) and placed[i + 1].page == here.page else None
            between = _between(before, here, following, i - 1 == first, in_list, habits, around)
            if between in ("", " ", "-") and parts:
                parts[-1], between, cut = _joined(parts[-1], text, between, habits)
                length -= cut
            elif parts and parts[-1].endswith(HYPHEN):
                parts[-1] = parts[-1][:-1] + "-"
        if "\n" in between or not i:
            first, in_list = i, bool(BULLET.match(text))
        if line.fixed and line.advance > 0:
            left = (
                line.x0
                if not between.startswith("\n\n") and i and placed[i - 1].line.fixed and line.x0 < left
                else left
            )
            left = line.x0 if between == "\n\n" or not i else left
            text = " " * min(40, max(0, round((line.x0 - left) / line.advance))) + text
        length += len(between)
        starts.setdefault(here.page, length)
        if here.level and (not i or placed[i - 1].heading != here.heading):
            found.append((length, length, here.level))
        parts += [between, text]
        length += len(text)
        if here.level and found:
            found[-1] = (found[-1][0], length, here.level)
    if parts and parts[-1].endswith(HYPHEN):
        parts[-1] = parts[-1][:-1] + "-"
    whole = "".join(parts)
    return whole, starts, [_heading(whole, *each) for each in found]


def _heading(text: str, start: int, end: int, level: int) -> Heading:
    """A heading as it stands in the text, without an indentation."""
    words = text[start:end].lstrip()
    return end - len(words), level, words[:HEADING].rstrip()


def _between(
    before: _Placed,
    here: _Placed,
    following: Line | None,
    is_second: bool,
    in_list: bool,
    habits: _Habits,
    around: Sequence[Line],
) -> str:
    """What parts a line from the one before: a blank line, a line end, or " ", where they are to be joined."""
    a, b = before.line, here.line
    if before.heading != here.heading:
        return "\n\n"
    if here.level:
        return " "
    size, gap = max(a.size, b.size), a.y - b.y
    if before.page == here.page and abs(gap) < 0.3 * size and b.x0 >= a.x1 - size:
        return " "  # the same line
    short = _is_short(a, b, habits.edge(around, a))
    ends, alike = bool(ENDS.search(a.text)), abs(a.size - b.size) < 0.15 * size
    if before.page != here.page or gap < -0.5 * size:
        goes_on = alike and not a.fixed and not b.fixed and not ends and not BULLET.match(b.text)
        lower = b.text[:1].islower() or a.text.endswith((HYPHEN, "-", ",")) or bool(_WRAPPED_ANYWHERE.match(b.text))
        long = a.x1 - a.x0 > 15 * a.size  # a few words by themselves are no paragraph's middle
        return " " if goes_on and (lower or (long and not short)) else "\n\n"
    usual = habits.gap(min(a.size, b.size) if not alike else a.size)
    if a.fixed and b.fixed:
        return "\n\n" if gap > 1.7 * usual else "\n"
    if gap > WIDER * usual or (not alike and short) or a.fixed != b.fixed:
        return "\n\n"
    if a.text[-1:] in (HYPHEN, "-", "\u2010") and a.text[-2:-1].isalpha() and b.text[:1].islower():
        return " "  # a word goes on
    if BULLET.match(b.text):
        return "\n" if in_list else "\n\n" if ends or short else " "
    step = b.x0 - a.x0
    if step > 0.7 * size and not in_list:
        back = following is not None and following.x0 < b.x0 - 0.5 * size
        if step > 6 * size or (back and following is not None and abs(following.x0 - a.x0) < size) or (short and ends):
            return "\n\n" if ends or not short else "\n"
    elif step < -0.7 * size and not is_second:
        return "\n\n" if ends else "\n" if short else " "
    if short:
        return "\n\n" if ends and not in_list else "\n"
    return " "


def _is_short(a: Line, b: Line, edge: float) -> bool:
    """Whether the first word of a line would have had room behind the line before."""
    word = b.text[:1] if _WRAPPED_ANYWHERE.match(b.text) else b.text.split(" ", 1)[0]
    return a.x1 + b.advance * (len(word) + 1.5) < edge


def _joined(before: str, text: str, between: str, habits: _Habits) -> tuple[str, str, int]:
    """The line before, what goes between it and a text, and by how many characters it became shorter."""
    if before.endswith((HYPHEN, "-", "\u2010")) and before[-2:-1].isalpha() and text[:1].isalpha():
        head, tail = re.search(r"[^\W\d_]*$", before[:-1])[0], WORD.match(text)  # pyright: ignore[reportOptionalSubscript]
        if _is_broken(head, tail[0] if tail else "", habits.words):
            return before[:-1], "", 1
        return before[:-1] + "-", "", 0
    if before.endswith(HYPHEN):
        return before[:-1] + "-", "", 0
    if before.endswith(("-", "\u2010", "/")) and text[:1].isalnum():
        return before, "", 0
    if (_WRAPPED_ANYWHERE.match(before[-1:]) and _WRAPPED_ANYWHERE.match(text)) or beside(before, text) in habits.cut:
        return before, "", 0
    return before, between, 0


def _is_broken(head: str, tail: str, words: Counter[str]) -> bool:
    """Whether the hyphen between two parts of a word is only that of a line's end."""
    if not tail[:1].islower():
        return False
    first = tail.split("-")[0].split("\u2010")[0]
    whole, hyphened = words[(head + first).casefold()], words[f"{head}-{first}".casefold()]
    if whole or hyphened:
        return whole >= hyphened
    both = len(head) > 3 and len(first) > 3 and words[head.casefold()] and words[first.casefold()]
    return not both


def _habits(pages: Sequence[Page], lines: list[Line]) -> _Habits:
    sizes: Counter[float] = Counter()
    edges: Counter[int] = Counter()
    gaps: defaultdict[float, list[float]] = defaultdict(list)
    words: Counter[str] = Counter()
    for line in lines:
        sizes[round(line.size, 1)] += len(line.text)
        edges[round(line.x1)] += 1
        found = WORD.findall(line.text.rstrip(HYPHEN + "-"))
        words.update(word.replace("\u2010", "-").casefold() for word in found[:-1])
        if not line.text.endswith((HYPHEN, "-")):
            words.update(word.replace("\u2010", "-").casefold() for word in found[-1:])
    for page in pages:
        for a, b in zip(page.lines, page.lines[1:], strict=False):
            if 0.6 * a.size < a.y - b.y < 2.6 * a.size and abs(a.size - b.size) < 0.15 * a.size:
                gaps[round(a.size)].append(a.y - b.y)
    size = sizes.most_common(1)[0][0] if sizes else 0.0
    enough = max(5, len(lines) // 25)
    at = sorted(edge for edge in edges if edges[edge - 1] + edges[edge] + edges[edge + 1] >= enough)
    pairs = [pair for a, b in pairwise(lines) if all(pair := beside(a.text, b.text))]
    inside = inside_of_words(pairs, vocabulary(line.text for line in lines))
    cut = frozenset(pair for pair, is_cut in zip(pairs, inside, strict=True) if is_cut)
    return _Habits(size, {each: median(found) for each, found in gaps.items()}, [float(e) for e in at], words, cut)


def _key(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _of_outline(
    pages: Sequence[Page], outline: Sequence[tuple[int, int, str]]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Which lines are the headings that an outline names: (page, line) to (level, number of the heading)."""
    marks: dict[tuple[int, int], tuple[int, int]] = {}
    keys = {p: [_key(line.text) for line in pages[p].lines] for p, _, _ in outline if p < len(pages)}
    for number, (p, level, title) in enumerate(outline):
        wanted = _key(title)
        here = keys.get(p, []) if wanted else []
        spans = [(i, n) for n in range(1, 5) for i in range(len(here) - n + 1)]  # one line first, then several
        free = (span for span in spans if not any((p, j) in marks for j in range(span[0], sum(span))))
        if found := next((span for span in free if _covers(here[span[0] : sum(span)], wanted)), None):
            marks |= {(p, j): (level, number) for j in range(found[0], sum(found))}
    return marks


def _covers(keys: Sequence[str], wanted: str) -> bool:
    """Whether lines are a title, all of it: with its number before it, or without."""
    all_of_it = "".join(keys)
    before = all_of_it.removesuffix(wanted)
    if all_of_it.endswith(wanted):
        return bool(NUMBER.fullmatch(before)) or (before == keys[0] and len(before) <= 12)
    after = wanted.removesuffix(all_of_it)
    return len(all_of_it) > 4 and wanted.endswith(all_of_it) and bool(NUMBER.fullmatch(after))


def _is_heading(line: Line, habits: _Habits) -> bool:
    """Whether a line looks like a heading: larger than running text, or bold, short and no sentence."""
    if line.fixed or not re.search(r"[^\W\d_]{3}|[^\W\d_a-zA-Z]", line.text) or "=" in line.text:
        return False
    if line.size > LARGER * habits.size:
        return True
    short = len(line.text) <= 80 and line.text[-1] not in ".,;:"
    return line.bold and short and line.size > 0.95 * habits.size and not BULLET.match(line.text.lstrip("0123456789."))


def _of_sizes(pages: Sequence[Page], habits: _Habits) -> dict[tuple[int, int], tuple[int, int]]:
    """Which lines are headings by their height; none where so many are large that it means nothing."""
    found = [
        (p, i, round(line.size))
        for p, page in enumerate(pages)
        for i, line in enumerate(page.lines)
        if _is_heading(line, habits)
    ]
    letters = sum(len(pages[p].lines[i].text) for p, i, _ in found)
    if letters > 0.2 * sum(len(line.text) for page in pages for line in page.lines):
        return {}
    sizes = sorted({size for *_, size in found}, reverse=True)[:6]
    marks: dict[tuple[int, int], tuple[int, int]] = {}
    number = -1
    for at, (p, i, size) in enumerate(found):
        goes_on = at and found[at - 1] == (p, i - 1, size)
        number += not goes_on
        marks[p, i] = (sizes.index(size) + 1 if size in sizes else 6, number)
    return marks
