"""Multi-evidence cloze questions without a model: one sentence from each of several chunks, its best term blanked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from datagen.tasks.cloze import blanks, sentences, terms
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.words import show, words

TOO_FEW = "too few sentences with a distinctive term"
NO_MATCH = "no set of sentences that do not give each other away"

_MIN_CONTEXT = 4  # words, apart from the term and the function words, that tell which sentence it is
_WORTH = {"title": 5.0, "name": 5.0, "identifier": 5.0, "number": 4.0, "noun": 2.5, "word": 0.5}


@dataclass(frozen=True, slots=True)
class Cloze:
    """A question with its answer and its evidence; the last three fields are aligned."""

    question: str
    answer: str
    ref_chunks: list[int]  # ascending
    terms: list[str]
    quotes: list[str]  # verbatim sentences of the chunks
    quote_chunks: list[int]


class Shortage(NamedTuple):
    """Why no question could be made."""

    reason: str
    detail: str


class _Option(NamedTuple):
    chunk: int
    quote: str
    blanked: str
    term: str
    worth: float


def numbered(blanked: Sequence[str]) -> str:
    """The blanked sentences as a numbered list, for the question's template."""
    return "\n".join(f"{i}. {sentence}" for i, sentence in enumerate(blanked, start=1))


def candidates(
    doc: DocumentIndex,
    chunk_indices: Sequence[int],
    n: int,
    rng: random.Random,
    min_evidence: int,
    max_evidence: int,
    render: Callable[[Sequence[str]], str],
) -> list[Cloze] | Shortage:
    """Up to n candidates from one cluster of the document's chunks, no two from the same sentences.

    `render` writes the question from the blanked sentences, in the order of the answer's terms.
    """
    options = {i: found for i in sorted(set(chunk_indices)) if (found := list(_options(doc, i)))}
    if len(options) < max(1, min_evidence):
        return Shortage(TOO_FEW, f"{len(options)} of {len(set(chunk_indices))} chunks have one, {min_evidence} needed")
    fewest = max(1, min_evidence)
    most = max(fewest, min(max_evidence, len(options)))
    made: list[Cloze] = []
    used: dict[str, int] = {}
    for _ in range(12 * n):
        if len(made) == n:
            break
        cloze = _assemble(_draw(options, rng.randint(fewest, most), used, rng), render)
        if cloze and all(set(cloze.quotes) != set(other.quotes) for other in made):
            made.append(cloze)
            for quote in cloze.quotes:
                used[quote] = used.get(quote, 0) + 1
    return made or Shortage(NO_MATCH, f"{12 * n} draws from {len(options)} chunks")


def _options(doc: DocumentIndex, chunk: int) -> Iterator[_Option]:
    """Every blank worth asking for in a chunk's sentences, if the sentence stands nowhere else in the document."""
    for sentence in sentences.prose_sentences(doc.chunks[chunk], *doc.neighbours(chunk)):
        shown = show(sentence.text)
        phrase = words(shown)
        if not doc.reads_like_language(phrase):
            continue
        for term in terms.find(shown, doc):
            blanked = blanks.blanked(shown, term.text)
            # A term broken over two lines would not stand verbatim in its quote.
            if blanked is None or term.text not in sentence.text:
                continue
            told = blanks.context(blanked, doc)
            if told >= _MIN_CONTEXT and (term.chunks == 1 or len(list(islice(doc.places(phrase), 2))) == 1):
                worth = _WORTH[term.kind] / term.chunks * min(1.0, told / 8)
                yield _Option(chunk, sentence.text, blanked, term.text, worth)


def _draw(options: dict[int, list[_Option]], count: int, used: dict[str, int], rng: random.Random) -> list[_Option]:
    """One option from each of `count` chunks: the worthy more often, what earlier candidates used less often."""
    weighed = {i: [(o.worth / (1 + 4 * used.get(o.quote, 0))) ** 2 for o in found] for i, found in options.items()}
    # Efraimidis and Spirakis (2006): the largest keys are a weighted sample without replacement.
    keys = {i: rng.random() ** (1 / max(weights)) for i, weights in weighed.items()}
    chosen = sorted(sorted(keys, key=lambda i: -keys[i])[:count])
    return [rng.choices(options[i], weighed[i])[0] for i in chosen]


def _assemble(chosen: Sequence[_Option], render: Callable[[Sequence[str]], str]) -> Cloze | None:
    """The candidate, in document order; None if one of its sentences names another's term."""
    question = render([o.blanked for o in chosen])
    asked = [o.term for o in chosen]
    visible = words(blanks.without_blanks(question)[0])
    for i, term in enumerate(asked):
        others = [w for other in asked[:i] + asked[i + 1 :] for w in words(other)]
        if blanks.given_away(term, visible + others) is not None:
            return None
    chunks = [o.chunk for o in chosen]
    return Cloze(question, "; ".join(asked), sorted(set(chunks)), asked, [o.quote for o in chosen], chunks)
