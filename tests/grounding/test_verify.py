import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.grounding import verify


@pytest.mark.parametrize(
    ("expected", "given_", "verdict"),
    [
        ("Rome", "rome.", True),
        ("the Old Man", "Old man", True),
        ("1,250,000", "1250000", True),
        ("3.5", "35", False),
        ("-3", "3", False),
        ("3", "3.0", True),
        ("12", "13", False),
        ("1850", "in 1850", True),
        ("Mara Voss", "Dr. Mara Voss of Leeds", True),
        ("Dr. Mara Voss of Leeds", "Voss", True),
        ("12", "12 or 13", None),
        ("Rome", "not Rome", None),
        ("Rome", "either Rome or Paris", None),
        ("1850", "between 1850 and 1860", None),
        ("Voss", "Vossberg", None),
        ("twelve", "12", None),
        ("Rome", "Paris", None),
        ("Rome; Paris", "Paris; Rome", None),
        ("", "Rome", None),
        ("α", "β", None),
        ("東京", "東京", True),
        ("+", "+", True),
        ("+", "-", None),
        ("l’été", "L'été", True),
        ("ﬁve", "five", True),
    ],
)
def test_what_strings_can_tell(expected, given_, verdict):
    assert verify.verdict(expected, given_) is verdict
    assert verify.verdict(given_, expected) is verdict


@given(st.text(max_size=40))
def test_an_answer_says_the_same_as_itself(text):
    assert verify.exact(text, text) is bool(verify.words(text) or text.strip())


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_order_of_two_answers_does_not_matter(a, b):
    assert verify.verdict(a, b) is verify.verdict(b, a)


@pytest.mark.parametrize(
    ("given", "f1"), [("red oak", 1.0), ("an oak", 2 / 3), ("red oak of the north", 2 / 3), ("elm", 0.0), ("", 0.0)]
)
def test_token_f1(given, f1):
    assert verify.token_f1("the red oak", given) == pytest.approx(f1)


def test_verifiers_are_found_by_name_by_import_path_and_as_functions():
    assert verify.find("contains")("oak", "the red oak") is True
    assert verify.find("operator:eq")("oak", "oak") is True
    assert verify.find(verify.exact) is verify.exact


@pytest.mark.parametrize("name", ["exat", "package.module:", ":name", ""])
def test_an_unknown_verifier_is_refused(name):
    with pytest.raises(ValueError, match="exact"):
        verify.find(name)


def test_containing_includes_being_the_same():
    assert verify.contains("?!", "?!")
    assert not verify.contains("?!", "?")
