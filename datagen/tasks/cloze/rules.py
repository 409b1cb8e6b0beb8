"""The verifier of cloze questions: proves each one again from the document, and rates it from 0 to 10.

It knows nothing of how a question was made. The rules run in order and the first that fails names the reason; a rule
may rely on what the ones before it proved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

from datagen.tasks.cloze import affixes, frequency, prose, sentences
from datagen.tasks.cloze import guessable as guessability
from datagen.tasks.cloze.blanks import BLANK, blanked, context, given_away, without_blanks
from datagen.tasks.cloze.boundaries import beside_line_end
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.guessable import guessability as guess
from datagen.tasks.cloze.languages import JOINED, language, reads_like_prose
from datagen.tasks.cloze.terms import is_common, spread
from datagen.tasks.cloze.torn import torn
from datagen.tasks.cloze.words import length, reach, words
from datagen.tasks.task import Verdict
from datagen.text.scripts import HANGUL

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_ATTACHED = re.compile(f"[{HANGUL}]+")  # to a Korean word
_WINDOW = 8  # words around a blank that must not stand elsewhere around another term


class Question(Protocol):
    """What is checked; a `records.Candidate` and a `cloze.Cloze` both fit."""

    @property
    def question(self) -> str:
        """What is asked."""
        ...

    @property
    def answer(self) -> str:
        """The terms in order, separated by semicolons."""
        ...

    @property
    def ref_chunks(self) -> Sequence[int]:
        """The document's chunks that hold the evidence."""
        ...

    @property
    def terms(self) -> Sequence[str]:
        """What each blank asks for."""
        ...

    @property
    def quotes(self) -> Sequence[str]:
        """The sentence behind each term."""
        ...

    @property
    def quote_chunks(self) -> Sequence[int]:
        """The chunk that each sentence stands in."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Least evidence, greatest lengths, and the most chunks of the document that a term may stand in."""

    min_evidence: int = 2
    max_question_chars: int = 2000
    max_answer_chars: int = 200
    max_term_chunks: int = 4


class Rule(NamedTuple):
    """One thing that is proven: its name, the reason it rejects with, and its test."""

    name: str
    reason: str
    fails: Callable[[Question, DocumentIndex, Limits], str | None]  # what is wrong, or None


def check(item: Question, doc: DocumentIndex, limits: Limits = Limits()) -> Verdict:
    """Run every rule; rate what passes them all."""
    for i, rule in enumerate(RULES):
        if (detail := rule.fails(item, doc, limits)) is not None:
            return Verdict(0.0, tuple(r.name for r in RULES[:i]), rule.reason, detail)
    return Verdict(rating(item, doc), tuple(r.name for r in RULES))


def _shown(item: Question, doc: DocumentIndex) -> list[str]:
    """The sentence behind each quote, without markup, on one line."""
    return [doc.shown(quote, chunk) for quote, chunk in zip(item.quotes, item.quote_chunks, strict=True)]


