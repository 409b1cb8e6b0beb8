"""What the generator and the verifier need to know about a whole document, gathered once, in linear time."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice

from datagen.tasks.cloze.affixes import INFLECTED, variants
from datagen.tasks.cloze.boilerplate import body
from datagen.tasks.cloze.prose import LONE
from datagen.tasks.cloze.words import fold, show, spelled_words, words
from datagen.text.markup import CODE
from datagen.text.prose_view import View, views
from datagen.text.scripts import HANGUL
from datagen.text.syntax import kind_of
from datagen.text.wrapped import unwrapped

_HANGUL = re.compile(f"[{HANGUL}]")
_JOINED, _LONE = re.compile("[\u0621-\u06d3]+"), re.compile(LONE)
_FEWEST_LONE, _LONE_SHARE = 10, 0.004  # of the words: fewer are letters that are spoken of
_SHORTEST_STEM = 5  # letters of a word whose forms are looked for
_IDENTIFIER = re.compile(r"\w_\w|[a-z][A-Z]")
_USED = 0.1  # of the chunks of a program: where a name is still one of many
_COUNTED_PLACES = 40  # a phrase standing more often is no rare one


@dataclass(frozen=True, slots=True)
class DocumentIndex:
    """A document's chunks, the prose in them, and its words as one stream.

    The stream is every word of the prose, casefolded, between single spaces: a phrase is found in it whatever its case,
    line breaks, markup and punctuation, also where it crosses from one chunk into the next. Words are counted in all
    that a chunk holds: a name in a comment is no rare one if the code around uses it everywhere. Whoever answers reads
    what is set aside, such as a table, too: so there is a second stream, of all words of the chunks that hold some.
    """

    chunks: tuple[str, ...]
    seen: tuple[View, ...] = field(compare=False)  # each chunk as prose, without line ends that stand in a word
    stream: str
    starts: tuple[int, ...]  # where the words of each chunk's prose begin in the stream
    whole: str = field(compare=False)  # the stream of all that is in the chunks of which something is set aside
    whole_starts: tuple[int, ...] = field(compare=False)
    chunk_counts: Mapping[str, int]  # in how many chunks each word stands
    vocabulary: tuple[str, ...] = field(compare=False)  # its words, in order
    lower_case: frozenset[str]  # the words seen in lower case
    common: frozenset[str]  # the words of a fifth of the chunks: the language's function words, by and large
    first: tuple[int, int]  # where its body begins, as (chunk, character): after a distributor's header
    last: tuple[int, int]  # and where it ends
    torn: bool  # many of its letters of joined scripts stand by themselves: a PDF's, whose fonts do not tell all
    is_code: bool = False  # whether its prose is the comments of a program

    @classmethod
    def build(cls, chunks: Sequence[str]) -> DocumentIndex:
        """The index of a document, given its chunks' texts in order."""
        kind = kind_of(chunks)
        seen = unwrapped(views(chunks, kind))
        counts: Counter[str] = Counter()
        in_prose: Counter[str] = Counter()
        lower_case: set[str] = set()
        parts: list[str] = []
        wholes: list[str] = []
        for chunk, view in zip(chunks, seen, strict=True):
            spelled = spelled_words(view.text)
            folded = [folded for w in spelled if (folded := fold(w))]
            parts.append("".join(f" {w}" for w in folded))
            once = set(folded)
            in_prose.update(once)
            wholes.append("")
            if view.text != chunk:
                around = spelled_words(chunk)
                all_folded = [folded for w in around if (folded := fold(w))]
                wholes[-1] = "".join(f" {w}" for w in all_folded)
                once.update(all_folded)
                spelled += around
            counts.update(once)
            lower_case.update(w for w in spelled if w.islower())
        often = max(min(3, len(parts)), 0.2 * len(parts))
        common = frozenset(w for w, n in in_prose.items() if n >= often and not w.isdigit())
        first, last = body(chunks)
        return cls(
            tuple(chunks),
            tuple(seen),
            *_stream(parts),
            *_stream(wholes),
            dict(counts),
            tuple(sorted(counts)),
            frozenset(lower_case),
            common,
            first,
            last,
            _is_torn(chunks),
            kind in CODE,
        )

    def neighbours(self, index: int) -> tuple[str, str]:
        """The prose before and after a chunk's; empty at the document's ends."""
        after = self.seen[index + 1].text if index + 1 < len(self.seen) else ""
        return (self.seen[index - 1].text if index else ""), after

    def prose_of(self, quote: str, chunk: int) -> str:
        """What is seen of a quote where it first stands in a chunk; the quote itself, where it does not."""
        at = self.chunks[chunk].find(quote)
        return self.seen[chunk].shown(at, at + len(quote)) if at >= 0 else quote

    def shown(self, quote: str, chunk: int) -> str:
        """`prose_of`, as one line: the sentence as a question shows it."""
        return show(self.prose_of(quote, chunk))

    def in_body(self, chunk: int, start: int) -> bool:
        """Whether a place is in the document itself, and not in a distributor's header, footer or licence."""
        return self.first <= (chunk, start) < self.last

    def places(self, phrase: Sequence[str]) -> Iterator[int]:
        """Positions in the stream where these words stand in a row, each on the space before the first."""
        return _places(phrase, self.stream)

    def elsewhere(self, phrase: Sequence[str], chunk: int) -> list[int]:
        """Other chunks that hold these words in a row, in prose or set aside; not all, if there are very many."""
        found = {self.chunk_at(place) for place in islice(self.places(phrase), _COUNTED_PLACES)}
        aside = islice(_places(phrase, self.whole), _COUNTED_PLACES)
        found |= {bisect_right(self.whole_starts, place) - 1 for place in aside}
        return sorted(found - {chunk})

    def chunk_at(self, place: int) -> int:
        """The chunk that the stream's position belongs to."""
        return bisect_right(self.starts, place) - 1

    def chunks_with(self, phrase: Sequence[str]) -> int:
        """In how many chunks these words stand in a row (a phrase found very often is only counted in part).

        In Korean the last one may go on with a particle.
        """
        if phrase and _HANGUL.match(phrase[-1]):
            found = re.finditer(re.escape(f" {' '.join(phrase)}"), self.stream)
            return len({self.chunk_at(place.start()) for place in islice(found, _COUNTED_PLACES)})
        rarest = min((self.chunk_counts.get(w, 0) for w in phrase), default=0)
        if len(phrase) < 2 or rarest < 2:
            return rarest
        return len({self.chunk_at(place) for place in islice(self.places(phrase), _COUNTED_PLACES)})

    def chunks_with_forms(self, word: str, code: str) -> int:
        """In how many chunks the most frequent form of a word stands; that word, if its language has no such forms."""
        found = self.chunk_counts.get(word, 0)
        if code not in INFLECTED or len(word) < _SHORTEST_STEM:
            return found
        stem = word[: max(_SHORTEST_STEM - 1, len(word) - 3)]
        for i in range(bisect_left(self.vocabulary, stem), len(self.vocabulary)):
            other = self.vocabulary[i]
            if not other.startswith(stem):
                break
            if variants(word, other, code):
                found = max(found, self.chunk_counts[other])
        return found

    def is_distinctive(self, term: str, chunks: int, most: int) -> bool:
        """Whether a term that stands in so many chunks stands in few: in one at least, in `most` at most.

        A name of a program stands wherever it is used: it may be in a tenth of the chunks, if few comment on it.
        """
        if self.is_code and chunks > most and _IDENTIFIER.search(term):
            return chunks <= _USED * len(self.chunks) and self._commented(words(term), most)
        return 1 <= chunks <= most

    def _commented(self, phrase: Sequence[str], most: int) -> bool:
        return len({self.chunk_at(place) for place in islice(self.places(phrase), _COUNTED_PLACES)}) <= most

    def rivals(self, left: list[str], asked: list[str], right: list[str]) -> Iterator[tuple[list[str], int]]:
        """What else than the words `asked` stands between the words `left` and `right`, and in which chunk.

        Of what is set aside only what does not hold these words is a rival: there may be markup around them.
        """
        for fill, chunk in self.fills(left, right, len(asked)):
            if fill != asked:
                yield fill, chunk
        for fill, place in _fills(left, right, len(asked), self.whole):
            if f" {' '.join(asked)} " not in f" {' '.join(fill)} ":
                yield fill, bisect_right(self.whole_starts, place) - 1

    def fills(self, left: list[str], right: list[str], width: int) -> Iterator[tuple[list[str], int]]:
        """What stands between the words `left` and `right` in the prose, wherever both stand, and in which chunk.

        `width` is how many words are expected between them; where `right` or `left` is empty, just so many are taken.
        """
        for fill, place in _fills(left, right, width, self.stream):
            yield fill, self.chunk_at(place)


