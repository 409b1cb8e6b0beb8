"""What may be asked of a chunk: its sentences, each with one term blanked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from datagen.tasks.cloze import blanks, sentences, terms
from datagen.tasks.cloze.boundaries import beside_line_end
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.languages import JOINED, NO_CAPITALS, language, reads_like_prose
from datagen.tasks.cloze.words import reach, show, words

_MIN_CONTEXT = 4  # words, apart from the term and the function words, that tell which sentence it is
_NEXT = 4  # words on each side of a blank, as long as there are as many
_QUOTED_SCRIPT = 0.5  # what a word of another script than its sentence's counts: many documents have the same ones
_WORTH = {"title": 5.0, "name": 5.0, "identifier": 4.0, "number": 4.0, "noun": 2.5}


class Option(NamedTuple):
    """A sentence of a chunk and the term that it may ask for."""

    chunk: int
    quote: str  # verbatim
    blanked: str
    term: str
    code: str  # the sentence's language
    worth: float


def options(doc: DocumentIndex, chunk: int) -> Iterator[Option]:
    """Every blank worth asking for in a chunk's sentences, if the sentence stands nowhere else in the document."""
    view = doc.seen[chunk]
    for sentence in sentences.prose_sentences(view.text, *doc.neighbours(chunk)):
        start, end = view.span(sentence.start, sentence.end)
        quote = doc.chunks[chunk][start:end]
        shown = show(sentence.text)
        code = language(shown)
        if doc.torn and code in JOINED:
            continue
        if not doc.in_body(chunk, start) or not reads_like_prose(shown, code, doc.common):
            continue
        if doc.prose_of(quote, chunk) != sentence.text:  # it stands before in what is set aside, such as a listing
            continue
        phrase = words(shown)
        for term in terms.find(shown, doc):
            # A term broken over two lines, or by markup, would not stand verbatim in its quote.
            if term.text not in quote or beside_line_end(sentence.text, term.text, code):
                continue
            if term.kind == "name" and _begins_a_verse(sentence.text, term.text):
                continue
            told = blanks.context(term.blanked, doc)
            if _fits_elsewhere(doc, term):
                continue
            stands_once = len(list(islice(doc.places(phrase), 2))) == 1 and not doc.elsewhere(phrase, chunk)
            if told >= _MIN_CONTEXT and stands_once:
                worth = _WORTH[term.kind] * (1 - term.guess) ** 2 / term.chunks * min(1.0, told / 8)
                if code in NO_CAPITALS and term.text.isascii() and term.kind != "number":
                    worth *= _QUOTED_SCRIPT
                yield Option(chunk, quote, term.blanked, term.text, code, worth)


def _begins_a_verse(text: str, term: str) -> bool:
    """Whether a term has its capital as the first word of a line, since all lines of its sentence have one."""
    lines = [line.lstrip(" \t0123456789") for line in text.split("\n")[1:]]
    return any(line.startswith(term) for line in lines) and all(line[:1].isupper() for line in lines)


def _fits_elsewhere(doc: DocumentIndex, term: terms.Term) -> bool:
    """Whether the words next to the blank stand elsewhere around something else."""
    left, _, right = term.blanked.partition(blanks.BLANK)
    before, after, asked = words(left), words(right), words(term.text)
    near = _NEXT * reach(before, after)
    before, after = before[-max(near, 2 * near - len(after)) :], after[: max(near, 2 * near - len(before))]
    return next(doc.rivals(before, asked, after), None) is not None