def _evidence(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    if not len(item.terms) == len(item.quotes) == len(item.quote_chunks):
        return f"{len(item.terms)} terms, {len(item.quotes)} quotes, {len(item.quote_chunks)} quote chunks"
    if list(item.ref_chunks) != sorted(set(item.quote_chunks)):
        return f"evidence {list(item.ref_chunks)}, quotes from {list(item.quote_chunks)}"
    if len(item.ref_chunks) < limits.min_evidence or not item.ref_chunks:
        return f"{len(item.ref_chunks)} evidence chunks"
    if item.ref_chunks[0] < 0 or item.ref_chunks[-1] >= len(doc.chunks):
        return f"evidence {list(item.ref_chunks)} in a document of {len(doc.chunks)} chunks"
    return None


def _answer(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    if any(";" in term or not term.strip() or term != term.strip() for term in item.terms):
        return f"terms {list(item.terms)}"
    return None if item.answer == "; ".join(item.terms) else f"answer {item.answer!r}, terms {list(item.terms)}"


def _different(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    shown = _shown(item, doc)
    for i, term in enumerate(item.terms):
        for other in item.terms[:i]:
            code = language(shown[i])
            if given_away(term, words(other), code) or given_away(other, words(term), code):
                return f"{other!r} and {term!r}"
    return None


def _verbatim(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    for term, quote, chunk in zip(item.terms, item.quotes, item.quote_chunks, strict=True):
        if quote not in doc.chunks[chunk]:
            return f"not in chunk {chunk}: {quote[:80]!r}"
        if blanked(doc.shown(quote, chunk), term) is None or term not in quote:
            return f"{term!r} does not stand once, as a whole word, in {quote[:80]!r}"
        seen = doc.prose_of(quote, chunk)
        if beside_line_end(seen, term, language(doc.shown(quote, chunk))):
            return f"{term!r} stands next to a line's end, and may be a part of a word: {quote[:80]!r}"
    return None


def _lengths(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    if len(item.question) > limits.max_question_chars:
        return f"question of {len(item.question)} characters"
    if len(item.answer) > limits.max_answer_chars:
        return f"answer of {len(item.answer)} characters"
    for quote, chunk in zip(item.quotes, item.quote_chunks, strict=True):
        seen = doc.prose_of(quote, chunk)
        if not prose.fits(seen):
            return f"sentence of {length(seen):g} words"
    return None


def _prose(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    for quote, chunk in zip(item.quotes, item.quote_chunks, strict=True):
        view, shown = doc.seen[chunk], doc.shown(quote, chunk)
        at = doc.chunks[chunk].index(quote)
        first, last = view.place(at, at + len(quote))
        fault = prose.fault(view.text[first:last])
        fault = fault or sentences.misplaced(view.text, first, last, *doc.neighbours(chunk))
        if fault is None and not reads_like_prose(shown, language(shown), doc.common):
            fault = "few function words, or few known ones"
        if fault is None and doc.torn and language(shown) in JOINED:
            fault = "torn letters all over the document"
        if fault is None and not doc.in_body(chunk, at):
            fault = "outside of the document's body"
        if fault:
            return f"{fault}: {quote[:80]!r}"
    return None


def _unique(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    for quote, chunk in zip(item.quotes, item.quote_chunks, strict=True):
        phrase = words(doc.prose_of(quote, chunk))
        chunks = [doc.chunk_at(place) for place in islice(doc.places(phrase), 9)]
        if chunks != [chunk] or (chunks := doc.elsewhere(phrase, chunk)):
            return f"also in chunks {chunks}: {quote[:80]!r}"
    return None


def _unambiguous(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    for term, sentence in zip(item.terms, _shown(item, doc), strict=True):
        left, asked, right = _around(sentence, term)
        for fill, chunk in doc.rivals(left, asked, right):
            return f"{' '.join(fill)!r} for {term!r} in chunk {chunk}"
    return None


def _around(sentence: str, term: str) -> tuple[list[str], list[str], list[str]]:
    """The words of a term, with a particle that is attached to it, between those next to it: a window in all."""
    before, after = (blanked(sentence, term) or BLANK).split(BLANK)
    attached = _ATTACHED.match(after)
    particle = attached.group() if attached else ""
    left, right = words(before), words(after[len(particle) :])
    window = _WINDOW * reach(left, right)
    right = right[: max(window // 2, window - len(left))]
    return left[max(0, len(left) + len(right) - window) :], words(term + particle), right


def _distinctive(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    for term, sentence in zip(item.terms, _shown(item, doc), strict=True):
        phrase = words(term)
        chunks = spread(phrase, language(sentence), doc)
        if len(term) < 2 or not doc.is_distinctive(term, chunks, limits.max_term_chunks):
            return f"{term!r} stands in {chunks} chunks"
        if is_common(phrase, doc):
            return f"{term!r} is made of function words"
    return None


def _bare(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    for term, sentence in zip(item.terms, _shown(item, doc), strict=True):
        code = language(sentence)

        def stands_alone(word: str, code: str = code) -> bool:
            return frequency.is_known(word, code) or doc.chunk_counts.get(word, 0) > 0

        for word in words(term):
            latin_in_korean = code == "ko" and word.isascii()
            if not latin_in_korean and affixes.is_attached(word, code, stands_alone):
                return f"{word!r} is more than a word, in {code}"
    return None


def _whole(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    for term, sentence in zip(item.terms, _shown(item, doc), strict=True):
        if (detail := torn(term, blanked(sentence, term) or sentence, language(sentence), doc)) is not None:
            return f"{term!r}: {detail}"
    return None


def _not_guessable(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    for term, share in zip(item.terms, _guesses(item, doc), strict=True):
        if share > guessability.MOST:
            return f"{term!r}: {share:.2f} of such blanks are filled from the sentence alone"
    return None


def _guesses(item: Question, doc: DocumentIndex) -> list[float]:
    """How well each blank can be guessed from its sentence alone."""
    pairs = zip(item.terms, _shown(item, doc), strict=True)
    return [guess(term, blanked(s, term) or s, language(s)) for term, s in pairs]


def _hidden(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    visible, _ = without_blanks(item.question)
    shown = words(visible)
    digits = {re.sub(r"\D", "", n) for n in _NUMBER.findall(visible)}
    for term, sentence in zip(item.terms, _shown(item, doc), strict=True):
        if not any(c.isalpha() for c in term) and any(re.sub(r"\D", "", n) in digits for n in _NUMBER.findall(term)):
            return f"the digits of {term!r}"
        if (word := given_away(term, shown, language(sentence))) is not None:
            return f"{word!r} tells {term!r}"
    return None


def _blanks(item: Question, doc: DocumentIndex, limits: Limits) -> str | None:
    if (found := without_blanks(item.question)[1]) != len(item.terms):
        return f"{found} blanks, {len(item.terms)} terms"
    at = 0
    for term, sentence in zip(item.terms, _shown(item, doc), strict=True):
        expected = blanked(sentence, term) or ""
        at = item.question.find(expected, at)
        if at < 0:
            return f"missing or out of order: {expected[:80]!r}"
        at += len(expected)
    return None


RULES = (
    Rule("evidence", "the evidence does not fit the quotes", _evidence),
    Rule("answer", "the answer is not its terms", _answer),
    Rule("different terms", "two terms are alike", _different),
    Rule("verbatim", "a quote or term is not verbatim", _verbatim),
    Rule("blanks", "the question does not hold the blanked sentences", _blanks),
    Rule("lengths", "too long or too short", _lengths),
    Rule("whole prose", "a sentence is not whole prose", _prose),
    Rule("unique sentence", "a sentence stands elsewhere too", _unique),
    Rule("distinctive term", "a term is not distinctive", _distinctive),
    Rule("bare term", "a term carries a particle or an ending", _bare),
    Rule("whole term", "a term may be a part of a word, or two", _whole),
    Rule("not guessable", "a blank can be guessed without the document", _not_guessable),
    Rule("unambiguous", "another term fits a blank elsewhere", _unambiguous),
    Rule("hidden term", "a term can be read off the question", _hidden),
)


def rating(item: Question, doc: DocumentIndex) -> float:
    """0 to 10, as the sum of `rating_parts`; from 5 a row is worth keeping."""
    return round(sum(rating_parts(item, doc).values()), 2)


def rating_parts(item: Question, doc: DocumentIndex) -> dict[str, float]:
    """The rating's parts, each with its highest value first in its line.

    Of the parts about single blanks the worst blank counts as much as the mean: all are needed for the answer.
    """
    shown = _shown(item, doc)
    spreads = [doc.chunks_with(words(t)) for t in item.terms]
    unlikely = [max(0.0, 1 - share / guessability.MOST) for share in _guesses(item, doc)]
    telling = [context(s, doc) for s in shown]
    widest = (item.ref_chunks[-1] - item.ref_chunks[0]) / max(1, len(doc.chunks) - 1)
    return {
        "not guessable": 4.0 * _mean_and_worst(unlikely),
        "rarity": 1.0 * _mean_and_worst([max(0.0, 1.4 - 0.4 * n) for n in spreads]),
        "context": 2.0 * _mean_and_worst([min(1.0, (n - 2) / 10) for n in telling]),
        "comfort": 1.0 * _mean_and_worst([_comfort(length(s)) for s in shown]),
        "evidence": 1.0 * min(1.0, (len(item.ref_chunks) - 1) / 3),
        "spread": 1.0 * min(1.0, 2 * widest),
    }


def _mean_and_worst(values: Sequence[float]) -> float:
    return max(0.0, (sum(values) / len(values) + min(values)) / 2)


def _comfort(words: float) -> float:
    """1 from 14 to 34 words, falling to 0 at the lengths that are only just allowed."""
    return max(0.0, min(1.0, (words - 6) / 8, (62 - words) / 28))
