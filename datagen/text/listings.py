"""Whether a passage is no running text but a table of contents, an index, a bibliography or navigation: by its shape.

Each shape is asked for twice: most lines have it, and something goes with it that tables, verse and lists of words do
not have, such as page numbers that rise or entries in the order of the alphabet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_PAGE = r"(?:\d{1,4}|[ivxlc]{1,7})"
_LEADER = re.compile(rf"^(?=.*[^\W\d_]).*\S\s*(?:\.\s?){{3,}}\s*({_PAGE})\s*$|^.*[^\W\d_].*…+\s*({_PAGE})\s*$")
_PAGED = re.compile(rf"^(?=.*[^\W\d_]{{2}}).*\S(?:\s{{2,}}|\t|\s*\|\s*)({_PAGE})\s*\|?\s*$")
_CONTENTS = re.compile(
    r"^[\s#*_=]*(?:(?:table of )?contents|table des mati[èe]res|inhalt(?:sverzeichnis)?|índice|indice|sumario|sommario"
    r"|inhoud|目录|目次|содержание|оглавление)[\s:.*_=]*$",
    re.I | re.M,
)
_CHAPTER = re.compile(
    r"^\W*(?:(?:chapter|chapitre|kapitel|part|book|section|appendix|annexe?|cap[ií]tulo)\b"
    r"|\d{1,2}(?:\.\d{1,2}){0,3}\.?\s"
    r"|[IVXLC]{1,7}[.\s])",
    re.I,
)
_PAGES = r"_?\d{1,4}_?(?:\s?[-–]\s?\d{1,4})?(?:\s?[nf]{1,2}\.?)?"
_TERM = re.compile(rf"^.{{2,70}}?(?:,|\s{{2,}}|\.{{2,}}|:)\s*({_PAGES}(?:[,;]\s*{_PAGES})*)[.;]?\s*$")
_SEE = re.compile(r"[.,;(]\s*_?(?:see|see also|siehe(?: auch)?|s\. auch|voir(?: aussi)?|véase(?: también)?)\b", re.I)
_SENTENCE = re.compile(r"[.!?。！？।]\W*$")
_MEANS = re.compile(
    r"\b(?:pp?\.\s?\d|vol\.|no\.\s?\d|eds?\.\W|et al\b|in proc(?:eedings|\.)|press\b|journal|transactions on|springer"
    r"|elsevier|doi[:.]|arxiv|https?://|isbn|university|publish|verlag|trans\. by|conference|proceedings"
    r"|technical report)",
    re.I,
)
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d[a-z]?\b")
_REFERENCE = re.compile(
    r"^\W*(?:\[[\w+-]{1,12}\]|\d{1,3}[.)]|[•*-])?\s*(?:[A-Z][\w'’-]+,\s(?:[A-Z]\.|[A-Z][a-z]+)"
    r"|[A-Z]\.\s?(?:[A-Z]\.\s?)?[A-Z]\w+)"
)
_LINK = re.compile(r"\[[^\]\n]*\]\([^)\n]*\)|https?://\S+")
_NAVIGATION = re.compile(
    r"(?:home|next|previous|prev|up|top|back|back to top|menu|main menu|search|log in|login|sign in|sign up"
    r"|register|logout|contact|contact us|about|about us|sitemap|site map|skip to content|skip to main content"
    r"|share|tweet|subscribe|newsletter|help|faq|print|download|privacy|privacy policy|terms|terms of use"
    r"|terms of service|cookies|imprint|table of contents|toc|index|product site|documentation site|archive"
    r"|archives|categories|tags|blog|news|follow us|facebook|twitter|read more|more|view source|edit|history"
    r"|jump to navigation|jump to search|toggle navigation|accueil|suivant|précédent|startseite|weiter|zurück"
    r"|inicio|siguiente|anterior|home page|go to page|cookie policy|precedent|impressum|datenschutz|kontakt"
    r"|suche|mentions légales)"
)


def shape_of(text: str) -> str | None:
    """`contents`, `index`, `bibliography` or `navigation`, by the shape of a passage's lines; None if it is none."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) < 5:
        return None
    for shape, is_one in SHAPES.items():
        if is_one(text, lines):
            return shape
    return None


