"""How many requests a server gets at a time, and how many a minute."""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.llm.limits import START, ConcurrencyLimit, RateLimit


@dataclass
class Served:
    """So many requests, asked of a server that answers `slots` at a time, `latency` seconds each, in order."""

    seconds: float = 0.0
    sent: int = 0
    widest: int = 0  # most that were in flight
    waited: list[float] = field(default_factory=list)  # seconds, of each answer


def serve(
    concurrency: ConcurrencyLimit, total: int, slots: int, latency: float = 1.0, spread: float = 0.0, seed: int = 0
) -> Served:
    """What comes of it. An attempt that times out is computed all the same, and made again."""
    draws, found = random.Random(seed), Served()
    to_send, done, now, free, in_flight = total, 0, 0.0, slots, 0
    queue: deque[int] = deque()
    sent_at: dict[int, float] = {}
    events: list[tuple[float, bool, int]] = []
    while done < total:
        while to_send and in_flight < int(concurrency.limit):
            to_send, in_flight, found.sent = to_send - 1, in_flight + 1, found.sent + 1
            sent_at[found.sent] = now
            queue.append(found.sent)
            heapq.heappush(events, (now + concurrency.timeout, False, found.sent))
            found.widest = max(found.widest, in_flight)
        while free and queue:
            free -= 1
            heapq.heappush(events, (now + latency * draws.uniform(1 - spread, 1 + spread), True, queue.popleft()))
        now, answered, request = heapq.heappop(events)
        free += answered
        if request in sent_at:
            at = sent_at.pop(request)
            if answered:
                concurrency.answered(now - at, in_flight, now)
                done += 1
                found.waited.append(now - at)
            else:
                concurrency.refused(now, at, timed_out=True)
                to_send += 1
            in_flight -= 1
    found.seconds = now
    return found


def wide(most: int = 100_000, timeout: float = 1e6) -> ConcurrencyLimit:
    """As it is once a server was seen to work on many requests at once."""
    concurrency = ConcurrencyLimit(most, timeout, limit=64, mode="double")
    concurrency.epoch = concurrency.window = 64
    return concurrency


def refused(concurrency: ConcurrencyLimit, n: int, now: float, sent_at: float) -> list[bool]:
    return [concurrency.refused(now, sent_at) for _ in range(n)]


@pytest.mark.parametrize("spread", [0.0, 0.2, 0.5])
def test_a_serial_server_is_not_flooded(spread):
    """Its time-out is that of hardly more than four answers."""
    of = [serve(ConcurrencyLimit(256, timeout=4.5), 200, slots=1, spread=spread, seed=seed) for seed in range(20)]
    assert sum(found.sent for found in of) <= 1.05 * 20 * 200
    assert max(found.sent for found in of) <= (1.25 if spread == 0.5 else 1.0) * 200
    assert sum(found.seconds for found in of) <= 1.1 * 20 * 200
    assert max(found.widest for found in of) <= 8


def test_a_serial_server_with_time_is_not_flooded_either():
    found = serve(ConcurrencyLimit(256, timeout=600.0), 300, slots=1, latency=20.0, spread=0.3)
    assert found.sent == 300
    assert found.seconds <= 1.05 * 300 * 20
    assert found.widest <= 4


@pytest.mark.parametrize("slots", [2, 4, 8, 16, 64])
@pytest.mark.parametrize("latency", [0.05, 2.0, 30.0])
def test_a_server_of_few_slots_is_kept_busy(slots, latency):
    total = 100 * slots
    found = serve(ConcurrencyLimit(256, timeout=600.0), total, slots, latency, spread=0.3)
    assert found.sent == total
    assert found.seconds <= 1.2 * total * latency / slots


def test_a_window_opens_fast_for_a_fast_server():
    found = serve(ConcurrencyLimit(256, timeout=600.0), 20_000, slots=256, latency=2.0, spread=0.5)
    assert found.seconds <= 1.06 * 20_000 * 2.0 / 256


def test_replies_of_very_different_lengths_do_not_look_like_a_serial_server_for_long():
    for seed in range(10):
        found = serve(ConcurrencyLimit(256, timeout=6000.0), 8_000, slots=64, latency=10.0, spread=0.95, seed=seed)
        assert found.seconds <= 1.35 * 8_000 * 10 / 64


