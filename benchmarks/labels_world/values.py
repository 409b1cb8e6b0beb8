"""One value in many words: how an answer may be put, and whether two wordings say the same."""

from __future__ import annotations

import re
from functools import cache

from .facts import DATE, EVENT, MONTHS, NUMBER, PEOPLE, PERSON, SOCIETY, TOWN

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_LARGEST = 2000
_IDLE = {"the", "a", "an", "of", "town", "in", "at", "near", "around", "dr", "members", "years", "ships", "it", "was"}
_WORD = re.compile(r"[^\W_]+")
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


def wordings(value: str, of: str) -> list[str]:
    """Other ways to write a value, all of which a careful reader takes for the same."""
    if of == PERSON:
        first, last = value.split()
        return [f"Dr {value}", f"{last}, {first}", last]
    if of == TOWN:
        return [f"the town of {value}", f"in {value}"]
    if of == DATE:
        day, month, year = value.split()
        return [f"{month} {day}, {year}", f"{year}-{MONTHS.index(month) + 1:02d}-{int(day):02d}"]
    if of == NUMBER:
        return [in_words(int(value)), f"It was {value}"]
    if of == SOCIETY:
        return [value.removeprefix("the ")]
    if of == EVENT:
        return [value.replace("the ", "a ", 1), value.removeprefix("the ")]
    if of == PEOPLE:
        names = _parts(value)
        return ["; ".join(names), ", ".join(reversed(names)), ", ".join(f"Dr {name}" for name in names)]
    raise ValueError(f"no such kind of value: {of}")


def same(a: str, b: str, of: str) -> bool:
    """Whether two answers to a question that asks for a value of this kind say the same."""
    if of == PEOPLE:
        return {_canonical(name) for name in _parts(a)} == {_canonical(name) for name in _parts(b)}
    one, other = _canonical(a), _canonical(b)
    if of == PERSON and min(len(one), len(other)) == 1:  # the surname alone
        return one <= other or other <= one
    return one == other


def in_words(n: int) -> str:
    """English, from 0 to 1999."""
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10] + (f"-{_ONES[n % 10]}" if n % 10 else "")
    if n < 1000:
        return f"{_ONES[n // 100]} hundred" + (f" and {in_words(n % 100)}" if n % 100 else "")
    return "one thousand" + (f" {in_words(n % 1000)}" if n % 1000 else "")


@cache
def _numbers() -> dict[str, int]:
    return {" ".join(_WORD.findall(in_words(n))): n for n in range(_LARGEST)}


def _parts(listed: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,;]| and ", listed) if part.strip()]


def _canonical(text: str) -> frozenset[str]:
    """The words that matter, as a set: numbers in digits, dates in words."""
    text = _ISO.sub(lambda date: f"{int(date[3])} {MONTHS[int(date[2]) - 1]} {date[1]}", text)
    words = [word for word in _WORD.findall(text.lower()) if word not in _IDLE]
    number = _numbers().get(" ".join(words))
    return frozenset(words if number is None else [str(number)])
