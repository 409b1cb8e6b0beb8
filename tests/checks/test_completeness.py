import json

from datagen.records import Dropped, Judgement
from tests.checks.cases import TEXTS, made, outcome, rated


def test_another_chunk_that_is_as_good_rejects_the_row(tmp_path):
    row = outcome(made(tmp_path, TEXTS, judge__checks=["quality", "completeness"]), rated(9))
    assert isinstance(row, Dropped)
    assert row.reason == "other chunks are as good"
    assert row.detail == "one of 1, 2, 4, 5 in place of 3"


def test_a_question_that_fits_two_things_rejects_the_row(tmp_path):
    def confused(body: dict) -> str:
        both = all(words in str(body) for words in ("1862 by a friend", "1862 and then", "answerable"))
        return json.dumps({"answerable": False, "answer": ""}) if both else rated(9)(body)

    row = outcome(made(tmp_path, TEXTS, judge__checks=["quality", "completeness"]), confused)
    assert isinstance(row, Dropped)
    assert (row.reason, row.detail) == ("another answer among other chunks", "with 1, 2, 4, 5 in view")


def test_or_is_named_beside_the_evidence(tmp_path):
    run = made(tmp_path, TEXTS, judge__checks=["quality", "completeness"], judge__alternatives="keep")
    row = outcome(run, rated(9))
    assert isinstance(row, Judgement)
    assert (row.ref_chunks, row.alt_chunks) == ([0, 3], [5])