def _is_contents(text: str, lines: Sequence[str]) -> bool:
    led = [match for line in lines if (match := _LEADER.match(line))]
    if len(led) >= 4 and 2 * len(led) >= len(lines) and _rises([m[1] or m[2] for m in led]):
        return True
    paged = led + [match for line in lines if (match := _PAGED.match(line))]
    short = [line for line in lines if len(line) <= 90 and not _SENTENCE.search(line)]
    headed = _CONTENTS.search(text) is not None
    if headed and len(paged) >= 4 and 3 * len(paged) >= 2 * len(lines):
        return True
    chapters = [line for line in lines if _CHAPTER.match(line)]
    if headed and 10 * len(short) >= 9 * len(lines) and len(lines) >= 8 and 2 * len(chapters) >= len(lines):
        return True
    known = [match for line in lines if _CHAPTER.match(line) and (match := _PAGED.match(line) or _LEADER.match(line))]
    return (
        len(known) >= 5
        and 3 * len(known) >= 2 * len(chapters)
        and 2 * len(known) >= len(lines)
        and _rises([m[1] for m in known if m[1]])
    )


def _rises(pages: Sequence[str]) -> bool:
    """Whether page numbers rise; those in Roman numerals have their turn before."""
    numbers = [int(page) for page in pages if page.isdigit()]
    falls = sum(a > b for a, b in pairwise(numbers))
    return 10 * falls <= len(numbers) and (len(set(numbers)) > 2 or len(numbers) < len(pages) / 2)


def _is_index(text: str, lines: Sequence[str]) -> bool:
    """In the order of the alphabet; and with several pages, or a range, here and there: a table has them in every row,
    or in none.
    """
    found = [(line, match[1]) for line in lines if (match := _TERM.match(line)) and _begins_entry(line)]
    entries = [(line, pages) for line, pages in found if not _YEAR.search(pages)]
    if len(entries) < 8 or 2 * len(entries) < len(lines) or 10 * len(entries) < 9 * len(found):
        return False
    firsts = [line.lstrip("\"'‘“_(*")[:1].casefold() for line, _ in entries]
    if 10 * sum(a > b for a, b in pairwise(firsts)) > 2 * len(firsts):
        return False
    several = sum(map(_is_of_an_index, (pages for _, pages in entries))) + sum(
        bool(_SEE.search(line)) for line in lines
    )
    forms = {re.sub(r"\d+", "1", pages) for _, pages in entries}
    return several >= max(2, len(entries) / 8) and len(forms) > 1


def _begins_entry(line: str) -> bool:
    return line[:1].isalpha() or line[:1] in "\"'‘“_(*"


def _is_of_an_index(pages: str) -> bool:
    """Whether an entry has what only an index has: several pages that rise, a range of them, or a page's note."""
    first = [int(number) for number in re.findall(r"(?<![-–\d])\d+", re.sub(r"\s*([-–])\s*", r"\1", pages))]
    if any(a > b for a, b in pairwise(first)):
        return False
    return len(first) > 1 or re.search(r"[-–nf]", pages) is not None


def _is_bibliography(text: str, lines: Sequence[str]) -> bool:
    parts = [part for part in re.split(r"\n\s*\n|\n(?=\s*\[[\w+-]{1,12}\]\s)", text) if part.strip()]
    if len(parts) < 4:
        parts = list(lines)
    known = [p for p in parts if _YEAR.search(p) and _MEANS.search(p) and _REFERENCE.match(p) and len(p) < 600]
    return len(known) >= 4 and 10 * len(known) >= 7 * len(parts)


def _is_navigation(text: str, lines: Sequence[str]) -> bool:
    short = [line for line in lines if len(line.split()) <= 5 and not _SENTENCE.search(line)]
    bare = [line.strip("[]|*•·→←»«<>-– \t").casefold() for line in lines]
    known = [word for word in bare if _NAVIGATION.fullmatch(word)]
    mostly = 5 * sum(map(len, short)) >= 4 * sum(map(len, lines))
    if len(lines) >= 6 and mostly and len(set(known)) >= 4 and 3 * len(known) >= len(lines):
        return True
    beside = "".join(_LINK.sub("", text).split())
    return len(_LINK.findall(text)) >= 8 and len(beside) < 0.2 * len("".join(text.split()))


SHAPES = {
    "contents": _is_contents,
    "index": _is_index,
    "bibliography": _is_bibliography,
    "navigation": _is_navigation,
}
