from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.tasks.cloze.compose import Cloze, Shortage, candidates, numbered
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.rules import check
from datagen.tasks.cloze.words import show


def render(blanked: Sequence[str]) -> str:
    return "Which words are missing?\n" + numbered(blanked)


def make(doc: DocumentIndex, seed: int = 0, n: int = 3, least: int = 2, most: int = 4) -> list[Cloze] | Shortage:
    return candidates(doc, range(len(doc.chunks)), n, random.Random(seed), least, most, render)


def test_candidates_ask_for_terms_of_several_chunks(story: DocumentIndex):
    made = make(story)
    assert isinstance(made, list)
    assert len(made) == 3
    for cloze in made:
        assert 2 <= len(cloze.ref_chunks) <= 4
        assert cloze.ref_chunks == sorted(set(cloze.quote_chunks)) == cloze.quote_chunks
        assert cloze.answer == "; ".join(cloze.terms)
        assert cloze.question.count("_____") == len(cloze.terms)
        for term, quote, chunk in zip(cloze.terms, cloze.quotes, cloze.quote_chunks, strict=True):
            assert quote in story.chunks[chunk]
            assert term in quote
            assert show(quote) not in cloze.question


def test_candidates_differ_in_their_sentences_and_their_number_of_chunks(story: DocumentIndex):
    made = make(story, n=6)
    assert isinstance(made, list)
    assert len({frozenset(c.quotes) for c in made}) == len(made) > 3
    assert len({len(c.ref_chunks) for c in made}) > 1


def test_the_same_seed_gives_the_same_candidates(story: DocumentIndex):
    again = DocumentIndex.build(list(story.chunks))
    assert again == story
    assert make(story, seed=5) == make(again, seed=5)
    assert make(story, seed=5) != make(story, seed=6)


def test_the_limits_on_evidence_hold(story: DocumentIndex):
    made = make(story, least=3, most=3)
    assert isinstance(made, list)
    assert {len(c.ref_chunks) for c in made} == {3}
    single = make(story, least=1, most=1)
    assert isinstance(single, list)
    assert {len(c.ref_chunks) for c in single} == {1}


def test_a_shortage_says_why(story: DocumentIndex):
    poor = DocumentIndex.build(["x = 1\n", "* * *\n", "See also: nothing\n"])
    shortage = make(poor)
    assert shortage == Shortage("too few sentences with a distinctive term", "0 of 3 chunks have one, 2 needed")
    named = candidates(story, [0, 1, 2], 2, random.Random(0), 2, 3, lambda s: " ".join(story.chunks) + numbered(s))
    assert isinstance(named, Shortage)
    assert named.reason == "no set of sentences that do not give each other away"


def test_numbered():
    assert numbered(["One _____.", "Two _____."]) == "1. One _____.\n2. Two _____."


hostile = st.text(alphabet=st.sampled_from("abcdE .!?\n\t'\"«»()[]*_0123漢字。「」שלום😀|=:;,-é\u0301"), max_size=200)


@settings(deadline=None)
@given(st.lists(hostile, min_size=1, max_size=5), st.integers(0, 9))
def test_hostile_text_gives_candidates_that_hold_or_a_shortage(chunks: list[str], seed: int):
    doc = DocumentIndex.build(chunks)
    made = make(doc, seed, least=1)
    assert made == make(doc, seed, least=1)
    for cloze in made if isinstance(made, list) else []:
        assert all(
            q in chunks[i] and t in q for t, q, i in zip(cloze.terms, cloze.quotes, cloze.quote_chunks, strict=True)
        )
        check(cloze, doc)


vocabulary = "the of and in a was to it he on Winkle Bergen 1834 2,500 harbour cathedral lantern Pickwick"
word = st.sampled_from(vocabulary.split())
sentence = st.lists(word, min_size=9, max_size=20).map(lambda w: " ".join(["Then", *w]) + ".")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(sentence, min_size=1, max_size=4).map(" ".join), min_size=3, max_size=6), st.integers(0, 9))
def test_candidates_of_any_prose_are_verbatim(chunks: list[str], seed: int):
    made = make(DocumentIndex.build(chunks), seed, least=1)
    for cloze in made if isinstance(made, list) else []:
        for term, quote, chunk in zip(cloze.terms, cloze.quotes, cloze.quote_chunks, strict=True):
            assert quote in chunks[chunk]
            assert term in quote


def test_real_documents_give_good_rows(real_documents: dict[str, DocumentIndex]):
    for name, doc in real_documents.items():
        rng = random.Random(0)
        rows = []
        for seed in range(15):
            cluster = rng.sample(range(len(doc.chunks)), min(10, len(doc.chunks)))
            made = candidates(doc, cluster, 3, random.Random(seed), 2, 4, render)
            rows += made if isinstance(made, list) else []
        verdicts = [check(row, doc) for row in rows]
        assert len(rows) >= 10, name
        assert sum(v.passed for v in verdicts) >= 0.8 * len(rows), name
        ratings = [v.rating for v in verdicts if v.passed]
        assert max(ratings) - min(ratings) > 2, name
        assert all(0 < r <= 10 for r in ratings), name


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_the_cluster_does_not_matter(story: DocumentIndex, seed: int):
    a = candidates(story, [0, 1, 2, 3], 2, random.Random(seed), 2, 3, render)
    assert a == candidates(story, [3, 1, 0, 2, 2], 2, random.Random(seed), 2, 3, render)


def test_scripts_without_spaces_give_candidates():
    doc = DocumentIndex.build(
        [
            "《红楼梦》是中国古典小说中最著名的一部作品，作者是清代的曹雪芹。\n\n",
            "北京大学是在1898年建立的，它的前身叫做京师大学堂。\n\n",
            "在那个时候，工程师们使用Fortran语言来编写他们的程序，这是很常见的。\n\n",
        ]
    )
    made = candidates(doc, [0, 1, 2], 1, random.Random(0), 3, 3, render)
    assert isinstance(made, list)
    assert made[0].terms == ["红楼梦", "1898", "Fortran"]
    assert check(made[0], doc).passed
