from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.tasks.cloze.compose import Cloze, Shortage, Wanted, numbered, questions
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.rules import Limits, check
from datagen.tasks.cloze.words import show


def render(blanked: Sequence[str]) -> str:
    return "Which words are missing?\n" + numbered(blanked)


def make(doc: DocumentIndex, seed: int = 0, n: int = 2, least: int = 2, most: int = 4) -> list[Cloze] | Shortage:
    """The questions of one cluster, which is the whole document."""
    return questions(doc, {"c": (range(len(doc.chunks)), random.Random(seed))}, Wanted(n, least, most), render)["c"]


def test_candidates_ask_for_terms_of_several_chunks(story: DocumentIndex):
    made = make(story)
    assert isinstance(made, list)
    assert len(made) == 2
    for cloze in made:
        assert 2 <= len(cloze.ref_chunks) <= 4
        assert cloze.ref_chunks == sorted(set(cloze.quote_chunks)) == cloze.quote_chunks
        assert cloze.answer == "; ".join(cloze.terms)
        assert cloze.question.count("_____") == len(cloze.terms)
        for term, quote, chunk in zip(cloze.terms, cloze.quotes, cloze.quote_chunks, strict=True):
            assert quote in story.chunks[chunk]
            assert term in quote
            assert show(quote) not in cloze.question


def test_questions_share_no_sentence_no_term_and_no_evidence(story: DocumentIndex):
    for seed in range(5):
        made = make(story, seed, n=6, most=3)
        assert isinstance(made, list)
        assert len(made) >= 2
        for parts in ([q for c in made for q in c.quotes], [t for c in made for t in c.terms]):
            assert len(set(parts)) == len(parts)
        assert len({tuple(c.ref_chunks) for c in made}) == len(made)


def test_no_question_shows_what_another_one_asks_for(story: DocumentIndex):
    told = "The brother of Ingrid was a priest in the town of Kristiansand, and he wrote to the island in the summer."
    doc = DocumentIndex.build([*story.chunks, told + "\n\n"])
    for seed in range(10):
        made = make(doc, seed, n=4)
        assert isinstance(made, list)
        for cloze in made:
            elsewhere = " ".join(other.question for other in made if other is not cloze)
            assert not any(term in elsewhere for term in cloze.terms)


def test_the_clusters_of_a_document_take_turns(story: DocumentIndex):
    def both(order: Sequence[str]) -> dict[str, list[Cloze] | Shortage]:
        chunks = {"a": [0, 1, 2, 3, 4], "b": [4, 3, 2, 1, 0]}
        return questions(story, {c: (chunks[c], random.Random(c)) for c in order}, Wanted(3, 2, 2), render)

    made = both("ab")
    assert all(isinstance(of, list) for of in made.values())
    assert made == both("ba")


NAMES = (
    "Brackenby Dorrington Eltham Fothergill Garraway Hexworth Inchbald Jellicoe Kittredge Lavenham Mapledurham "
    "Netherby Oglethorpe Pettigrew Quennell Ruswarp Sedgefield Tewkesbury Umberleigh Wetherden"
)


THINGS = "axe bag bat bed bell belt bowl book boot bow cap car cake coat cow cup dog drum egg flag"
TRADES = (
    "baker barber brewer butcher carpenter clerk cook cooper doctor driver farmer fisher gardener guard hunter judge "
    "mason miner nurse painter"
)


def test_evidence_is_far_apart():
    things, trades = THINGS.split(), TRADES.split()
    text = "It was said that the {} and the {} had sold the {} to {} for the price of a {}.\n\n"
    rows = zip(trades, trades[5:] + trades, things, NAMES.split(), things[7:] + things, strict=False)
    doc = DocumentIndex.build([text.format(*row) for row in rows])
    spans = []
    for seed in range(60):
        made = make(doc, seed, n=1, least=2, most=2)
        assert isinstance(made, list)
        spans.append(made[0].ref_chunks[1] - made[0].ref_chunks[0])
    assert sum(spans) / len(spans) > 9  # of 19; two chunks at random are 7 apart


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
    alike = [
        "The man of the house in the town was a good friend of old Winkle, and he built wooden boats.",
        "In the cold spring the widow of the miller gave young Winkles a silver key and a letter.",
    ]
    told = make(DocumentIndex.build([text + "\n\n" for text in alike]), n=1)
    assert told == Shortage("no set of sentences that do not give each other away", "12 draws from 2 chunks")


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
        assert check(cloze, doc, Limits(min_evidence=1)).passed


vocabulary = "the of and in a was to it he on Winkle Bergen 1834 2,500 harbour cathedral lantern Pickwick"
word = st.sampled_from(vocabulary.split())
sentence = st.lists(word, min_size=9, max_size=20).map(lambda w: " ".join(["Then", *w]) + ".")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(sentence, min_size=1, max_size=4).map(" ".join), min_size=3, max_size=6), st.integers(0, 9))
def test_candidates_of_any_prose_are_proven(chunks: list[str], seed: int):
    doc = DocumentIndex.build(chunks)
    made = make(doc, seed, least=1)
    assert made == make(doc, seed, least=1)
    for cloze in made if isinstance(made, list) else []:
        assert check(cloze, doc, Limits(min_evidence=1)).passed
        for term, quote, chunk in zip(cloze.terms, cloze.quotes, cloze.quote_chunks, strict=True):
            assert quote in chunks[chunk]
            assert term in quote


def test_real_documents_give_good_rows(real_documents: dict[str, DocumentIndex]):
    for name, doc in real_documents.items():
        rng = random.Random(0)
        rows = []
        for seed in range(15):
            cluster = rng.sample(range(len(doc.chunks)), min(10, len(doc.chunks)))
            made = questions(doc, {"c": (cluster, random.Random(seed))}, Wanted(3, 2, 4), render)["c"]
            rows += made if isinstance(made, list) else []
        verdicts = [check(row, doc) for row in rows]
        # A reference of a language, and a book for small children, have few names.
        assert len(rows) >= {"reference": 6, "entre-nous.fr.txt": 1}.get(name, 10), name
        assert sum(v.passed for v in verdicts) >= 0.8 * len(rows), name
        ratings = [v.rating for v in verdicts if v.passed]
        assert len(rows) < 10 or max(ratings) - min(ratings) > 2, name
        assert all(0 < r <= 10 for r in ratings), name


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_the_cluster_does_not_matter(story: DocumentIndex, seed: int):
    def of(chunks: list[int]) -> dict[str, list[Cloze] | Shortage]:
        return questions(story, {"c": (chunks, random.Random(seed))}, Wanted(2, 2, 3), render)

    assert of([0, 1, 2, 3]) == of([3, 1, 0, 2, 2])


def test_scripts_without_spaces_give_candidates():
    doc = DocumentIndex.build(
        [
            "《红楼梦》是中国古典小说中最著名的一部作品，作者是清代的曹雪芹。\n\n",
            "北京大学是在1898年建立的，它的前身叫做京师大学堂。\n\n",
            "在那个时候，工程师们使用Fortran语言来编写他们的程序，这是很常见的。\n\n",
        ]
    )
    made = make(doc, n=1, least=3, most=3)
    assert isinstance(made, list)
    assert made[0].terms in (["红楼梦", "1898", "Fortran"], ["曹雪芹", "1898", "Fortran"])
    assert check(made[0], doc).passed
