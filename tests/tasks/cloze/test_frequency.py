import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.tasks.cloze import frequency

CODES = [
    "",
    *["en", "de", "fr", "fi", "tr", "hu", "ru", "pl", "el", "ar", "fa", "ur", "he", "hi", "ja", "ko", "zh", "th", "ka"],
]
LETTERS = "abwzéßøıжіяωςاأبكلوسيتهפוהבלמשכתयकाि한국을는のカ漢字ไทยაბგ'-’"


@given(st.text(LETTERS, min_size=1, max_size=9) | st.text(min_size=1, max_size=9), st.sampled_from(CODES))
def test_any_word_in_any_language_has_an_answer(word, code):
    assert 0 <= frequency.zipf(word, code) <= 9
    assert frequency.of_forms(word, code) >= frequency.zipf(word, code)
    frequency.is_familiar(word, code)
    frequency.is_misspelt(word, code)


@pytest.mark.parametrize("code", ["ar", "he", "fa", "ur"])
def test_short_words_made_of_what_is_attached_to_words_are_no_error(code):
    for word in ("וו", "הב", "ולו", "بل", "وال", "فو"):
        frequency.is_familiar(word, code)
