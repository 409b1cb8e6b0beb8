"""Where in its file a stretch of a document stands: its pages, by what the metadata of the document says."""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import Any


def page_of(metadata: str, start: int) -> int | None:
    """The page, from 1, on which a character of a document stands; None where its metadata knows no pages.

    metadata: as in `Document.metadata`. start: the character, from 0.
    """
    found = _pages(metadata)
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


def _pages(metadata: str) -> list[Any]:
    """The pages that the metadata has, as [number, first character]; a row's own column may have that name, too."""
    try:
        known = json.loads(metadata)
    except ValueError:
        return []
    found = known.get("pages") if isinstance(known, dict) and "extractor" in known else None
    if not isinstance(found, list):
        return []
    return found if all(isinstance(each, list) and len(each) == 2 for each in found) else []
