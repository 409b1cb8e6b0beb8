"""How an answer and its passages look to a person, and the reasoning while it is written.

Every line that holds words of a document or of a model is led in, and every line that is not is this program's own: so
nothing that they say can pass for a passage that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from datagen.console import plain
from datagen.grounded import Answer, Citation, telling
from datagen.grounding import verify
from datagen.grounding.prose import Prose
from datagen.text import places

WHOLE = 600  # characters of a passage that is shown whole; of a longer one, so many are shown
TAB = "    "
ANSWER, RAW, QUOTE = "Answer: ", "  | ", "  > "


def line_of(citation: Citation, text: str) -> int:
    """The line of the document that a citation begins in, from 1."""
    return text.count("\n", 0, citation.start) + 1


def told(answer: Answer, text: str, columns: int | None = None, metadata: str = "{}") -> Iterator[str]:
    """The lines that show the answer to a question about a text, with its passages. columns: of the terminal, if it is
    one: then long lines are folded. metadata: the document's, which may know its pages.
    """
    if answer.answer is not None:
        yield from led_in(answer.answer, columns, " " * len(ANSWER), ANSWER)
    for cited in answer.citations:
        place = f"characters {cited.start:,} to {cited.end:,}, line {line_of(cited, text):,}"
        if pages := places.cited(metadata, cited.start, cited.end):
            place = f"{pages}, {place}"
        yield ""
        yield f"Chunk {cited.chunk:,}, {place}:"
        yield from led_in(shortened(cited.text, answer.answer or ""), columns, QUOTE)


def led_in(text: str, columns: int | None, with_: str, first: str | None = None) -> Iterator[str]:
    """The lines of a text, plain, each behind so many characters, the first behind others."""
    lead = with_ if first is None else first
    for line in plain(text).split("\n"):
        for part in _folded(line, columns - len(with_) - 1) if columns else [line]:
            yield f"{lead}{part}".rstrip()
            lead = with_


def _folded(line: str, columns: int) -> list[str]:
    """A line in parts of at most so many columns: a letter of some scripts takes two."""
    parts = Text(line).wrap(Console(), max(columns, 8))
    return [part.plain for part in parts] or [""]


def shortened(passage: str, answer: str) -> str:
    """A passage that is not too long as it is; of another, the stretch that holds most words of the answer."""
    if len(passage) <= WHOLE:
        return passage
    start = _densest(passage, answer)
    end = min(start + WHOLE, len(passage))
    if start > 0 and (blank := re.search(r"\s", passage[start : start + WHOLE // 8])):
        start += blank.end()
    if end < len(passage) and (blank := re.search(r"\s\S*\Z", passage[end - WHOLE // 8 : end])):
        end -= WHOLE // 8 - blank.start()
    return ("… " if start else "") + passage[start:end].strip() + (" …" if end < len(passage) else "")


def _densest(passage: str, answer: str) -> int:
    """Where the stretch begins that holds most different words of the answer, the most telling: the longest."""
    wanted = sorted(set(telling(answer) or verify.words(answer)), key=len)
    if not wanted:
        return 0
    places = [(m.start(), m[0].casefold()) for m in re.finditer("|".join(map(re.escape, wanted[::-1])), passage, re.I)]
    best, most = 0, 0
    for i, (at, _) in enumerate(places):
        held = {word for place, word in places[i : i + WHOLE] if place < at + WHOLE // 2}
        if (weight := sum(map(len, held))) > most:
            best, most = at, weight
    return max(0, min(best - WHOLE // 4, len(passage) - WHOLE))


class Thinking:
    """Shows a response on a terminal while it is written, dim, up to its sections."""

    def __init__(self, console: Console) -> None:
        self.console, self.prose = console, Prose()
        self.shown = ""

    def __call__(self, piece: str) -> None:
        """Show another piece of the response."""
        self._show(self.prose(piece))

    def end(self, reasoning: str = "") -> None:
        """The response has ended. reasoning: the whole, which is shown if it was not heard, as of servers that set it
        apart.
        """
        self._show(self.prose.end())
        if not self.shown.strip():
            self._show(reasoning)
        if self.shown and not self.shown.endswith("\n"):
            self._show("\n")

    def _show(self, text: str) -> None:
        if text:
            self.shown = (self.shown + text)[-WHOLE:]
            spaced = plain(text).replace("\t", TAB)  # a tab's width would go by where a piece begins
            self.console.print(Text(spaced, style="dim"), end="", soft_wrap=True)
