from datagen.records import Dropped, Judgement
from tests.checks.cases import TEXTS, asked, candidate, made, outcome, rated


def test_a_chunk_that_is_not_missed_is_no_evidence(only_two):
    run = only_two(candidate(ref_chunks=[0, 1, 3, 4]), judge__checks=["quality", "sufficiency", "necessity"])
    row = outcome(run, rated(9))
    assert isinstance(row, Judgement)
    assert (row.ref_chunks, row.redundant) == ([0, 3], [1, 4])
    assert asked(run) == {"quality": 1, "sufficiency": 2, "necessity": 4}


def test_of_two_chunks_that_say_the_same_one_is_enough(tmp_path):
    run = made(tmp_path, TEXTS, candidate(ref_chunks=[0, 3, 5]), judge__checks=["quality", "necessity"])
    row = outcome(run, rated(9))
    assert isinstance(row, Judgement)
    assert (row.ref_chunks, row.redundant) == ([0, 5], [3])


def test_fewer_chunks_than_wanted_are_enough(only_two):
    question = "Which words come after “was printed again in” and “a friend of his”?"
    run = only_two(candidate(question=question, answer="1862; widow"), judge__checks=["quality", "necessity"])
    row = outcome(run, rated(9))
    assert isinstance(row, Dropped)
    assert row.reason == "fewer chunks are enough"
