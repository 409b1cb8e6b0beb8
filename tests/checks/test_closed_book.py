import json

from datagen.records import Dropped, Judgement
from tests.checks.cases import ANSWER, asked, outcome, rated


def test_answered_without_the_document(only_two):
    temperatures = []

    def knows(body: dict) -> str:
        if "cannot see" not in str(body):
            return rated(9)(body)
        temperatures.append(body["temperature"])
        return json.dumps({"answerable": True, "answer": "orr, 1862"})

    run = only_two(judge__checks=["quality", "closed_book"], judge__closed_book_samples=3)
    row = outcome(run, knows)
    assert isinstance(row, Dropped)
    assert (row.reason, row.detail) == ("answered without the document", "3 of 3 times")
    assert asked(run) == {"quality": 1, "closed_book": 3}
    assert temperatures == [1.0] * 3  # at 0 they would be the same answer


def test_half_known_is_kept_with_its_share(only_two):
    guesses = iter([{"answerable": True, "answer": ANSWER}, {"answerable": False, "answer": ""}])

    def knows(body: dict) -> str:
        return json.dumps(next(guesses)) if "cannot see" in str(body) else rated(9)(body)

    row = outcome(only_two(judge__checks=["quality", "closed_book"], judge__closed_book_samples=2), knows)
    assert isinstance(row, Judgement)
    assert row.closed_book == 0.5
