"""How much a server is asked at a time, when it is left alone, and which one gets which request."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.config.llm import EndpointConfig
from datagen.llm.dispatch import (
    CLOSED,
    COOL_DOWN,
    HALF_OPEN,
    LONGEST_COOL_DOWN,
    OPEN,
    TRIPS_AT,
    Breaker,
    Dispatcher,
    EndpointState,
)
from datagen.llm.limits import START, ConcurrencyLimit, RateLimit

# The window -----------------------------------------------------------------------------------------------------------


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


# Rates ----------------------------------------------------------------------------------------------------------------


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


# The breaker ----------------------------------------------------------------------------------------------------------


def tripped(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(TRIPS_AT):
        breaker.failed(now)
    return breaker


def test_failures_in_a_row_open_the_breaker():
    breaker = Breaker()
    for _ in range(5):
        for _ in range(TRIPS_AT - 1):
            breaker.failed(0.0)
        assert (breaker.state, breaker.wait(0.0)) == (CLOSED, 0.0)
        breaker.succeeded()
    breaker = tripped(100.0)
    assert breaker.state == OPEN
    assert not breaker.ever
    assert 0.75 * COOL_DOWN <= (breaker.wait(100.0) or 0) <= 1.25 * COOL_DOWN
    assert breaker.wait(100.0 + 2 * COOL_DOWN) == 0.0


def test_a_breaker_is_tried_less_and_less_often():
    breaker, now, waits = tripped(), 0.0, []
    for _ in range(12):
        waits.append(breaker.wait(now))
        now = breaker.until
        breaker.state = HALF_OPEN
        assert breaker.wait(now) is None  # one request is enough
        breaker.failed(now)
        assert breaker.state == OPEN
    assert all(0.75 * COOL_DOWN * 2**i <= wait <= 1.25 * COOL_DOWN * 2**i for i, wait in enumerate(waits[:5]))
    assert max(waits) <= 1.25 * LONGEST_COOL_DOWN
    breaker.succeeded()
    assert (breaker.state, breaker.wait(now), breaker.ever) == (CLOSED, 0.0, True)
    for _ in range(TRIPS_AT):
        breaker.failed(now)
    assert (breaker.wait(now) or 0) <= 1.25 * COOL_DOWN  # from the beginning


# Endpoints ------------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def endpoint(most: int = 4, latency: float = 0.0, model: str = "m", **limits) -> EndpointState:
    made = EndpointState.to(EndpointConfig(base_url="http://there/v1", max_concurrency=most, **limits), model)
    made.latency = latency
    return made


async def places(
    dispatcher: Dispatcher, n: int, group: str = "", model: str = "m", **how
) -> list[asyncio.Task[EndpointState]]:
    """Requests that ask for a place; those that get one at once are done."""
    tasks = [asyncio.create_task(dispatcher.acquire(model, group, 10, **how)) for _ in range(n)]
    await turn()
    return tasks


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def got(tasks: list[asyncio.Task[EndpointState]]) -> list[EndpointState]:
    return [task.result() for task in tasks if task.done() and not task.cancelled()]


def test_places_are_given_as_long_as_there_are_any():
    async def run() -> None:
        one, other = endpoint(2), endpoint(3)
        dispatcher = Dispatcher([one, other], Clock())
        tasks = await places(dispatcher, 8)
        assert (one.in_flight, other.in_flight, len(got(tasks))) == (2, 3, 5)
        dispatcher.release(one)
        await turn()
        assert (one.in_flight, len(got(tasks))) == (2, 6)
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def test_a_request_goes_where_its_model_is():
    async def run() -> None:
        judge, policy, idle = endpoint(2), endpoint(1, model="policy"), endpoint(9, model="policy")
        dispatcher = Dispatcher([judge, policy, idle], Clock())
        tasks = await places(dispatcher, 6)
        assert (judge.in_flight, policy.in_flight, idle.in_flight) == (
            2,
            0,
            0,
        )  # idle ones steal nothing
        tasks += await places(dispatcher, 3, "group", model="policy")
        assert (judge.in_flight, policy.in_flight + idle.in_flight) == (2, 3)
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def test_a_group_stays_where_it_is_while_there_is_room():
    async def run() -> None:
        endpoints = [endpoint(8), endpoint(8), endpoint(8)]
        dispatcher = Dispatcher(endpoints, Clock())
        homes = []
        for i in range(9):
            found = got(await places(dispatcher, 2, f"theme {i}"))
            assert found[0] is found[1]
            homes.append(endpoints.index(found[0]))
            for there in found:
                dispatcher.release(there)
        assert set(homes) == {0, 1, 2}
        home = homes[0]
        found = got(await places(dispatcher, 20, "theme 0"))
        assert found[:8] == [endpoints[home]] * 8  # then the others help
        assert [x.in_flight for x in endpoints] != [0, 0, 0]
        assert len(found) == 20

    asyncio.run(run())


def test_another_place_than_where_it_failed():
    async def run() -> None:
        one, other = endpoint(), endpoint()
        dispatcher = Dispatcher([one, other], Clock())
        for group in ("", "theme 0", "theme 1", "theme 2", "theme 3"):
            for failed, expected in ((one, other), (other, one)):
                assert got(await places(dispatcher, 1, group, failed_at={failed})) == [expected]
                dispatcher.release(expected)
        other.retired = "no quota left"
        for group in ("theme 0", "theme 1", "theme 2", "theme 3"):
            assert got(await places(dispatcher, 1, group)) == [one]
            dispatcher.release(one)
        (only,) = got(await places(dispatcher, 1, failed_at={one, other}))
        assert only is one

    asyncio.run(run())


def test_a_retry_comes_before_what_still_waits():
    async def run() -> None:
        only = endpoint(1)
        dispatcher = Dispatcher([only], Clock())
        order: list[str] = []

        async def ask(name: str, first: bool = False) -> None:
            await dispatcher.acquire("m", "", 1, first)
            order.append(name)

        tasks = [asyncio.create_task(ask(name)) for name in ("a", "b", "c")]
        await turn()
        tasks.append(asyncio.create_task(ask("again", first=True)))
        for _ in range(4):
            await turn()
            dispatcher.release(only)
        await asyncio.gather(*tasks)
        assert order == ["a", "again", "b", "c"]

    asyncio.run(run())


def test_one_request_tries_an_endpoint_that_failed():
    async def run() -> None:
        clock, only = Clock(), endpoint(4)
        only.breaker = tripped(clock.now)
        dispatcher = Dispatcher([only], clock)
        tasks = await places(dispatcher, 4)
        assert got(tasks) == []
        clock.now = only.breaker.until
        dispatcher.match()
        await turn()
        assert (len(got(tasks)), only.breaker.state) == (1, HALF_OPEN)
        dispatcher.match()
        await turn()
        assert len(got(tasks)) == 1
        only.breaker.failed(clock.now)
        dispatcher.release(only)
        await turn()
        assert (len(got(tasks)), only.breaker.state) == (1, OPEN)
        clock.now = only.breaker.until
        dispatcher.match()
        await turn()
        only.breaker.succeeded()
        dispatcher.release(only)
        await turn()
        assert (len(got(tasks)), only.breaker.state) == (4, CLOSED)
        dispatcher.stop()

    asyncio.run(run())


def test_a_trial_that_is_cancelled_is_none():
    async def run() -> None:
        clock, only = Clock(), endpoint(4)
        only.breaker = tripped(clock.now)
        dispatcher = Dispatcher([only], clock)
        (first,) = await places(dispatcher, 1)
        clock.now = only.breaker.until
        dispatcher.match()
        assert only.breaker.state == HALF_OPEN
        first.cancel()  # it has its place, but does not know yet
        await turn()
        assert (only.in_flight, only.breaker.state) == (0, OPEN)
        assert len(got(await places(dispatcher, 1))) == 1

    asyncio.run(run())


def test_who_gives_up_leaves_no_place_behind():
    async def run() -> None:
        only = endpoint(2)
        dispatcher = Dispatcher([only], Clock())
        tasks = await places(dispatcher, 5)
        for task in tasks[2:4]:
            task.cancel()
        await turn()
        dispatcher.release(only)
        await turn()
        assert [task.cancelled() for task in tasks] == [False, False, True, True, False]
        assert (only.in_flight, len(got(tasks))) == (2, 3)

    asyncio.run(run())


def test_rates_and_pauses_hold_requests_back():
    async def run() -> None:
        clock = Clock()
        limited = endpoint(100, requests_per_minute=60)
        dispatcher = Dispatcher([limited], clock)
        tasks = await places(dispatcher, 10)
        assert len(got(tasks)) == 2
        clock.now += 1
        dispatcher.match()
        await turn()
        assert len(got(tasks)) == 3
        limited.pause = clock.now + 60
        clock.now += 59
        dispatcher.match()
        await turn()
        assert len(got(tasks)) == 3
        clock.now += 1
        dispatcher.match()
        await turn()
        assert len(got(tasks)) == 5
        dispatcher.stop()
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def test_it_wakes_up_by_itself():
    async def run() -> int:
        limited = endpoint(1000, requests_per_minute=60_000)
        limited.concurrency.limit = 1000
        dispatcher = Dispatcher([limited], lambda: time.monotonic() - started)
        await asyncio.gather(*(dispatcher.acquire("m", "", 1) for _ in range(300)))
        return limited.in_flight

    started = time.monotonic()  # nothing is saved up
    assert asyncio.run(run()) == 300


# The last requests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("still_to_come", "worthwhile"),
    [(None, True), (100_000, True), (0, False)],
)
def test_a_slow_endpoint_gets_none_of_the_last(still_to_come, worthwhile):
    """The fast one would be through with everything before one answer of the slow one is there."""

    async def run() -> None:
        slow, fast = endpoint(4, latency=60.0), endpoint(4, latency=1.0)
        dispatcher = Dispatcher([slow, fast], Clock())
        dispatcher.still_to_come = still_to_come
        tasks = await places(dispatcher, 8)
        assert slow.in_flight == (4 if worthwhile else 0)
        assert fast.in_flight == 4
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def test_a_slow_endpoint_is_used_where_no_other_works():
    async def run() -> None:
        for trouble in ("retired", "failing", "unknown"):
            slow, fast = endpoint(4, latency=60.0), endpoint(4, latency=1.0)
            if trouble == "retired":
                fast.retired = "no quota left"
            elif trouble == "failing":
                fast.breaker = tripped(1000.0)
            else:
                fast.latency = 0.0
            dispatcher = Dispatcher([slow, fast], Clock())
            dispatcher.still_to_come = 0
            tasks = await places(dispatcher, 8)
            assert slow.in_flight == 4
            for task in tasks:
                task.cancel()
            dispatcher.stop()

    asyncio.run(run())


def test_a_little_slower_is_not_slow():
    async def run() -> None:
        slower, fast = endpoint(4, latency=1.4), endpoint(4, latency=1.0)
        dispatcher = Dispatcher([slower, fast], Clock())
        dispatcher.still_to_come = 0
        await places(dispatcher, 8)
        assert slower.in_flight == 4

    asyncio.run(run())
