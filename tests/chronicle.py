"""A made-up chronicle in English: prose with many names and numbers, for tests that need questions without a model."""

from __future__ import annotations

import random

_STARTS = ("Bran", "Quel", "Thorn", "Wex", "Hal", "Mor", "Fen", "Gris", "Tav", "Ork", "Pell", "Sund", "Varn", "Yel")
_MIDDLES = ("a", "o", "e", "u", "ila", "ora", "ebu", "imo")
_ENDS = ("wick", "stoke", "dun", "marsk", "leth", "gard", "voss", "rand", "quist", "nev")
_DEEDS = (
    "built a stone bridge over the river beside the mill of {other}",
    "wrote a long letter about the harvest to the sister of {other}",
    "sold the oldest house of the market to a merchant called {other}",
    "carried the bell of the church through the snow for {other}",
    "painted the ceiling of the town hall together with {other}",
    "lost the silver keys of the harbour in a bet against {other}",
    "planted apple trees along the road that leads to {other}",
    "repaired the clock of the tower after the fire of {other}",
)
_WHEN = ("In the spring of {year}", "In the autumn of {year}", "Before the flood of {year}", "After the war of {year}")
_WHO = ("the carpenter", "the widow", "the teacher", "the captain", "the baker", "the blacksmith", "the doctor")


def chronicle(sentences: int, seed: int = 0) -> str:
    """So many sentences, in paragraphs of two; no two with the same name or year, nor the same for two seeds."""
    rng = random.Random(seed)
    names = [a + b + c for a in _STARTS for b in _MIDDLES for c in _ENDS]
    rng.shuffle(names)
    years = rng.sample(range(1203, 1899), sentences)
    found = []
    for i in range(sentences):
        when, who, deed = (rng.choice(each) for each in (_WHEN, _WHO, _DEEDS))
        found.append(f"{when.format(year=years[i])} {who} {names[2 * i]} {deed.format(other=names[2 * i + 1])}.")
    return "".join(f"{' '.join(found[i : i + 2])}\n\n" for i in range(0, sentences, 2))
