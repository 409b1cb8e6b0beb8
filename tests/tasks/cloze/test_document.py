from __future__ import annotations

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.words import words


def test_phrases_are_found_whatever_their_case_markup_and_line_breaks():
    doc = DocumentIndex.build(["The _Old\n Bailey_ stood", "an old bailey; the OLD BAILEY", "nothing"])
    assert [doc.chunk_at(p) for p in doc.places(["old", "bailey"])] == [0, 1, 1]
    assert doc.chunks_with(["old", "bailey"]) == 2
    assert doc.chunks_with(["nothing"]) == 1
    assert doc.chunks_with(["never", "old"]) == 0


def test_a_phrase_across_two_chunks_is_found():
    doc = DocumentIndex.build(["", "the end of the", "", "story is here", ""])
    assert [doc.chunk_at(p) for p in doc.places(["the", "story"])] == [1]
    assert [doc.chunk_at(p) for p in doc.places(["story"])] == [3]
    assert list(doc.places([])) == []


def test_fills_of_a_blank_on_either_side():
    doc = DocumentIndex.build(["the rings of Saturn are wide", "the rings of the planet are wide", "of Mars"])
    assert list(doc.fills(["the", "rings", "of"], ["are", "wide"], 1)) == [(["saturn"], 0), (["the", "planet"], 1)]
    assert list(doc.fills(["of"], ["are", "wide"], 1)) == [(["saturn"], 0), (["the", "planet"], 1)]
    assert list(doc.fills(["rings", "of"], [], 1)) == [(["saturn"], 0), (["the"], 1)]
    assert list(doc.fills([], ["are", "wide"], 1)) == [(["saturn"], 0), (["planet"], 1)]


def test_function_words_are_the_common_ones():
    doc = DocumentIndex.build([f"the name of it is number {i} {chr(97 + i) * 7}" for i in range(9)])
    assert {"the", "of", "is"} <= doc.common
    assert "ccccccc" not in doc.common


def test_an_index_can_be_sent_to_another_process():
    doc = DocumentIndex.build(["The one.", "The other."])
    assert pickle.loads(pickle.dumps(doc)) == doc


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abC _'-.\n漢😀", max_size=30), max_size=6))
def test_every_word_has_its_place(chunks: list[str]):
    doc = DocumentIndex.build(chunks)
    for i, chunk in enumerate(chunks):
        for word in words(chunk):
            assert i in {doc.chunk_at(p) for p in doc.places([word])}
            assert doc.chunk_counts[word] == sum(word in words(c) for c in chunks)


def test_what_is_set_aside_is_read_by_whoever_answers():
    sentence = "The old fortress of Oldham was built by {} in the year of the flood."
    told = f"# The towns\n\n{sentence.format('**Marlowe**')}\n\n- one\n- two\n"
    table = f"## More\n\n| what |\n| --- |\n| {sentence.format('Kettering')} |\n\nSee [the *rest*](rest.md).\n"
    doc = DocumentIndex.build([told, table])
    assert "Kettering" not in doc.seen[1].text
    around = ["oldham", "was", "built", "by"], ["in", "the", "year"]
    assert list(doc.fills(*around, 1)) == [(["marlowe"], 0)]
    assert list(doc.rivals(around[0], ["marlowe"], around[1])) == [(["kettering"], 1)]
    assert list(doc.rivals(around[0], ["kettering"], around[1])) == [(["marlowe"], 0), (["marlowe"], 0)]
    assert doc.elsewhere(["by", "kettering"], 0) == [1]
    assert doc.elsewhere(["by", "kettering"], 1) == doc.elsewhere(["by", "marlowe"], 0) == []
