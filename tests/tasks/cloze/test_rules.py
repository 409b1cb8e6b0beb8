from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from datagen import records
from datagen.tasks.cloze.compose import Cloze, numbered
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.cloze.rules import RULES, Limits, check, rating_parts


def row(terms: list[str], quotes: list[str], chunks: list[int], **changes: Any) -> Cloze:
    """A row that is right in its form, for quotes that need not be."""
    blanked = [" ".join(q.split()).replace(t, "_____", 1) for t, q in zip(terms, quotes, strict=True)]
    question = "Which words are missing?\n" + numbered(blanked)
    whole = Cloze(question, "; ".join(terms), sorted(set(chunks)), terms, quotes, chunks)
    return replace(whole, **changes)


SATURN = "He was glad of the company, and he showed them the mountains of the moon and the rings of Saturn."
INGRID = "It was written in the hand of a woman, and the name at the end of it was Ingrid."


def test_a_good_row_passes_every_rule_and_is_rated(story: DocumentIndex, good: Cloze):
    verdict = check(good, story)
    assert verdict.passed
    assert verdict.detail == ""
    assert verdict.checks == tuple(rule.name for rule in RULES)
    assert 5 <= verdict.rating <= 10
    assert verdict.rating == pytest.approx(sum(rating_parts(good, story).values()), abs=0.01)


def test_a_record_is_checked_like_a_cloze(story: DocumentIndex, good: Cloze):
    fields = ("question", "answer", "ref_chunks", "terms", "quotes", "quote_chunks")
    record = records.Candidate(
        qa_id="q",
        cluster_id="c",
        doc_id="d",
        sample=0,
        generator="cloze",
        question_type="cloze",
        **{f: getattr(good, f) for f in fields},
    )
    assert check(record, story) == check(good, story)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"ref_chunks": [1, 0]}, "evidence"),
        ({"ref_chunks": [0, 1, 2]}, "evidence"),
        ({"quote_chunks": [0]}, "evidence"),
        ({"ref_chunks": [0], "quote_chunks": [0, 0]}, "evidence"),
        ({"ref_chunks": [0, 99], "quote_chunks": [0, 99]}, "evidence"),
        ({"ref_chunks": [-1, 0], "quote_chunks": [0, -1]}, "evidence"),
        ({"ref_chunks": [], "quote_chunks": [], "terms": [], "quotes": [], "answer": ""}, "evidence"),
        ({"answer": "Ingrid; 1871"}, "answer"),
        ({"terms": ["1871", "Ing;rid"], "answer": "1871; Ing;rid"}, "answer"),
        ({"terms": ["1871", "1871"], "answer": "1871; 1871"}, "different terms"),
        ({"ref_chunks": [0, 2], "quote_chunks": [0, 2]}, "verbatim"),
        ({"terms": ["1871", "Ing"], "answer": "1871; Ing"}, "verbatim"),
        ({"terms": ["1871", "the"], "answer": "1871; the"}, "verbatim"),
        ({"question": "Which words are missing? _____"}, "blanks"),
        ({"question": "Which words are missing? _____ _____"}, "blanks"),
    ],
)
def test_each_broken_form_is_rejected_by_its_rule(
    story: DocumentIndex, good: Cloze, changes: dict[str, Any], rule: str
):
    assert_rejected(replace(good, **changes), story, rule)


def assert_rejected(cloze: Cloze, doc: DocumentIndex, name: str, limits: Limits | None = None) -> None:
    verdict = check(cloze, doc, limits or Limits())
    index = [rule.name for rule in RULES].index(name)
    assert (verdict.reason, verdict.rating) == (RULES[index].reason, 0), verdict
    assert verdict.checks == tuple(rule.name for rule in RULES[:index])
    assert verdict.detail


def test_blanks_out_of_order_are_rejected(story: DocumentIndex, good: Cloze):
    lines = good.question.split("\n")
    assert_rejected(replace(good, question="\n".join([lines[0], lines[2], lines[1]])), story, "blanks")


def test_lengths(story: DocumentIndex, good: Cloze):
    assert_rejected(good, story, "lengths", Limits(max_question_chars=100))
    assert_rejected(good, story, "lengths", Limits(max_answer_chars=5))
    short = row(["proud", "Saturn"], ["The keeper was proud of it.", SATURN], [4, 3])
    assert_rejected(replace(short, question=short.question), story, "lengths")


def test_the_least_number_of_chunks(story: DocumentIndex, good: Cloze):
    assert_rejected(good, story, "evidence", Limits(min_evidence=3))


@pytest.mark.parametrize(
    ("quote", "term"),
    [
        ("came to the island in the winter of 1871 with a small wooden\nchest and the promise of a pension.", "1871"),
        ("He came to the island in the winter of 1871 with a small wooden\nchest", "1871"),
    ],
)
def test_a_part_of_a_sentence_is_no_whole_prose(story: DocumentIndex, quote: str, term: str):
    assert_rejected(row([term, "Ingrid"], [quote, INGRID], [0, 1]), story, "whole prose")


