"""A text as the plain prose that it holds: markup, code and time marks set aside, each character with its place.

A sentence of a comment runs over `# ` at the beginning of a line, one of a subtitle over a number and a time, and an
emphasised word has stars around it. `view` leaves these out and says where in the text each character stands that is
left, so that a sentence that is found in the view is a stretch of the text, verbatim, and is shown as in the view.

What a view cannot make plain it leaves as it is (a formula, an unknown command): a sentence that holds it is then no
good one, but none is made up. Every pattern takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from datagen.text.markup import CODE, MARKUP, Rule
from datagen.text.syntax import Kind, kind_of

FEWEST_WORDS = 30  # of comments, by which a chunk of a program is compared


@dataclass(frozen=True)
class View:
    """A text as prose.

    offsets: (len(text),) strictly ascending places in the text that is viewed. `text[i]` is the character there, or
    stands for what was set aside from there on: a blank, a line's end, or what LaTeX spells with several characters.
    """

    text: str
    offsets: np.ndarray

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where `text[start:end]`, which is not empty, begins and ends in the text that is viewed."""
        return int(self.offsets[start]), int(self.offsets[end - 1]) + 1

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where in `self.text` is what is seen of the viewed text's stretch from `start` to `end`."""
        first, last = self.offsets.searchsorted([start, end]).tolist()
        return first, last

    def shown(self, start: int, end: int) -> str:
        """What is seen of the viewed text's stretch from `start` to `end`."""
        return self.text[slice(*self.place(start, end))]


def view(text: str, kind: Kind) -> View:
    """A text of a kind as prose; as it is, where the kind is `prose`."""
    seen = View(text, np.arange(len(text), dtype=np.int64))
    if kind in CODE:
        seen = without(seen, _between(CODE[kind], seen.text))
    for rule in MARKUP.get(kind, ()):
        seen = without(seen, _beside(rule, seen.text))
    return seen


def views(texts: Sequence[str], kind: Kind) -> list[View]:
    """Each chunk of a document as prose, seen in the whole: one may begin inside of a comment or of a listing.

    texts: of the chunks, in order. The offsets of each view are places in its chunk.
    """
    whole = view("\n\n".join(texts), kind)
    starts = [0, *accumulate(len(text) + 2 for text in texts)]
    found = []
    for (start, _), text in zip(pairwise(starts), texts, strict=True):
        first, last = whole.offsets.searchsorted([start, start + len(text)])
        found.append(View(whole.text[first:last], whole.offsets[first:last] - start))
    return found


def compared(texts: Sequence[str]) -> list[str]:
    """What chunks of a document are compared by: their texts, but of subtitles and of programs the prose where there is
    some. Numbers and times are half of the words of subtitles, and alike where chunks stand side by side; what a part
    of a program is about is said in its comments.
    """
    kind = kind_of(texts)
    if kind != "subtitles" and kind not in CODE:
        return list(texts)
    fewest = 1 if kind == "subtitles" else FEWEST_WORDS
    seen = views(texts, kind)
    return [v.text if len(v.text.split()) >= fewest else text for v, text in zip(seen, texts, strict=True)]


def without(seen: View, removed: Iterable[tuple[int, int, str]]) -> View:
    """The view without some stretches of it.

    removed: ascending and apart, as (start, end, what stands for it); that is cut where it is longer than the stretch.
    """
    parts, at = [], 0
    kept = np.ones(len(seen.text), dtype=bool)
    for start, end, joint in removed:
        joint = joint[: end - start]
        kept[start + len(joint) : end] = False
        parts += [seen.text[at:start], joint]
        at = end
    return View("".join([*parts, seen.text[at:]]), seen.offsets[kept])


def _beside(rule: Rule, text: str) -> Iterator[tuple[int, int, str]]:
    """What of each match is in none of its groups. The joint stands for the first such stretch."""
    for match in rule.pattern.finditer(text):
        if rule.shown:
            if (shown := rule.shown(match)) is not None:
                yield from _replaced(text, *match.span(), shown)
            continue
        at, joint = match.start(), rule.joint
        for start, end in _groups(match):
            if at < start:
                yield at, start, joint
                joint = ""
            at = end
        if at < match.end():
            yield at, match.end(), joint


def _replaced(text: str, start: int, end: int, shown: str) -> Iterator[tuple[int, int, str]]:
    """What is left out to show something in the place of text[start:end]: all but that, if it stands there."""
    at = text.find(shown, start, end)
    if at < 0:
        yield start, end, shown
        return
    yield start, at, ""
    yield at + len(shown), end, ""


def _between(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int, str]]:
    """What is in no group of any match: a paragraph's end stands for it."""
    at = 0
    for match in pattern.finditer(text):
        for start, end in _groups(match):
            if at < start:
                yield at, start, "\n\n"
            at = end
    if at < len(text):
        yield at, len(text), "\n\n"


def _groups(match: re.Match[str]) -> Iterator[tuple[int, int]]:
    """The groups without a name that matched; they do not overlap."""
    named = match.re.groupindex.values()
    return (match.span(i) for i in range(1, match.re.groups + 1) if match.start(i) >= 0 and i not in named)