@pytest.mark.parametrize("seed", range(4))
def test_a_server_that_gets_slower_is_not_flooded(seed):
    """Short replies first, then long ones: the pace of before is no measure."""
    concurrency = ConcurrencyLimit(256, timeout=120.0)
    serve(concurrency, 500, slots=4, latency=1.0, spread=0.3, seed=seed)
    found = serve(concurrency, 500, slots=4, latency=12.0, spread=0.3, seed=seed)
    assert found.sent <= 1.02 * 500
    assert found.seconds <= 1.1 * 500 * 12 / 4


def test_one_short_reply_does_not_keep_the_window_small():
    concurrency = ConcurrencyLimit(256, timeout=60.0)
    concurrency.answered(1.0, START, now=1.0)
    found = serve(concurrency, 4_000, slots=1000, latency=21.0, spread=0.15)
    assert found.seconds <= 2.5 * 4_000 * 21 / 256


def test_refusals_at_the_beginning_do_not_keep_the_window_small():
    concurrency = ConcurrencyLimit(256, timeout=600.0)
    assert any(refused(concurrency, 3, now=0.5, sent_at=0.0))
    found = serve(concurrency, 3_000, slots=1000, latency=10.0, spread=0.3)
    assert found.seconds <= 2 * 3_000 * 10 / 256


def test_too_little_to_ask_teaches_nothing():
    concurrency = ConcurrencyLimit(256, timeout=600.0)
    for i in range(100):
        concurrency.answered(1.0, in_flight=1 + i % 2, now=float(i))
    assert (concurrency.limit, concurrency.mode) == (START, "try")


def test_the_window_grows_to_what_is_allowed_while_answers_come_as_fast():
    assert ConcurrencyLimit(2).limit == 2
    concurrency = ConcurrencyLimit(1000, timeout=600.0)
    assert concurrency.limit == START
    serve(concurrency, 20_000, slots=10_000)
    assert concurrency.limit == 1000


@pytest.mark.parametrize("slots", [70, 100, 130, 200, 255, 300, 1000])
def test_a_server_that_queues_is_used_well_and_not_flooded(slots):
    found = serve(concurrency := wide(), 100 * slots, slots, spread=0.3)
    assert 0.75 * slots <= concurrency.limit <= 5 * slots
    assert found.widest <= 9 * slots


def test_a_server_that_gets_more_slots_is_asked_more():
    concurrency = wide()
    serve(concurrency, 10_000, slots=100)
    serve(concurrency, 200_000, slots=1000)
    assert concurrency.limit >= 750


def test_the_window_does_not_grow_while_it_is_not_filled():
    concurrency = wide()
    for i in range(1000):
        concurrency.answered(1.0, in_flight=10, now=float(i))
    assert concurrency.limit == 64


def test_refusals_halve_the_window_once_for_those_sent_together():
    concurrency = wide(1000)
    assert refused(concurrency, 7, now=5.0, sent_at=4.0) == [False] * 6 + [True]
    assert concurrency.limit == 32
    assert not any(refused(concurrency, 64, now=6.0, sent_at=4.5))  # sent before the cut: the same congestion
    assert concurrency.limit == 32
    assert any(refused(concurrency, 64, now=8.0, sent_at=7.0))
    assert concurrency.limit < 32


def test_a_few_refusals_among_many_answers_are_no_congestion():
    concurrency = ConcurrencyLimit(64, timeout=600.0, limit=64, mode="add")
    for i in range(100):
        for _ in range(64):
            concurrency.answered(1.0, 64, float(i))
        assert refused(concurrency, 2, now=float(i), sent_at=float(i)) == [False, False]
    assert concurrency.limit == 64


def test_after_a_refusal_the_window_grows_by_one_an_epoch():
    concurrency = wide(1000)
    refused(concurrency, 10, now=1.0, sent_at=0.0)
    before = concurrency.limit
    serve(concurrency, int(before) * 10, slots=1000)
    assert before + 5 < concurrency.limit <= before + 10.5


def test_after_time_outs_the_window_is_held():
    concurrency = wide(1000)
    assert any(concurrency.refused(10.0, 1.0, timed_out=True) for _ in range(7))
    assert (concurrency.limit, concurrency.mode) == (32, "hold")


@given(
    st.integers(1, 2000),
    st.floats(0.1, 1e4),
    st.lists(
        st.one_of(
            st.tuples(st.just("answered"), st.floats(0, 1e4), st.integers(0, 2000), st.floats(0, 1e4)),
            st.tuples(st.just("refused"), st.floats(0, 1e4), st.floats(0, 1e4), st.booleans()),
        ),
        max_size=300,
    ),
    st.integers(1, 20),
)
def test_the_window_keeps_its_bounds(most, timeout, events, times):
    concurrency = ConcurrencyLimit(most, timeout)
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