def test_a_sentence_cut_by_the_chunk_is_no_whole_prose(story: DocumentIndex):
    cut = "Pickwick came to the island of the village in the winter with a chest from Stavanger."
    doc = DocumentIndex.build(
        [*story.chunks, "The keeper of the tower was the friend of the good Mr.", cut + " He was glad.\n\n"]
    )
    assert_rejected(row(["Stavanger", "Ingrid"], [cut, INGRID], [7, 1]), doc, "whole prose")


def test_a_list_of_names_is_no_whole_prose(story: DocumentIndex):
    names = "Known ports: sheltered harbours, deep fjords, busy quays, wooden piers, lighthouse stations, Trondheim."
    doc = DocumentIndex.build([*story.chunks, names + "\n\n"])
    assert_rejected(row(["Trondheim", "Ingrid"], [names, INGRID], [6, 1]), doc, "whole prose")


@pytest.mark.parametrize("copy", [SATURN, SATURN.upper(), SATURN.replace(" ", "\n  "), SATURN.replace(",", " --")])
def test_a_sentence_that_stands_twice_is_rejected(story: DocumentIndex, copy: str):
    elsewhere = DocumentIndex.build([*story.chunks, copy + "\n\n"])
    same_chunk = DocumentIndex.build([*story.chunks[:3], story.chunks[3] + copy + "\n\n", *story.chunks[4:]])
    for doc in (elsewhere, same_chunk):
        assert_rejected(row(["Ingrid", "Saturn"], [INGRID, SATURN], [1, 3]), doc, "unique sentence")


def test_a_sentence_whose_copy_crosses_two_chunks_is_rejected(story: DocumentIndex):
    doc = DocumentIndex.build([*story.chunks, "And " + SATURN[:50], SATURN[50:] + "\n\n"])
    assert_rejected(row(["Ingrid", "Saturn"], [INGRID, SATURN], [1, 3]), doc, "unique sentence")


@pytest.mark.parametrize("other", ["Jupiter", "the great Jupiter"])
def test_another_term_in_the_blank_elsewhere_makes_it_ambiguous(story: DocumentIndex, other: str):
    doc = DocumentIndex.build([*story.chunks, "Then " + SATURN.replace("Saturn", other) + "\n\n"])
    assert_rejected(row(["Ingrid", "Saturn"], [INGRID, SATURN], [1, 3]), doc, "unambiguous")


def test_ambiguity_is_seen_on_both_sides_of_a_blank(story: DocumentIndex):
    quote = "The captain Rasmussen was the first of the people of the village who saw the light of the tower."
    doc = DocumentIndex.build([*story.chunks, quote + "\n\n", quote.replace("Rasmussen", "Petersen") + "\n\n"])
    assert_rejected(row(["Ingrid", "Rasmussen"], [INGRID, quote], [1, 6]), doc, "unambiguous")


def test_a_term_all_over_the_document_is_not_distinctive(story: DocumentIndex):
    assert_rejected(
        row(["moon", "woman"], [SATURN, INGRID], [3, 1]), story, "distinctive term", Limits(max_term_chunks=1)
    )
    village = "The people of the village said that he was the son of a sailor."
    assert_rejected(row(["village", "Ingrid"], [village, INGRID], [0, 1]), story, "distinctive term")


@pytest.mark.parametrize(
    ("hint", "term_of_saturn"),
    [
        ("Ask INGRID.", "Saturn"),
        ("It was Ingrid's.", "Saturn"),
        ("Not the Saturns.", "Saturn"),
        ("Of 18,71 men.", "Saturn"),
    ],
)
def test_a_term_on_view_in_the_question_is_rejected(story: DocumentIndex, good: Cloze, hint: str, term_of_saturn: str):
    three = row(["1871", "Ingrid", term_of_saturn], [*good.quotes, SATURN], [0, 1, 3])
    assert check(three, story).passed
    assert_rejected(replace(three, question=three.question + "\n" + hint), story, "hidden term")


def test_a_term_named_by_another_sentence_is_rejected(story: DocumentIndex):
    quote = "The sister of Ingrid was in the village in the year of the storm, and she came from Kristiansand."
    doc = DocumentIndex.build([*story.chunks, quote + "\n\n"])
    assert_rejected(row(["Ingrid", "Kristiansand"], [INGRID, quote], [1, 6]), doc, "hidden term")


def test_what_is_hard_to_guess_is_rated_higher(story: DocumentIndex, good: Cloze):
    names = check(row(["Halvorsen", "Ingrid"], [HALVORSEN, INGRID], [2, 1]), story)
    numbers = check(row(["1871", "4,300"], [good.quotes[0], ABERDEEN], [0, 4]), story)
    assert names.passed
    assert numbers.passed
    assert names.rating > numbers.rating


@pytest.mark.parametrize("term", ["mountains", "company"])
def test_what_can_be_guessed_from_its_sentence_is_rejected(story: DocumentIndex, term: str):
    assert_rejected(row(["Ingrid", term], [INGRID, SATURN], [1, 3]), story, "not guessable")


HALVORSEN = (
    "The sea took the boat of the fisherman\nHalvorsen, and it took the wall of the harbour, and the keeper saw it all "
    "from the gallery of the tower."
)
ABERDEEN = (
    "It was said in the village that the lamp of the tower had cost the king 4,300 crowns, and that the oil of the\n"
    "lamp came in the barrels of a merchant from the city of Aberdeen."
)
