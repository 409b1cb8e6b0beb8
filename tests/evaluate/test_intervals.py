import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.evaluate.intervals import interval, mcnemar


@given(st.lists(st.booleans(), min_size=1, max_size=200))
def test_an_interval_holds_the_mean_and_is_the_same_under_a_seed(values: list[bool]):
    found = interval(values, seed=3)
    assert found
    low, high = found
    assert 0 <= low <= np.mean(values) <= high <= 1
    assert interval(values, seed=3) == found


def test_of_nothing_there_is_no_interval():
    assert interval([]) is None


def test_an_interval_of_shares_is_that_of_the_normal_approximation():
    low, high = interval([1.0] * 300 + [0.0] * 200) or (0, 0)
    assert low == pytest.approx(0.6 - 1.96 * (0.24 / 500) ** 0.5, abs=0.004)
    assert high == pytest.approx(0.6 + 1.96 * (0.24 / 500) ** 0.5, abs=0.004)


def test_both_ways_of_drawing_agree():
    """One counts how often each value occurs, the other draws each row."""
    rounded = np.round(np.random.default_rng(0).random(400) * 32) / 32
    apart = rounded + np.arange(400) * 1e-12
    assert interval(list(rounded)) == pytest.approx(interval(list(apart)), abs=0.003)


def test_it_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(1)
    found = [interval(list(random.random(100) < 0.4), seed=i) or (0, 0) for i in range(200)]
    covered = sum(low <= 0.4 <= high for low, high in found)
    assert 178 <= covered <= 200  # 190 are expected


def test_mcnemar_by_hand():
    """Of 10 discordant pairs 2 one way: 2 (1 + 10 + 45) / 1024."""
    assert mcnemar(2, 8) == mcnemar(8, 2) == pytest.approx(112 / 1024)
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1
