"""Multi-evidence cloze questions without a model: one sentence from each of several chunks, its best term blanked.

The questions of a document are made together. No two of them show the same sentence, ask for the same term or have the
same evidence, and none shows what another one asks for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from datagen.tasks.cloze import blanks
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.options import Option, options
from datagen.tasks.cloze.shown import Shown
from datagen.tasks.cloze.words import words

TOO_FEW = "too few sentences with a distinctive term"
NO_MATCH = "no set of sentences that do not give each other away"
_DRAWS = 12  # for each question that is wanted


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


class Wanted(NamedTuple):
    """How many questions of a cluster are made at the most, and from how many chunks each."""

    questions: int
    fewest: int
    most: int


Render = Callable[[Sequence[str]], str]


def numbered(blanked: Sequence[str]) -> str:
    """The blanked sentences as a numbered list, for the question's template."""
    return "\n".join(f"{i}. {sentence}" for i, sentence in enumerate(blanked, start=1))


def questions(
    doc: DocumentIndex,
    clusters: Mapping[str, tuple[Sequence[int], random.Random]],
    wanted: Wanted,
    render: Render,
) -> dict[str, list[Cloze] | Shortage]:
    """The questions of a document's clusters, each cluster given by its chunks and its draws.

    Clusters take turns in the order of their ids, so that the first does not use up what they share. `render` writes a
    question from the blanked sentences, in the order of the answer's terms.
    """
    found: dict[int, list[Option]] = {}
    for chunk in sorted({chunk for chunks, _ in clusters.values() for chunk in chunks}):
        found[chunk] = list(options(doc, chunk))
    # What a question asks must not be told by the words around its sentences: they are the same for all questions.
    shown = Shown()
    shown.show(words(render([])))
    made: dict[str, list[Cloze]] = {cluster: [] for cluster in sorted(clusters)}
    for turns in range(wanted.questions, 0, -1):
        for cluster, so_far in made.items():
            chunks, rng = clusters[cluster]
            if cloze := _another(found, chunks, rng, wanted._replace(questions=turns), shown, render):
                so_far.append(cloze)
    return {c: made[c] or _shortage(found, clusters[c][0], wanted) for c in clusters}


def _shortage(found: Mapping[int, list[Option]], chunks: Sequence[int], wanted: Wanted) -> Shortage:
    usable = sum(bool(found[chunk]) for chunk in set(chunks))
    if usable < wanted.fewest:
        return Shortage(TOO_FEW, f"{usable} of {len(set(chunks))} chunks have one, {wanted.fewest} needed")
    return Shortage(NO_MATCH, f"{_DRAWS * wanted.questions} draws from {usable} chunks")


def _another(
    found: Mapping[int, list[Option]],
    chunks: Sequence[int],
    rng: random.Random,
    wanted: Wanted,
    shown: Shown,
    render: Render,
) -> Cloze | None:
    """One more question of a cluster, beside those that the document has."""
    draws = 0
    while draws < _DRAWS:
        left = {c: of for c in sorted(set(chunks)) if (of := found[c])}
        if len(left) < wanted.fewest:
            return None
        share = len(left) // wanted.questions  # of the chunks that have something left, for each question to come
        count = rng.randint(wanted.fewest, max(wanted.fewest, min(wanted.most, share)))
        chosen = _draw(left, count, rng)
        if useless := [o for o in chosen if o.quote in shown.quotes or shown.tells(o)]:
            for option in useless:  # now and for ever: more is shown with every question
                found[option.chunk].remove(option)
            continue
        draws += 1
        if tuple(o.chunk for o in chosen) in shown.evidence:
            continue
        question = render([o.blanked for o in chosen])
        visible = words(blanks.without_blanks(question)[0])
        if not _gives_itself_away(chosen, visible) and not shown.is_told_by(visible):
            shown.add(chosen, visible)
            return _cloze(chosen, question)
    return None


def _draw(left: Mapping[int, list[Option]], count: int, rng: random.Random) -> list[Option]:
    """One option from each of `count` chunks: the worthy more often, and chunks far from the others' more often."""
    worth = {c: max(o.worth for o in of) ** 2 for c, of in left.items()}
    chosen: list[int] = []
    while len(chosen) < count:
        free = [c for c in left if c not in chosen]
        apart = [min((abs(c - other) for other in chosen), default=1) for c in free]
        chosen += rng.choices(free, [worth[c] * far**2 for c, far in zip(free, apart, strict=True)])
    return [rng.choices(left[c], [o.worth**2 for o in left[c]])[0] for c in sorted(chosen)]


def _gives_itself_away(chosen: Sequence[Option], visible: Sequence[str]) -> bool:
    """Whether one of the sentences names what another one asks for."""
    asked = [words(o.term) for o in chosen]
    for i, option in enumerate(chosen):
        others = [w for other in asked[:i] + asked[i + 1 :] for w in other]
        if blanks.given_away(option.term, [*visible, *others], option.code) is not None:
            return True
    return False


def _cloze(chosen: Sequence[Option], question: str) -> Cloze:
    asked, chunks = [o.term for o in chosen], [o.chunk for o in chosen]
    return Cloze(question, "; ".join(asked), sorted(set(chunks)), asked, [o.quote for o in chosen], chunks)
