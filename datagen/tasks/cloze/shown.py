"""What the questions of one document show and ask for so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from datagen.tasks.cloze.blanks import telling_words
from datagen.tasks.cloze.options import Option
from datagen.tasks.cloze.words import words


@dataclass(slots=True)
class Shown:
    """The sentences, the words and the terms of the questions so far.

    Words are compared as they are: rows are read one at a time, so that only what a question prints of another one's
    answer counts, and not what is like it.
    """

    quotes: set[str] = field(default_factory=set)
    evidence: set[tuple[int, ...]] = field(default_factory=set)
    _visible: set[str] = field(default_factory=set)
    _streams: list[str] = field(default_factory=list)  # the words of each question in their order
    _asked: set[str] = field(default_factory=set)  # telling words
    _phrases: set[str] = field(default_factory=set)  # terms of scripts without spaces, which have no such words

    def show(self, visible: Sequence[str]) -> None:
        """Take note of words that can be read."""
        self._visible.update(visible)
        self._streams.append(_in_row(visible))

    def add(self, chosen: Sequence[Option], visible: Sequence[str]) -> None:
        """Take note of a question, by its blanks and the words that it shows."""
        self.show(visible)
        self.quotes.update(option.quote for option in chosen)
        self.evidence.add(tuple(option.chunk for option in chosen))
        for option in chosen:
            telling = telling_words(option.term, option.code)
            self._asked.update(telling)
            if not telling:
                self._phrases.add(_in_row(words(option.term)))

    def tells(self, option: Option) -> bool:
        """Whether a question prints, or asks for, what a blank would ask for."""
        if telling := telling_words(option.term, option.code):
            return not (self._visible.isdisjoint(telling) and self._asked.isdisjoint(telling))
        phrase = _in_row(words(option.term))
        return phrase in self._phrases or any(phrase in stream for stream in self._streams)

    def is_told_by(self, visible: Sequence[str]) -> bool:
        """Whether these words would tell what a question asks for."""
        stream = _in_row(visible)
        return not self._asked.isdisjoint(visible) or any(phrase in stream for phrase in self._phrases)


def _in_row(phrase: Sequence[str]) -> str:
    return f" {' '.join(phrase)} "
