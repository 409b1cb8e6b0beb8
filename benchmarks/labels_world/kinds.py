"""Questions over several facts, one maker for each kind that `generate` asks for.

A maker invents the things, the facts that settle the question, and what makes it hard to label: facts about a thing of
nearly the same name, facts of another kind about the same thing, a sentence that says it all at once, and a wording so
loose that the question fits both things of that name.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from .facts import DATE, EVENT, NUMBER, PEOPLE, SOCIETY, TOWN, Fact, Names


@dataclass(frozen=True, slots=True)
class Lure:
    """An answer that suggests itself where `fact` is in view (None: anywhere). It may happen to be the right one."""

    fact: Fact | None
    value: str


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    kind: str
    about: tuple[str, ...]  # the things it names
    asks: str  # the kind of thing that the answer is
    answer: str
    proofs: tuple[frozenset[Fact], ...]  # each of these sets of facts settles it
    lures: tuple[Lure, ...] = ()
    rival: Question | None = None  # what the same words can also be taken to ask

    @property
    def readings(self) -> tuple[Question, ...]:
        return (self, self.rival) if self.rival else (self,)


@dataclass(frozen=True, slots=True)
class Plan:
    """A question, and what is planted for it."""

    question: Question
    vague: Question  # as if the asker had forgotten that there are two things of that name
    near: tuple[Fact, ...]  # what the vague question's other reading takes, besides facts of the question itself
    aside: tuple[Fact, ...]  # other facts about the same things
    shortcut: Fact | None  # says in one sentence what the question takes several facts for

    @property
    def facts(self) -> list[Fact]:
        """The facts of the question, in a fixed order."""
        return sorted(self.question.proofs[0])


def multi_hop(names: Names, rng: random.Random) -> Plan:
    """A pupil leads to a teacher, the teacher to a place or a date."""
    (pupil, twin), (teacher, namesake), other = names.people(), names.people(), names.person()
    place = rng.random() < 0.5
    asks, last, beside = (TOWN, "birthplace", "deathplace") if place else (DATE, "birthday", "wedding")
    make = names.word if place else names.date
    answer, wrong = make(), make()
    steps = (Fact(pupil, "teacher", teacher), Fact(teacher, last, answer))
    near = (Fact(twin, "teacher", other), Fact(other, last, wrong))
    aside = (Fact(pupil, last, make()), Fact(teacher, beside, make()), Fact(namesake, last, make()))
    shortcut = Fact(pupil, f"teacher's {last}", answer)
    words = "In which town was the teacher of {} born?" if place else "On what date was the teacher of {} born?"
    question = Question(
        text=words.format(pupil),
        kind="multi-hop",
        about=(pupil,),
        asks=asks,
        answer=answer,
        proofs=(frozenset(steps), frozenset([shortcut])),
        lures=tuple(Lure(fact, fact.value) for fact in (steps[1], near[1], *aside)),
    )
    rival = replace(question, about=(twin,), answer=wrong, proofs=(frozenset(near),))
    return Plan(question, _vague(question, words.format(pupil.split()[-1]), rival), near, aside, shortcut)


def comparison(names: Names, rng: random.Random) -> Plan:
    """Which of two was founded earlier; the one of nearly the same name would turn it round."""
    (a, twin), b = names.societies(), names.society()
    first, later = sorted(rng.sample(range(1780, 1899), 2))
    a_first = rng.random() < 0.5
    steps = (Fact(a, "founded", str(first if a_first else later)), Fact(b, "founded", str(later if a_first else first)))
    turned = later + rng.randint(1, 9) if a_first else first - rng.randint(1, 9)
    near = (Fact(twin, "founded", str(turned)),)
    aside = (Fact(a, "dissolved", str(later + rng.randint(10, 30))), Fact(b, "members", str(rng.randint(20, 90))))
    answer = a if a_first else b
    shortcut = Fact(answer, "older than", b if a_first else a)
    words = "Which of the two was founded earlier, {} or {}?"
    question = Question(
        text=words.format(a, b),
        kind="comparison",
        about=(a, b),
        asks=SOCIETY,
        answer=answer,
        proofs=(frozenset(steps), frozenset([shortcut])),
        lures=(Lure(None, a), Lure(None, b)),
    )
    rival = replace(question, about=(twin, b), answer=b if a_first else twin, proofs=(frozenset([*near, steps[1]]),))
    return Plan(question, _vague(question, words.format(_short(a), b), rival), near, aside, shortcut)


def aggregation(names: Names, rng: random.Random) -> Plan:
    return _sum(names, rng) if rng.random() < 0.5 else _list(names, rng)


def _sum(names: Names, rng: random.Random) -> Plan:
    """Numbers of three to six societies, added up."""
    a, twin = names.societies()
    others = [names.society() for _ in range(rng.choice((2, 2, 2, 3, 4, 5)))]
    steps = [Fact(body, "members", str(rng.randint(12, 99))) for body in (a, *others)]
    near = (Fact(twin, "members", str(int(steps[0].value) + rng.randint(1, 30))),)
    aside = (Fact(a, "founded", str(rng.randint(1780, 1899))),)
    numbers = [int(fact.value) for fact in steps]
    total, turned = sum(numbers), sum(numbers[1:]) + int(near[0].value)
    words = "How many members did {} and {} have together?"
    question = Question(
        text=words.format(", ".join((a, *others[:-1])), others[-1]),
        kind="aggregation",
        about=(a, *others),
        asks=NUMBER,
        answer=str(total),
        proofs=(frozenset(steps), frozenset([shortcut := Fact(_listed([a, *others]), "together", str(total))])),
        lures=(Lure(near[0], str(turned)), *(Lure(None, str(total - number)) for number in numbers)),
    )
    vague = words.format(", ".join((_short(a), *others[:-1])), others[-1])
    rival = replace(question, about=(twin, *others), answer=str(turned), proofs=(frozenset([*near, *steps[1:]]),))
    return Plan(question, _vague(question, vague, rival), near, aside, shortcut)


def _list(names: Names, rng: random.Random) -> Plan:
    """The chairs of three societies."""
    (a, twin), b, c = names.societies(), names.society(), names.society()
    steps = [Fact(body, "chair", names.person()) for body in (a, b, c)]
    near = (Fact(twin, "chair", names.person()),)
    aside = (Fact(a, "secretary", names.person()), Fact(b, "secretary", names.person()))
    p, q, r = (fact.value for fact in steps)
    turned = _listed([near[0].value, q, r])
    words = "Who were the chairs of {}, {} and {}?"
    question = Question(
        text=words.format(a, b, c),
        kind="aggregation",
        about=(a, b, c),
        asks=PEOPLE,
        answer=_listed([p, q, r]),
        proofs=(frozenset(steps),),
        lures=(
            Lure(near[0], turned),
            Lure(aside[0], _listed([aside[0].value, q, r])),
            Lure(aside[1], _listed([p, aside[1].value, r])),
        ),
    )
    rival = replace(question, about=(twin, b, c), answer=turned, proofs=(frozenset([*near, *steps[1:]]),))
    return Plan(question, _vague(question, words.format(_short(a), b, c), rival), near, aside, None)


def temporal(names: Names, rng: random.Random) -> Plan:
    """The years between two foundings."""
    (a, twin), b = names.societies(), names.society()
    first, other, later = sorted(rng.sample(range(1780, 1899), 3))
    steps = (Fact(a, "founded", str(first)), Fact(b, "founded", str(later)))
    near = (Fact(twin, "founded", str(other)),)
    aside = (Fact(b, "dissolved", str(later + rng.randint(3, 30))), Fact(a, "dissolved", str(later + 2)))
    words = "How many years after {} was {} founded?"
    question = Question(
        text=words.format(a, b),
        kind="temporal",
        about=(a, b),
        asks=NUMBER,
        answer=str(later - first),
        proofs=(frozenset(steps),),
        lures=(Lure(near[0], str(later - other)), Lure(aside[0], str(int(aside[0].value) - first))),
    )
    rival = replace(question, about=(twin, b), answer=str(later - other), proofs=(frozenset([*near, steps[1]]),))
    return Plan(question, _vague(question, words.format(_short(a), b), rival), near, aside, None)


def cause(names: Names, rng: random.Random) -> Plan:
    """What brought about what brought something about."""
    effect, twin, either = names.events()
    middle, root, other, wrong = (names.event() for _ in range(4))
    steps = (Fact(effect, "cause", middle), Fact(middle, "cause", root))
    near = (Fact(twin, "cause", other), Fact(other, "cause", wrong))
    words = "What was it that brought about the very thing which led to {}?"
    question = Question(
        text=words.format(effect),
        kind="cause",
        about=(effect,),
        asks=EVENT,
        answer=root,
        proofs=(frozenset(steps),),
        lures=tuple(Lure(fact, fact.value) for fact in (*steps, *near)),
    )
    rival = replace(question, about=(twin,), answer=wrong, proofs=(frozenset(near),))
    return Plan(question, _vague(question, words.format(either), rival), near, (), None)


def counting(names: Names, rng: random.Random) -> Plan:
    """How many ships somebody commanded: all that the document names, wherever it does."""
    captain, twin = names.people()
    steps = [Fact(names.ship(), "captain", captain) for _ in range(rng.choice((3, 3, 4, 5)))]
    n = len(steps)
    near = tuple(Fact(names.ship(), "captain", twin) for _ in range(n - 1))
    aside = (Fact(names.ship(), "owner", captain), Fact(steps[0].subject, "owner", names.person()))
    words = "How many ships sailed under {}?"
    question = Question(
        text=words.format(captain),
        kind="counting",
        about=(captain,),
        asks=NUMBER,
        answer=str(n),
        proofs=(frozenset(steps),),
        lures=(Lure(aside[0], str(n + 1)), Lure(near[0], str(n + 1)), Lure(None, str(n - 1))),
    )
    rival = replace(question, about=(twin,), answer=str(n - 1), proofs=(frozenset(near),))
    return Plan(question, _vague(question, words.format(captain.split()[-1]), rival), near, aside, None)


KINDS: dict[str, Callable[[Names, random.Random], Plan]] = {
    "multi-hop": multi_hop,
    "comparison": comparison,
    "aggregation": aggregation,
    "temporal": temporal,
    "cause": cause,
    "counting": counting,
}


def _vague(question: Question, text: str, rival: Question) -> Question:
    return replace(question, text=text, rival=replace(rival, text=text))


def _short(society: str) -> str:
    """Without the word that tells it from the other one of that name."""
    return society.rpartition(" ")[0]


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}"
