import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.evaluate.letters import Named, named

CHOICES = ["The first floor", "The second floor.", "A boat", "Ion streams"]


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("D", "D"),
        ("(D)", "D"),
        ("d", "D"),
        ("(c)", "C"),
        ("d) ion streams", "D"),
        ("D. Ion streams", "D"),
        ("D - Ion streams", "D"),
        ("D Ion streams", "D"),
        ("D: because (A) and (B) are not", "D"),
        ("The correct answer is (B) The second floor.", "B"),
        ("The correct answer is B, because", "B"),
        ("The answer to the question is **B**.", "B"),
        ("**C**", "C"),
        ("Answer: C", "C"),
        ("answer: option (C): A boat", "C"),
        (r"\boxed{\text{B}}", "B"),
        (r"$\boxed{B. The second floor}$", "B"),
        ("Answer: B, C is wrong", "B"),
        ("Ｃ", "C"),
        ("答案是B", "B"),
        ('"B"', "B"),
        ("[B]", "B"),
        ("I take option B.", "B"),
        ("They most likely are D. Ion streams.", "D"),
        ("Not (A) but (B)", "B"),
        ("The answer is not (A) but (B)", "B"),
        ("A. x\nB. y\nThe answer is B", "B"),
        ("ion streams", "D"),
        ("The second floor", "B"),
        ("A boat", "C"),  # the wording, and no letter A
        ("The correct answer is ion streams.", "D"),
        ("A and D are wrong; C", "C"),
        ("A, B and D are all wrong, so C is right", "C"),
        ("A is wrong. B is wrong. C: a boat", "C"),
        ("Answer: B, C and D are wrong", "B"),
        ("Answer: B. A and C are incorrect.", "B"),
        ("(A) and (D) are ruled out, I take (C)", "C"),
    ],
)
def test_a_letter_that_is_named(answer: str, letter: str):
    assert named(answer, CHOICES) == Named(letter)


@pytest.mark.parametrize(
    "answer",
    [
        "B/C",
        "(A) and (C)",
        "A and C",
        "A, B and D",
        "AC",
        "The correct answer is A/B/C/D.",
        "answer: B or C",
        "A. x\nC. y",
        "The correct answer is B/C. As one is wanted: the correct answer is B.",
    ],
)
def test_several_letters_are_no_choice(answer: str):
    assert named(answer, CHOICES) == Named(None, several=True)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "E",
        "A boy",
        "Answer: A boy who hid it",
        "not (A)",
        "U.S. Army",
        "C++",
        "D-Day",
        "Because",
        "ABBA",
        "A and D are wrong",
        "(A), (B) and (D) are not supported by the document",
        "I think that (A) is incorrect",
    ],
)
def test_no_letter(answer: str):
    assert named(answer, CHOICES) == Named(None)


def test_where_the_options_are_not_known_any_of_eight_letters_counts():
    assert named("E. coli") == Named("E")
    assert named("A boat") == Named(None)
    assert named("Z. Last") == Named(None)


def test_where_the_options_are_not_known_all_up_to_the_gold_letter_count():
    """LongReason has options up to J, and its published files do not hold them."""
    assert named("The correct answer is (J)", gold="J") == Named("J")
    assert named("I. Ion streams", gold="J") == Named("I")
    assert named("K. Last", gold="J") == Named(None)
    assert named("A", gold="J") == Named("A")
    assert named("I was unable to tell", gold="J") == Named(None)
    assert named("J", CHOICES, "J") == Named(None)  # the options are known, and there is none


@pytest.mark.parametrize("answer", ["B", "b", "(B)", "**B**", "B.", "Answer: B", '"B"'])
def test_a_letter_alone_is_the_letter_though_it_is_the_wording_of_an_option(answer: str):
    assert named(answer, ["A", "C", "B", "D"]) == Named("B")


def test_a_letter_of_no_option_may_be_the_wording_of_one():
    assert named("x", ["y", "x", "z"]) == Named("B")


def test_two_options_of_one_wording_name_no_letter():
    assert named("In a boat", ["In a boat", "in a boat.", "x", "y"]) == Named(None)


@given(st.text(alphabet="ABCDEabcd ()[].,:/*\\{}isnotaswer答案\n\"'-", max_size=80))
def test_it_never_raises_and_names_an_option_or_none(answer: str):
    found = named(answer, CHOICES)
    assert found.letter is None or (found.letter in "ABCD" and not found.several)


@given(
    st.sampled_from("ABCD"),
    st.sampled_from(["{}", "({})", "{}.", "**{}**", "Answer: {}", "The correct answer is ({})."]),
)
def test_every_usual_form_is_read(letter: str, form: str):
    assert named(form.format(letter), CHOICES) == Named(letter)


@pytest.mark.parametrize(
    "part", ["(A", "answer is ", "A, ", "((( ", "- ", "A/", "option ", "_*", "not (A) ", "so (A), ", "(A), ", "is A. "]
)
def test_hostile_answers_take_no_more_time_than_their_length(part: str):
    """A reader that looked at everything again for each part would take minutes."""
    named(part * (300_000 // len(part)), CHOICES)
