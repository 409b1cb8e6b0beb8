"""What a document can say: facts, each in several wordings, and the names of the things that they are about."""

from __future__ import annotations

import random
from dataclasses import dataclass

PERSON, TOWN, DATE, YEAR, NUMBER, EVENT = "person", "town", "date", "year", "number", "event"
SOCIETY, PEOPLE = "society", "people"  # asked for, though no single fact's value

# What the value is, and ways to say it; {s} is the subject, {v} the value.
RELATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "teacher": (
        PERSON,
        (
            "{s} had learned the trade from {v}.",
            "It was {v} who had taught {s}.",
            "For six years {s} was apprenticed to {v}.",
        ),
    ),
    "birthplace": (
        TOWN,
        (
            "{s} was born in {v}.",
            "The register of {v} has an entry for the birth of {s}.",
            "{s} came into the world in {v}.",
        ),
    ),
    "deathplace": (TOWN, ("{s} died in {v}.", "{s} lies buried in {v}.")),
    "birthday": (DATE, ("{s} was born on {v}.", "The birthday of {s} was {v}.", "On {v}, {s} came into the world.")),
    "wedding": (DATE, ("{s} married on {v}.", "The wedding of {s} took place on {v}.")),
    "founded": (
        YEAR,
        ("{s} was founded in {v}.", "It was in {v} that {s} came into being.", "The founding of {s} falls into {v}."),
    ),
    "dissolved": (YEAR, ("{s} was dissolved in {v}.", "The end of {s} came in {v}.")),
    "members": (NUMBER, ("{s} had {v} members.", "{v} people belonged to {s}.", "The rolls of {s} name {v} members.")),
    "chair": (PERSON, ("{v} presided over {s}.", "{s} was chaired by {v}.", "The chair of {s} was taken by {v}.")),
    "secretary": (PERSON, ("{v} was secretary of {s}.", "The minutes of {s} were kept by {v}.")),
    "captain": (
        PERSON,
        ("{s} sailed under {v}.", "{v} was captain of {s}.", "The command of {s} was given to {v}."),
    ),
    "owner": (PERSON, ("{s} belonged to {v}.", "{v} had paid for {s}.")),
    "cause": (
        EVENT,
        ("{v} led to {s}.", "It was {v} that brought about {s}.", "Without {v}, {s} would never have come about."),
    ),
    # What takes several facts elsewhere is said here in one sentence.
    "teacher's birthplace": (TOWN, ("Whoever taught {s} came from {v}.",)),
    "teacher's birthday": (DATE, ("Whoever taught {s} was born on {v}.",)),
    "older than": (SOCIETY, ("{s} is older than {v}.",)),
    "together": (NUMBER, ("{s} had {v} members between them.",)),
}

# Sentences that name a thing and say nothing that is ever asked.
MENTIONS = (
    "Much has been written about {s}, little of it at first hand.",
    "The letters come back to {s} more than once.",
    "Of {s} the archive keeps a whole box of papers.",
    "Whether {s} deserves all this attention may be left open.",
    "Later accounts treat {s} with less patience.",
    "There is a drawing that is said to show {s}.",
)

_FILLER = (
    ("The road", "A path", "The old canal", "The railway line", "A row of poplars", "The lower quay"),
    ("runs", "leads", "winds", "can be followed", "was laid", "once went"),
    ("along the river", "past the lime kilns", "through the orchards", "behind the church", "up to the quarry"),
    ("and is still in use", "as the older maps show", "although few remember why", "and floods in wet years"),
)
_FILLER_MORE = (
    ("Prices", "Wages", "Rents", "Tolls", "The fees", "Subscriptions"),
    ("rose", "fell", "hardly changed", "were argued about", "went unpaid", "were put up"),
    ("that winter", "for a while", "after the harvest", "in the years that followed", "without much notice"),
    ("and the newspapers took it up", "which surprised nobody", "as they did elsewhere", "and then it was quiet"),
)

PAIRS = (  # first names that are easily confused
    ("Mara", "Maren"),
    ("Jon", "Jonas"),
    ("Anna", "Annika"),
    ("Karl", "Karlo"),
    ("Lena", "Leni"),
    ("Erik", "Erika"),
    ("Josef", "Josefa"),
    ("Martin", "Martina"),
    ("Paul", "Paula"),
    ("Hans", "Hanno"),
    ("Clara", "Clarissa"),
    ("Theo", "Theodora"),
)
BODIES = (("Society", "Union"), ("Guild", "League"), ("Institute", "Academy"), ("Club", "Circle"))
EVENTS = (
    "the closing of the mill at {}",
    "the strike at {}",
    "the drought around {}",
    "the fire at {}",
    "the quarrel over the bridge at {}",
    "the failure of the bank of {}",
    "the flood at {}",
    "the felling of the woods near {}",
)
ENDINGS = ("", "en", "au", "ic", "ow", "ard", "ine", "olm", "eth", "und")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True, order=True)
class Fact:
    subject: str
    relation: str  # of RELATIONS
    value: str

    @property
    def of(self) -> str:
        """What kind of thing the value is."""
        return RELATIONS[self.relation][0]

    def said(self, rng: random.Random) -> str:
        """One of its wordings."""
        return capitalised(rng.choice(RELATIONS[self.relation][1]).format(s=self.subject, v=self.value))

    def wordings(self) -> list[str]:
        return [capitalised(words.format(s=self.subject, v=self.value)) for words in RELATIONS[self.relation][1]]


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def filler(rng: random.Random) -> str:
    parts = rng.choice((_FILLER, _FILLER_MORE))
    return " ".join(rng.choice(part) for part in parts) + "."


def mention(subject: str, rng: random.Random) -> str:
    return rng.choice(MENTIONS).format(s=subject)


class Names:
    """Makes names; no two things of a world share one."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.used: set[str] = set()

    def word(self) -> str:
        while True:
            parts = ("BDFGHKLMNPRSTVW", "aeiou", "ldnrmst", "aeo", "lnrstdk")
            word = "".join(self.rng.choice(part) for part in parts) + self.rng.choice(ENDINGS)
            if word not in self.used:
                self.used.add(word)
                return word

    def people(self) -> tuple[str, str]:
        """Two persons who share a surname and nearly a first name."""
        (a, b), surname = self.rng.choice(PAIRS), self.word()
        return f"{a} {surname}", f"{b} {surname}"

    def person(self) -> str:
        return self.people()[0]

    def societies(self) -> tuple[str, str]:
        """Two societies named after the same thing."""
        (a, b), word = self.rng.choice(BODIES), self.word()
        return f"the {word} {a}", f"the {word} {b}"

    def society(self) -> str:
        return self.societies()[0]

    def ship(self) -> str:
        return f"the {self.word()}"

    def events(self) -> tuple[str, str, str]:
        """Two events of the same kind at places that are easily confused, and words that fit both."""
        words, place = self.rng.choice(EVENTS), self.word()
        return words.format(f"Upper {place}"), words.format(f"Lower {place}"), words.format(place)

    def event(self) -> str:
        return self.rng.choice(EVENTS).format(self.word())

    def date(self) -> str:
        return f"{self.rng.randint(1, 28)} {self.rng.choice(MONTHS)} {self.rng.randint(1780, 1899)}"
