"""Documents in which facts are planted, and the sets of chunks that suffice for a question.

A chunk holds up to two facts between sentences that say nothing of use. The facts of a question stand in different
chunks of one cluster. Some facts stand a second time in other words, inside the cluster or elsewhere in the document;
things of nearly the same name stand near and far; and a cluster may not hold all that a count has to count.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import ceil

from .facts import Fact, Names, filler, mention
from .kinds import KINDS, Plan, Question

PER_CHUNK = 2  # facts, at most
SENTENCES = 7  # of a chunk, with those that hold facts

Scattered = tuple[Sequence[Fact], Sequence[Fact]]  # (facts to plant, those that they must not share a chunk with)


@dataclass(frozen=True, slots=True)
class Odds:
    """Sizes, and how often what makes a label hard to get right is planted: shares of the questions."""

    chunks: tuple[int, int] = (60, 120)
    clusters: int = 4
    cluster_chunks: tuple[int, int] = (5, 10)
    questions: int = 3  # of a cluster, each of another kind
    near_inside: float = 0.5  # the thing of nearly the same name is spoken of in the cluster; else elsewhere
    repeat_inside: float = 0.08  # a fact stands in another chunk of the cluster, too
    repeat_outside: float = 0.10  # … in a chunk elsewhere
    shortcut: float = 0.03  # one chunk elsewhere is enough, for kinds that have such a sentence
    beyond: float = 0.05  # of the countings: one of the things stands outside of the cluster


@dataclass(frozen=True)
class Document:
    doc_id: str
    chunks: list[str]
    facts: list[list[Fact]]  # that each chunk holds
    clusters: list[list[int]]  # chunk indices, ascending
    plans: list[list[Plan]]  # of each cluster

    @cached_property
    def holders(self) -> dict[Fact, list[int]]:
        """The chunks that hold each fact."""
        found: dict[Fact, list[int]] = defaultdict(list)
        for i, facts in enumerate(self.facts):
            for fact in facts:
                found[fact].append(i)
        return found

    def sufficient(self, question: Question) -> set[frozenset[int]]:
        """The sets of chunks that settle the question as it is meant, and none of which can spare a chunk."""
        sets = {
            frozenset(chosen)
            for proof in question.proofs
            for chosen in product(*(self.holders.get(fact, []) for fact in proof))
        }
        return {chosen for chosen in sets if not any(other < chosen for other in sets)}


@dataclass
class World:
    documents: list[Document]
    statements: dict[str, Fact] = field(default_factory=dict)  # by their sentence
    questions: dict[str, Question] = field(default_factory=dict)  # by their text, the vague ones too
    homes: dict[str, Document] = field(default_factory=dict)  # by the question's text
    plans: dict[Fact, list[Plan]] = field(default_factory=dict)  # those that a fact is needed for

    def facts_in(self, text: str) -> set[Fact]:
        """What a text says, sentence by sentence."""
        sentences = text.replace(". ", ".\n").splitlines()
        return {self.statements[sentence] for sentence in sentences if sentence in self.statements}


def build(seed: int, n_documents: int, odds: Odds | None = None) -> World:
    """The same world for the same seed."""
    rng = random.Random(f"world {seed}")
    names = Names(rng)
    world = World([_document(f"doc-{i:04d}", names, rng, odds or Odds()) for i in range(n_documents)])
    for document in world.documents:
        for fact in document.holders:
            for sentence in fact.wordings():
                assert world.statements.setdefault(sentence, fact) == fact, f"said of two things: {sentence}"
        for plan in (plan for plans in document.plans for plan in plans):
            for question in (plan.question, plan.vague):
                world.questions[question.text] = question
                world.homes[question.text] = document
            for fact in plan.facts:
                world.plans.setdefault(fact, []).append(plan)
    return world


def _document(doc_id: str, names: Names, rng: random.Random, odds: Odds) -> Document:
    n = rng.randint(*odds.chunks)
    free = rng.sample(range(n), n)
    board = _Board(n, rng)
    clusters, plans = [], []
    for _ in range(odds.clusters):
        made = [KINDS[kind](names, rng) for kind in rng.sample(list(KINDS), odds.questions)]
        inside, outside = _scattered(made, rng, odds)
        n_facts = sum(len(facts) for facts, _ in inside) + sum(len(plan.facts) for plan in made)
        size = ceil(n_facts / (0.8 * PER_CHUNK))
        size = max(min(size, odds.cluster_chunks[1]), odds.cluster_chunks[0], *(len(plan.facts) for plan in made))
        cluster, free = free[:size], free[size:]
        for plan in made:
            missing = [plan.facts[-1]] if plan.question.kind == "counting" and rng.random() < odds.beyond else []
            crowded_out = board.place([fact for fact in plan.facts if fact not in missing], cluster)
            assert not crowded_out, "a cluster has room for all that its questions need"
            outside.append((missing, ()))
        for facts, apart in inside:
            outside.append((board.place(facts, cluster, apart), apart))
        clusters.append(sorted(cluster))
        plans.append((made, outside))
    for _, outside in plans:
        for facts, apart in outside:
            board.place(facts, free, apart)
    chunks = [_written(facts, board.wordings, rng) for facts in board.facts]
    return Document(doc_id, chunks, board.facts, clusters, [made for made, _ in plans])


def _scattered(plans: list[Plan], rng: random.Random, odds: Odds) -> tuple[list[Scattered], list[Scattered]]:
    """What is planted besides the facts that the questions need: in the cluster, and elsewhere."""
    inside: list[Scattered] = []
    outside: list[Scattered] = []
    for plan in plans:
        (inside if rng.random() < odds.near_inside else outside).append((plan.near, ()))
        for fact in plan.aside:
            (inside if rng.random() < odds.near_inside else outside).append(((fact,), ()))
        if rng.random() < odds.repeat_inside:
            inside.append(([rng.choice(plan.facts)], plan.facts))
        if rng.random() < odds.repeat_outside:
            outside.append(([rng.choice(plan.facts)], plan.facts))
        if plan.shortcut and rng.random() < odds.shortcut:
            outside.append(([plan.shortcut], ()))
    return inside, outside


class _Board:
    """Which chunk holds which facts."""

    def __init__(self, n: int, rng: random.Random) -> None:
        self.facts: list[list[Fact]] = [[] for _ in range(n)]
        self.wordings: dict[Fact, list[str]] = {}  # not yet used
        self.rng = rng

    def place(self, facts: Iterable[Fact], among: list[int], apart: Iterable[Fact] = ()) -> list[Fact]:
        """Put each fact into a chunk of its own that holds none of `apart`, the emptiest first; return those that there
        is no room for.
        """
        left: list[Fact] = []
        taken = {i for i in among if not set(apart).isdisjoint(self.facts[i])}
        for fact in facts:
            room = [i for i in among if len(self.facts[i]) < PER_CHUNK and i not in taken]
            if not room:
                left.append(fact)
                continue
            chosen = min(room, key=lambda i: (len(self.facts[i]), self.rng.random()))
            self.facts[chosen].append(fact)
            taken.add(chosen)
        return left


def _written(facts: list[Fact], wordings: dict[Fact, list[str]], rng: random.Random) -> str:
    """A chunk's text. A fact that was said before is said in other words, as long as there are any."""
    sentences = []
    for fact in facts:
        unused = wordings.get(fact) or rng.sample(fact.wordings(), len(fact.wordings()))
        sentences.append(unused.pop())
        wordings[fact] = unused
        sentences.append(mention(fact.subject, rng))
    sentences += [filler(rng) for _ in range(SENTENCES - len(sentences))]
    return " ".join(rng.sample(sentences, len(sentences)))
