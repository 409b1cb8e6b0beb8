import pytest

from datagen.records import Dropped
from tests.checks.cases import candidate, outcome, rated


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ref_chunks": [0, 1]}, "evidence does not suffice"),
        ({"answer": "Orr; 1863"}, "another answer follows"),
    ],
)
def test_evidence_that_does_not_give_the_answer(only_two, given, reason):
    row = outcome(only_two(candidate(**given), judge__checks=["quality", "sufficiency"]), rated(9))
    assert isinstance(row, Dropped)
    assert (row.status, row.reason) == ("rejected", reason)