def _stream(parts: Sequence[str]) -> tuple[str, tuple[int, ...]]:
    """The words of all chunks as one text, and where those of each begin."""
    return "".join(parts) + " ", tuple(accumulate(map(len, parts[:-1]), initial=0))


def _places(phrase: Sequence[str], stream: str) -> Iterator[int]:
    needle = f" {' '.join(phrase)} "
    at = stream.find(needle) if phrase else -1
    while at >= 0:
        yield at
        at = stream.find(needle, at + 1)


def _fills(left: list[str], right: list[str], width: int, stream: str) -> Iterator[tuple[list[str], int]]:
    onward = len(left) >= len(right)
    anchor, other = (left, right) if onward else (right, left[::-1])
    for place in _places(anchor, stream):
        if onward:
            start = place + len(" ".join(anchor)) + 1
            beyond = stream[start : start + 600].split()
        else:
            beyond = stream[max(0, place - 600) : place].split()[::-1]
        for n in range(1 if other else width, width + 3):
            if beyond[n : n + len(other)] == other:
                yield (beyond[:n] if onward else beyond[:n][::-1]), place
                break


def _is_torn(chunks: Sequence[str]) -> bool:
    lone = sum(len(_LONE.findall(chunk)) for chunk in chunks)
    return lone >= _FEWEST_LONE and lone > _LONE_SHARE * sum(len(_JOINED.findall(chunk)) for chunk in chunks)
