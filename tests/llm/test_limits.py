"""How many requests a server gets at a time, and how many a minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.llm.limits import START, ConcurrencyLimit, RateLimit


def served(concurrency: ConcurrencyLimit, answers: int, capacity: float = 1e9, latency: float = 1.0) -> float:
    """The widest the window gets at a server that answers so many a second, however many it is asked at once."""
    widest = concurrency.limit
    for _ in range(answers):
        in_flight = int(concurrency.limit)
        concurrency.answered(max(latency, in_flight / capacity), in_flight)
        widest = max(widest, concurrency.limit)
    return widest


def refused(concurrency: ConcurrencyLimit, n: int, now: float, sent_at: float) -> list[bool]:
    return [concurrency.refused(now, sent_at) for _ in range(n)]


def test_the_window_grows_to_what_is_allowed_while_answers_come_as_fast():
    assert ConcurrencyLimit(10).limit == 10
    concurrency = ConcurrencyLimit(1000)
    assert concurrency.limit == START
    served(concurrency, 1000)
    assert concurrency.limit == 1000


@pytest.mark.parametrize("slots", [70, 100, 130, 200, 255, 300, 1000])
def test_a_server_that_queues_is_used_well_and_not_flooded(slots):
    concurrency = ConcurrencyLimit(100_000)
    served(concurrency, 30_000, capacity=slots)
    assert 0.75 * slots <= concurrency.limit <= 4 * slots


def test_the_window_ends_growing_where_it_brings_nothing():
    concurrency = ConcurrencyLimit(100_000)
    widest = served(concurrency, 100_000, capacity=200)  # with more than 200 in flight, each takes longer
    assert 160 <= concurrency.limit <= 400
    assert widest <= 1000
    served(concurrency, 400_000, capacity=2000)  # the server got more slots: found out when a larger one is tried again
    assert concurrency.limit >= 1500


def test_the_window_does_not_grow_while_it_is_not_filled():
    concurrency = ConcurrencyLimit(1000)
    for _ in range(1000):
        concurrency.answered(1.0, in_flight=10)
    assert concurrency.limit == START


def test_refusals_halve_the_window_once_for_those_sent_together():
    concurrency = ConcurrencyLimit(1000)
    n = START // 10 + 1
    assert refused(concurrency, n, now=5.0, sent_at=4.0) == [False] * (n - 1) + [True]
    assert concurrency.limit == START / 2
    assert not any(refused(concurrency, START, now=6.0, sent_at=4.5))  # sent before the cut: the same congestion
    assert concurrency.limit == START / 2
    assert any(refused(concurrency, START, now=8.0, sent_at=7.0))
    assert concurrency.limit < START / 2


def test_a_few_refusals_among_many_answers_are_no_congestion():
    concurrency = ConcurrencyLimit(START)
    for i in range(100):
        served(concurrency, START)
        assert refused(concurrency, 2, now=float(i), sent_at=float(i)) == [False, False]
    assert concurrency.limit == START


def test_after_a_refusal_the_window_grows_by_one_an_epoch():
    concurrency = ConcurrencyLimit(1000)
    refused(concurrency, 10, now=1.0, sent_at=0.0)
    before = concurrency.limit
    served(concurrency, int(before) * 10)
    assert before + 5 < concurrency.limit <= before + 10.5


@given(
    st.integers(1, 2000),
    st.lists(
        st.one_of(
            st.tuples(st.just("answered"), st.floats(0, 1e4), st.integers(0, 2000)),
            st.tuples(st.just("refused"), st.floats(0, 1e4), st.floats(0, 1e4)),
        ),
        max_size=300,
    ),
    st.integers(1, 20),
)
def test_the_window_keeps_its_bounds(most, events, times):
    concurrency = ConcurrencyLimit(most)
    for name, *values in events:
        for _ in range(times):
            getattr(concurrency, name)(*values)
            assert 1 <= concurrency.limit <= most
            assert concurrency.epoch >= 1


@given(st.integers(1, 100_000), st.lists(st.floats(0, 30), min_size=1, max_size=100))
def test_a_rate_is_never_exceeded(per_minute, pauses):
    """What is spent in any time is at most what that time allows, and two seconds' worth or one request more."""
    rate, now, spent = RateLimit(per_minute), 1000.0, 0
    for pause in pauses:
        now += pause
        for _ in range(50):
            if rate.wait(now):
                break
            rate.spend(1)
            spent += 1
        assert spent <= (now - 1000.0) * per_minute / 60 + max(1.0, per_minute / 30) + 1


def test_a_rate_tells_how_long_to_wait():
    rate = RateLimit(60)
    assert rate.wait(100.0) == 0
    rate.spend(2)
    assert rate.wait(100.0) == pytest.approx(1.0)
    assert rate.wait(100.4) == pytest.approx(0.6)
    assert rate.wait(101.5) == 0
    rate.spend(-5)  # estimated too high: it comes back, but no more than two seconds' worth is kept
    assert rate.wait(102.0) == 0
    rate.spend(2)
    assert rate.wait(102.0) > 0


def test_what_is_larger_than_the_bucket_is_a_debt():
    rate = RateLimit(60)
    assert rate.wait(0.0) > 0  # nothing was saved up yet
    assert rate.wait(10.0) == 0
    rate.spend(100)
    assert rate.wait(10.0) == pytest.approx(99.0)
    assert rate.wait(109.1) == 0


def test_without_a_rate_nothing_waits():
    rate = RateLimit(None)
    rate.spend(1e9)
    assert rate.wait(0.0) == 0
