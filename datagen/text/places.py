"""Where in its file a stretch of a document stands: pages and headings, by what the metadata of the document says."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any


def page_of(metadata: str, start: int) -> int | None:
    """The page, from 1, on which a character of a document stands; None where its metadata knows no pages.

    metadata: as in `Document.metadata`. start: the character, from 0.
    """
    found = _listed(metadata, "pages", 2)
    at = bisect_right([begins for _, begins in found], start)
    return found[at - 1][0] if at else None


def pages_of(metadata: str, start: int, end: int) -> tuple[int, int] | None:
    """The first and the last page of the characters from `start` to before `end`; None where no pages are known."""
    first, last = page_of(metadata, start), page_of(metadata, max(start, end - 1))
    return None if first is None or last is None else (first, last)


def cited(metadata: str, start: int, end: int) -> str:
    """How a stretch of a document is cited: "p. 12", "p. 12–13"; "" where no pages are known."""
    found = pages_of(metadata, start, end)
    if found is None:
        return ""
    first, last = found
    return f"p. {first}" if first == last else f"p. {first}–{last}"


def headings_of(metadata: str, start: int) -> list[str]:
    """The headings that a character of a document stands under, the outermost first; none where none are known."""
    under: list[tuple[int, str]] = []
    for begins, level, text in _listed(metadata, "headings", 3):
        if begins > start:
            break
        under = [(other, title) for other, title in under if other < level] + [(level, text)]
    return [title for _, title in under]


def _listed(metadata: str, name: str, n: int) -> list[Any]:
    """A list of lists of `n` that the metadata has under a name. A row's own column of that name may hold anything."""
    try:
        known = json.loads(metadata)
    except ValueError:
        return []
    found = known.get(name) if isinstance(known, dict) and "extractor" in known else None
    if name == "headings" and isinstance(known, dict) and known.get("kind") == "folder":
        found = known.get(name)
    if not isinstance(found, list):
        return []
    return found if all(isinstance(each, list) and len(each) == n for each in found) else []
