"""Texts whose lines are wrapped inside of words, as Korean ones often are: which line ends stand in a word.

Such a text fills every line and drops the blank where a line happens to end between two words, so that a line's end
does not tell whether one word goes on or another begins. The document's own vocabulary does: the words inside of its
lines, with and without their particles. A word cut in two is one of these once its parts are joined, and its parts by
themselves are not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from datagen.text.lexicon import KOREAN_PARTICLES
from datagen.text.prose_view import View, without
from datagen.text.scripts import HANGUL

_BLANK = "[ \t\u00a0]*"
_LINE_END = re.compile(rf"(?<=[{HANGUL}]){_BLANK}\r?\n{_BLANK}(?=[{HANGUL}])")
_FIRST, _LAST = re.compile(rf"[{HANGUL}]+"), re.compile(rf"[{HANGUL}]+$")
_INNER = re.compile(rf"(?<=[ \t\u00a0(\[\"'“‘])[{HANGUL}]+(?=[^{HANGUL}\n\r])")
_LONGEST = 40  # characters of a word that are looked at
_FEWEST, _SHARE = 3, 0.1  # of the line ends stand in a word, for a text to be one that is wrapped so
_VERB = re.compile("(?:하|합|해|한|할|했|되|됩|된|될|됐)")  # what makes verbs of nouns, in their forms
_PARTICLE = re.compile(f"(?:{'|'.join(sorted(KOREAN_PARTICLES, key=len, reverse=True))})$")


def unwrapped(seen: Sequence[View]) -> list[View]:
    """A document's chunks as prose, without the line ends that stand in a word; as they are, in other documents."""
    ends = [list(_LINE_END.finditer(view.text)) for view in seen]
    pairs = [
        beside(view.text[max(0, end.start() - _LONGEST) : end.start()], view.text[end.end() : end.end() + _LONGEST])
        for view, found in zip(seen, ends, strict=True)
        for end in found
    ]
    inside = iter(inside_of_words(pairs, vocabulary(view.text for view in seen)) if pairs else [])
    return [
        without(view, [(*end.span(), "") for end in found if next(inside)]) if found else view
        for view, found in zip(seen, ends, strict=True)
    ]


def vocabulary(texts: Iterable[str]) -> Counter[str]:
    """How often each Korean word stands inside of a line of the texts, neither at its beginning nor at its end."""
    return Counter(word for text in texts for word in _INNER.findall(text))


def inside_of_words(pairs: Sequence[tuple[str, str]], words: Counter[str]) -> list[bool]:
    """Of the last word of a line and the first of the next: whether they are one word.

    pairs: for each line end, both in Hangul. words: of the document, as `vocabulary` counts them. All are False where
    too few are words cut in two for the text to be wrapped so.
    """
    stems: Counter[str] = Counter()
    for word, n in words.items():
        for stem in _stems(word):
            stems[stem] += n
    found = [(_joined(a, b, words, stems), min(words[a], _most(_stems(b), stems))) for a, b in pairs]
    cut = sum(joined > 0 and apart == 0 for joined, apart in found)
    if cut < _FEWEST or cut < _SHARE * len(found):
        return [False] * len(found)
    return [joined > apart for joined, apart in found]


def beside(line: str, following: str) -> tuple[str, str]:
    """The Hangul that a line ends with, and that the following one begins with; "" where it is other text."""
    last, first = _LAST.search(line, max(0, len(line) - _LONGEST)), _FIRST.match(following, 0, _LONGEST)
    return last[0] if last else "", first[0] if first else ""


def _joined(a: str, b: str, words: Counter[str], stems: Counter[str]) -> int:
    """How often the document has two parts as one word. What is left of it must be more than is left of the first."""
    least = len(a) if words[a] else len(a) - 1
    return _most([stem for stem in _stems(a + b) if len(stem) >= least], stems)


def _most(forms: Iterable[str], stems: Counter[str]) -> int:
    return max(stems[form] for form in forms)


@lru_cache(maxsize=1 << 14)
def _stems(word: str) -> tuple[str, ...]:
    """The word, and what is left of it without a particle, or without what makes a verb of it."""
    return tuple(_forms(word))


def _forms(word: str) -> Iterator[str]:
    yield word
    if (particle := _PARTICLE.search(word)) and particle.start() > 1:
        yield word[: particle.start()]
    if verb := _VERB.search(word, 2):
        yield word[: verb.start()]
