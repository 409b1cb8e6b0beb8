import pytest

from datagen.checks import quality
from datagen.config import model as configs
from datagen.errors import ConfigError
from datagen.records import Dropped
from tests.checks.cases import ALL, asked, outcome, rated


def test_what_is_rated_too_low_costs_nothing_more(only_two):
    run = only_two(judge__checks=ALL, judge__min_rating=7)
    row = outcome(run, rated(6.5))
    assert isinstance(row, Dropped)
    assert (row.status, row.reason) == ("rejected", quality.TOO_LOW)
    assert quality.rating_of(row) == 6.5
    assert asked(run) == {"quality": 1}


def test_quality_cannot_be_switched_off():
    with pytest.raises(ConfigError, match=r"judge\.checks must have quality"):
        configs.load(None, {"judge.method": "llm", "judge.checks": ["lint"]})
