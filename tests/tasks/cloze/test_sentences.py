from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.tasks.cloze.prose import fault
from datagen.tasks.cloze.sentences import misplaced, prose_sentences
from datagen.tasks.cloze.words import show

FIRST = "The keeper of the lighthouse was a quiet man who rarely spoke."
SECOND = "He came to the island in the winter with a small wooden chest."


def texts(chunk: str, before: str = "", after: str = "") -> list[str]:
    return [s.text for s in prose_sentences(chunk, before, after)]


def test_sentences_are_verbatim_and_keep_their_line_breaks():
    chunk = f"{FIRST.replace(' was', chr(10) + 'was')}  {SECOND}\n"
    found = prose_sentences(chunk)
    assert [show(s.text) for s in found] == [FIRST, SECOND]
    assert all(chunk[s.start : s.end] == s.text for s in found)


@pytest.mark.parametrize(
    "sentence",
    [
        "On one occasion Mr. Pickwick met Dr. Slammer at the ball in Rochester.",
        "The measure of the field was 3.25 acres, e.g. by the map of the parish.",
        "This song was printed in the Musical Miscellany, Vol. IV, of the same year.",
        "A letter from J. Allanson Benson came to the house in the evening.",
        "«Où est donc passée la petite boîte de Marie?» demanda la maman.",
        "The answer is given on p. 25 of the little book that he wrote.",
        "Le ministre a reçu M. Dupont et Mme Lefèvre dans la grande salle.",
        "They waited... but nobody in the village came down to the harbour.",
    ],
)
def test_abbreviations_numbers_and_ellipses_do_not_end_a_sentence(sentence: str):
    assert texts(f"{FIRST} {sentence} {SECOND}") == [FIRST, sentence, SECOND]


def test_scripts_without_spaces_end_a_sentence_without_a_space():
    first, second = "灯台守は静かな人で、めったに話さなかった。", "彼は冬の初めに小さな箱を持って島に来たという。"
    assert texts(first + second) == [first, second]


def test_a_blank_line_a_bullet_and_a_deeper_indentation_end_a_sentence():
    assert texts(f"A heading of the text that has no stop at all\n\n{FIRST}") == [FIRST]
    assert texts(f"The following list of things is not a sentence\n* {FIRST}\n* {SECOND}") == [FIRST, SECOND]
    assert texts(f"name of the thing and its many arguments\n   {FIRST}") == [FIRST]


def test_a_sentence_cut_by_the_chunk_is_left_out():
    assert texts(f"came to the island late. {FIRST}") == [FIRST]
    assert texts(f". {FIRST} {SECOND}", before="The end of the one before") == [FIRST, SECOND]
    assert texts(f"{FIRST} {SECOND}", before="Then the old Captain told his good friend") == [SECOND]
    assert texts(f"{FIRST} {SECOND}", before="And so it ended.\n\n") == [FIRST, SECOND]
    assert texts(f"{FIRST} {SECOND[:-1]}", after=". And") == [FIRST]
    assert texts(f"{FIRST} In the evening of that day the keeper met Mr.", after=" Pickwick at the inn.") == [FIRST]


def test_a_latin_word_may_begin_a_sentence_of_a_script_without_capitals():
    first, second = (
        "그 사람은 마을의 등대에서 오래된 책을 읽고 있었다고 합니다.",
        "labplot은 그 마을의 등대에서 만든 아주 오래된 좋은 책입니다.",
    )
    assert texts(f"{first} {second}") == [first, second]
    assert texts("Он сказал это ок. debian и ушёл из старого города у моря в тот день.") != [
        "Он сказал это ок.",
        "debian и ушёл из старого города у моря в тот день.",
    ]


def test_a_quotation_mark_without_partner_is_trimmed_at_the_ends_only():
    assert texts(f'"{FIRST} {SECOND}"') == [FIRST, SECOND]
    assert texts(f'{FIRST} Then he said: "It is late in the year for a boat. {SECOND}') == [FIRST, SECOND]


def test_verse_is_no_running_text():
    verse = (
        "The boy stood on the burning deck,\nWhence all but he had fled;\nThe flame that lit the wreck\nShone round.\n"
    )
    assert misplaced(verse, 0, len(verse.rstrip()), "", "") == "verse"
    assert texts(verse) == []


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("aB .!?\n\t-—'\"«»“”()[]*_漢。「」ש😀\u00a01,;:é"), max_size=300))
def test_any_text_gives_verbatim_sentences(chunk: str):
    for s in prose_sentences(chunk, chunk, chunk):
        assert chunk[s.start : s.end] == s.text
        assert not fault(s.text)


@pytest.mark.parametrize(
    "unit", ["a.a.", "((((", "....", ". »", "A. B. ", "漢字。", "\n \t", "x' ", '"', "_a_ ", "Mr. ", "- "]
)
def test_a_huge_chunk_without_a_sentence(unit: str):
    """Read at once; in quadratic time it would take many minutes."""
    assert texts(unit * (200_000 // len(unit))) == []
