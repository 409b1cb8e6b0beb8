"""Builds RULER's questions over documents to a target length, with their evidence.

Source: RULER (Hsieh et al. 2024, arXiv 2404.06654, section 3.4, "question answering"; its script qa.py): a question of
SQuAD (qa_1) or HotpotQA (qa_2), the paragraphs that answer it, and paragraphs of other questions of the same file as
distractors, those of its own article, or of its own context, first; all shuffled and headed "Document i:".
Departures: each document is filled by itself, paragraph by paragraph, with as many as its length has room for, where
RULER finds one number of paragraphs for all; the length is that of the document, and not of prompt and reply; each is
shuffled in its own way, where RULER's one seed puts the answer to every question of SQuAD at the same place; no
paragraph stands there twice, so that a file with too few is refused; the questions are drawn over the whole file and
not taken from its beginning; gold answers are given once each; and it is kept where the evidence stands: of SQuAD the
paragraph, of HotpotQA the sentences of the supporting facts. As in RULER, a distractor may hold the answer, too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from datagen.errors import InputError
from datagen.evaluate.paragraphs import Question, Source
from datagen.text.tokenizers import Tokenizer

HEAD, BETWEEN = "Document {}:\n", "\n\n"


@dataclass(frozen=True)
class RulerRow:
    """A question that was built. length: the tokens that were asked for; n_tokens: those that the document has.

    outputs: the answers, of which any one is right. evidence: [start, end] in characters of the document.
    """

    item_id: str
    task: str
    question: str
    outputs: list[str]
    document: str
    evidence: list[list[int]]
    length: int
    n_tokens: int


def build(source: Source, lengths: Sequence[int], n: int, seed: int, tokenizer: Tokenizer) -> Iterator[RulerRow]:
    """For each length, a row for each of at most `n` questions that are drawn, the same for all lengths.

    Raises InputError where a length has no room for the evidence, or the file too few paragraphs for it.
    """
    chosen = random.Random(f"{seed}:questions").sample(range(len(source.questions)), min(n, len(source.questions)))
    tokens = tokenizer.count([_headed(len(source.paragraphs), text) + BETWEEN for text in source.paragraphs])
    check(source, lengths, tokens)
    for length in lengths:
        for at in sorted(chosen):
            yield _row(source, source.questions[at], length, seed, tokens, tokenizer)


def check(source: Source, lengths: Sequence[int], tokens: Sequence[int]) -> None:
    """Raise InputError where all paragraphs together, of so many tokens each, don't fill a document of a length."""
    for length in lengths:
        if sum(tokens) < length:
            raise InputError(
                f"{source.path}: its {len(tokens):,} paragraphs have {sum(tokens):,} tokens in all, too few for a "
                f"document of {length:,}: ask for shorter ones (--tokens), or take a file with more paragraphs"
            )


def _row(
    source: Source, question: Question, length: int, seed: int, tokens: Sequence[int], tokenizer: Tokenizer
) -> RulerRow:
    rng = random.Random(f"{seed}:{question.id}")
    order = _order(source, question, rng)
    places: dict[int, float] = {}  # of paragraphs in the document: they stay in this order, whichever are left out
    taken: list[int] = []
    room = length

    def take(one: int) -> None:
        places.setdefault(one, rng.random())
        taken.append(one)

    for one in order:
        if len(taken) >= len(question.gold) and tokens[one] > room:
            held = one
            break
        take(one)
        room -= tokens[one]
    else:
        held = None
    text, starts = _document(source, sorted(taken, key=places.__getitem__))
    (n_tokens,) = tokenizer.count([text])
    while n_tokens > length and len(taken) > len(question.gold):
        held = taken.pop()
        text, starts = _document(source, sorted(taken, key=places.__getitem__))
        (n_tokens,) = tokenizer.count([text])
    while n_tokens < length and held is not None:  # what was counted apart may take less together
        take(held)
        longer, its_starts = _document(source, sorted(taken, key=places.__getitem__))
        (n,) = tokenizer.count([longer])
        if n > length:
            taken.pop()
            break
        text, starts, n_tokens, held = longer, its_starts, n, next(order, None)
    if n_tokens > length:
        raise InputError(
            f"{source.path}: the evidence of question {question.id} has {n_tokens:,} tokens, and a document of "
            f"{length:,} has no room for it: ask for longer ones (--tokens)"
        )
    evidence = sorted([starts[at] + a, starts[at] + b] for at in question.gold for a, b in question.evidence[at])
    return RulerRow(
        f"{source.task}/{length}/{question.id}",
        source.task,
        question.text,
        question.answers,
        text,
        evidence,
        length,
        n_tokens,
    )


def _order(source: Source, question: Question, rng: random.Random) -> Iterator[int]:
    """All paragraphs, once each, as they are taken: the gold ones, the question's own others, all others."""
    seen = set(question.gold)
    yield from question.gold
    own = [at for at in question.own if at not in seen]
    rng.shuffle(own)
    seen.update(own)
    yield from own
    while len(seen) < len(source.paragraphs):  # a few are drawn of many: no list of all is shuffled for each question
        at = rng.randrange(len(source.paragraphs))
        if at not in seen:
            seen.add(at)
            yield at


def _document(source: Source, order: Sequence[int]) -> tuple[str, dict[int, int]]:
    """The paragraphs in this order as a document, and where in it each begins, after its heading."""
    parts, starts, at = [], {}, 0
    for number, paragraph in enumerate(order, 1):
        text = source.paragraphs[paragraph]
        parts.append(_headed(number, text))
        starts[paragraph] = at + len(parts[-1]) - len(text)
        at += len(parts[-1]) + len(BETWEEN)
    return BETWEEN.join(parts), starts


def _headed(number: int, text: str) -> str:
    return HEAD.format(number) + text
