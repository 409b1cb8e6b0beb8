"""Answers, the same said otherwise, and others that differ in one thing: for the fuzzing of their comparison."""

from __future__ import annotations

import unicodedata
from typing import Any

from hypothesis import strategies as st

_NAMES = ["Rome", "Mara Voss", "red oak", "café noir", "Zürich", "the old mill", "Île de Ré"]
_QUANTITIES = [
    "5 km",
    "3.5 mW",
    "12%",
    "-40 °C",
    "$1,250",
    "1,250,000",
    "10² m",
    "10^3",
    "6.02e23",
    "x > 3",
    "n = 4",
    "1990-1995",
]
_CLAUSES = ["born before 1850", "Rome and Paris", "salt or sugar", "not in Rome", "east of Leeds", "AB+", "pH 7", "2:1"]
_EDITS = [
    *(
        (" and ", " or "),
        (" or ", " and "),
        ("before", "after"),
        ("not ", ""),
        ("east", "west"),
        ("km", "m"),
        ("km", "kg"),
    ),
    *(("mW", "MW"), ("mW", "W"), ("%", ""), ("%", "‰"), ("-40", "40"), ("$", "€"), ("$", ""), ("²", "³"), ("²", "2")),
    *(
        ("^", ""),
        ("e23", "e-23"),
        ("e23", "23"),
        (">", "<"),
        (">", "≥"),
        ("=", "≠"),
        ("é", "e"),
        ("ü", "u"),
        ("Î", "I"),
    ),
    *(
        ("3.5", "35"),
        ("3.5", "3,5"),
        ("3.5", "3.05"),
        (",", "."),
        ("+", "-"),
        ("+", ""),
        (":", "/"),
        ("-19", " 19"),
        ("°C", "°F"),
    ),
    *(
        ("pH", "PH"),
        ("Paris", "Paris and Bonn"),
        (" and Paris", ""),
        ("7", "-7"),
        ("5", "5!"),
        ("4", "4²"),
        ("x ", "X "),
    ),
]


@st.composite
def facts(draw: Any) -> str:
    """Short answers as they are: a name, a quantity, a clause; or two of them."""
    parts = draw(st.lists(st.sampled_from(_NAMES + _QUANTITIES + _CLAUSES), min_size=1, max_size=2, unique=True))
    return "; ".join(parts)


@st.composite
def another_meaning(draw: Any, fact: str) -> str:
    """The answer with one change of what it says."""
    edits = [(a, b) for a, b in _EDITS if a in fact]
    digits = [i for i, c in enumerate(fact) if c in "123456789"]
    kinds = ["edit"] * bool(edits) + ["digit"] * bool(digits) + ["more", "not"]
    kind = draw(st.sampled_from(kinds))
    if kind == "edit":
        before, after = draw(st.sampled_from(edits))
        return fact.replace(before, after, 1)
    if kind == "digit":
        i = draw(st.sampled_from(digits))
        return f"{fact[:i]}{(int(fact[i]) % 9) + 1}{fact[i + 1 :]}"
    return f"{fact} and Bonn" if kind == "more" else f"not {fact}"


@st.composite
def said_otherwise(draw: Any, fact: str) -> str:
    """The answer, written in another way that says the same."""
    for change in (
        lambda t: t.replace(" ", draw(st.sampled_from(["  ", "\n", "\u00a0"]))),
        lambda t: t.replace("the old mill", draw(st.sampled_from(["The Old Mill", "old mill"]))),
        lambda t: t.replace("red oak", draw(st.sampled_from(["Red Oak", "red-oak"]))),
        lambda t: t.upper() if t.replace(" ", "").isalpha() and max(map(len, t.split(" "))) > 3 else t,
        lambda t: t.replace("1,250", "1250") if "1,250," not in t else t,
        lambda t: t.replace("-", draw(st.sampled_from("−–"))),
        lambda t: unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), t),
        lambda t: draw(st.sampled_from(["“{}”", '"{}"', "**{}**", "*{}*"])).format(t),
        lambda t: f" {t}\n",
    ):
        fact = change(fact) if draw(st.booleans()) else fact
    return fact
