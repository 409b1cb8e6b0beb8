import unicodedata

import pytest

from datagen.text import likeness


def log(text: str, language: str) -> float:
    found = likeness.parts(unicodedata.normalize("NFC", text))
    return likeness.log(found.words.items(), language) + found.signs + found.shapes


@pytest.mark.parametrize(
    ("right", "wrong", "language"),
    [
        ("že bylo", "ľe bylo", "cs"),
        ("egyenlő", "egyenlõ", "hu"),
        ("The café", "The cafι", "en"),
        ("люди", "КЧДХ", "ru"),
        ("爺爺坐在家門口", "爺爺坐在鱉鼉黌", "zh"),
        ("людям из Києва", "людям из Кипва", "uk"),
        ("costs £3 now", "costs ú3 now", "en"),
        ("20 °C", "20 ¤C", "en"),
        ("col·legi", "colÃlegi", "ca"),
    ],
)
def test_what_is_written_so_is_likelier_than_what_is_not(right, wrong, language):
    assert log(right, language) > log(wrong, language) + 1


def test_a_word_is_likelier_in_its_own_language():
    assert log("szabadon születik", "hu") > log("szabadon születik", "de") + 3


def test_serbian_is_the_latin_list_in_cyrillic():
    words = likeness.words_of("sr")
    assert words["је"] == likeness.words_of("sh")["je"]
    assert "људи" in words


def test_a_text_without_words_has_no_known_ones():
    found = likeness.parts("… 12 %")
    assert likeness.known(found.words, "en") == 0
    assert found.n_signs == 1
