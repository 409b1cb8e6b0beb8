import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.evaluate.match import holds, normalised


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("France", "In france."),
        ("the dukes", "Dukes"),
        ("Denmark, Iceland and Norway", "They came from Denmark, Iceland, and Norway."),
        ("1918", "1914-1918"),
        ("276,170 inhabitants", "It has 276170 inhabitants"),
        ("5%", "about 5 %"),
        ("$5.2 billion", "$5.2 billion a year"),
        ("O'Brien", "O’Brien's house"),
        ("Vitamin A", "It is vitamin A."),
        ("A", "Vitamin A"),
        ("Café", "cafe\u0301"),
        ("水車小屋", "鍵は水車小屋にある。"),
        ("กุญแจ", "มีกุญแจอยู่"),
        ("파리", "파리는"),
        ("yes", "Yes, both are."),
        ("…", "He said … and left"),
    ],
)
def test_a_wording_that_stands_in_the_answer(gold: str, answer: str):
    assert holds(gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("north", "in northern France"),
        ("no", "Yes, and it does not."),
        ("no", "Yes, no baker is one."),
        ("yes", "No; yes would be wrong"),
        ("Richard I", "Richard II"),
        ("5", "5.2"),
        ("5", "50"),
        ("20", "-20"),
        ("5%", "5"),
        ("10", "10th"),
        ("", "anything"),
        (" ", "anything"),
        ("…", "anything"),
        ("हिन्द", "हिन्दी"),  # a vowel sign makes another word
        ("ქარ", "ქარხანა"),  # Georgian has spaces
    ],
)
def test_a_wording_that_does_not(gold: str, answer: str):
    assert not holds(gold, answer)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_words_stand_in_every_text_that_has_them_between_spaces(before: str, gold: str, after: str):
    if normalised(gold) and normalised(gold) not in ("yes", "no"):
        assert holds(gold, f"{before} ; {gold} ; {after}")
