"""How sure a score is: intervals of shares, and the comparison of two models on the same questions.

Intervals are percentile bootstraps (Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13): rows are
drawn again with replacement 10,000 times, and the 2.5th and 97.5th percentiles of the means are the interval. They say
how the score would vary over other questions of the same kind, not over other samples of the model. Rows that are all
right, or all wrong, give an interval without width: no resample holds what none of them shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

RESAMPLES = 10_000
FEW = 64  # different values up to which it is drawn how often each occurs, instead of each row
_AT_ONCE = 4_000_000  # rows drawn at a time

Interval = tuple[float, float]


def interval(values: Sequence[float], seed: int = 0, level: float = 0.95) -> Interval | None:
    """The bootstrap interval of the mean of some values (n,), or None of none. Deterministic under the seed."""
    if not len(values):
        return None
    rows = np.asarray(values, dtype=np.float64)
    random = np.random.default_rng(seed)
    different, counts = np.unique(rows, return_counts=True)
    n = len(rows)
    if len(different) <= FEW:
        means = random.multinomial(n, counts / n, RESAMPLES) @ different / n
    else:
        step = max(1, _AT_ONCE // n)
        sizes = [min(step, RESAMPLES - done) for done in range(0, RESAMPLES, step)]
        means = np.concatenate([rows[random.integers(0, n, (size, n))].mean(axis=1) for size in sizes])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p-value of McNemar's exact test (McNemar 1947; exact: a binomial test of the discordant pairs).

    only_first, only_second: how many questions one of the two answers rightly and the other does not. Without any such
    question, 1.
    """
    pairs = only_first + only_second
    return float(binomtest(min(only_first, only_second), pairs, 0.5).pvalue) if pairs else 1.0
