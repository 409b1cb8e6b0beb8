"""Blanks in a sentence, and what would give their words away."""

from __future__ import annotations

import pytest

from datagen.tasks.cloze.affixes import variants
from datagen.tasks.cloze.blanks import blanked, given_away


@pytest.mark.parametrize(
    ("sentence", "term", "expected"),
    [
        ("He met Winkle.", "Winkle", "He met _____."),
        ("In _Hard Times_ he says so.", "Hard Times", "In _____ he says so."),
        ('"__getattr__()" is called.', "__getattr__", '"_____()" is called.'),
        ('"__getattr__()" is called.', "getattr", None),
        ("Winkle met Winkle.", "Winkle", None),
        ("The Winkles came.", "Winkle", None),
        ("橋は1987年に作られた。", "1987", "橋は_____年に作られた。"),
        ("The form has _____ and Winkle.", "Winkle", None),
    ],
)
def test_a_blank_takes_a_whole_word_that_stands_once(sentence: str, term: str, expected: str | None):
    assert blanked(sentence, term) == expected


def test_variants_of_a_word():
    assert variants("instrument", "instruments")
    assert variants("assembly", "assemble")
    assert variants("box", "boxes")
    assert not variants("station", "statue")
    assert not variants("car", "carpet")


def test_what_gives_a_term_away():
    assert given_away("Martin Chuzzlewit", ["young", "chuzzlewit"]) == "chuzzlewit"
    assert given_away("Court of Justice", ["of"]) is None
    assert given_away("紅楼夢", ["夢", "楼"]) is None


@pytest.mark.parametrize(
    ("term", "word"),
    [
        ("backref", "sync_backref"),
        ("FormattingStyle", "setformattingstyle"),
        ("Xyz", "xyz_all"),
        ("asynchronous", "synchronous"),
        ("hpmcounter", "mhpmcounter"),
    ],
)
def test_a_word_that_holds_a_term_or_is_most_of_it_gives_it_away(term: str, word: str):
    assert given_away(term, ["other", word]) == word


@pytest.mark.parametrize(("term", "word"), [("Ann", "manner"), ("lamp", "clamped"), ("is", "is_it")])
def test_a_few_letters_in_another_word_are_chance(term: str, word: str):
    assert given_away(term, [word]) is None
