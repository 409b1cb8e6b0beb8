"""When a server is left alone, and which one gets which request."""

import asyncio
import time

import pytest

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
    made = EndpointState.to(EndpointConfig(base_url="http://there/v1", max_concurrency=most, **limits), model, 600.0)
    made.concurrency.limit = most
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
        tasks += [asyncio.create_task(ask(name, first=True)) for name in ("again", "and again")]
        for _ in range(5):
            await turn()
            dispatcher.release(only)
        await asyncio.gather(*tasks)
        assert order == ["a", "again", "and again", "b", "c"]

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
