"""How fast replies come, and how many are still needed: by replies alone, and nothing where nobody knows."""

import asyncio
import random

import pytest

from datagen.llm import traffic as traffics
from datagen.llm.base import Completion
from datagen.llm.traffic import Traffic


class Clock:
    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(traffics.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


def reply(traffic: Traffic, tokens: int = 10, estimated: bool = False) -> None:
    traffic.brought(Completion("k", "text", completion_tokens=tokens, estimated=estimated))


def at(asked: int, heard: int) -> traffics.Talk:
    return traffics.Talk(asked, heard)


def made(expected: int, ended: dict[int, int], *talks: traffics.Talk) -> Traffic:
    traffic = Traffic()
    traffic.begin(expected)
    traffic.ended.update(ended)
    traffic.talks.update(talks)
    return traffic


def test_a_rate_is_of_replies_and_falls_only_after_a_wait_longer_than_any_before(clock):
    traffic = Traffic()
    assert traffic.rates() == (0.0, 0.0)
    with traffic.sending():
        for _ in range(3):
            clock.now += 5
            reply(traffic)
            reply(traffic)
    assert traffic.rates() == (6 / 15, 60 / 15)
    clock.now += 4
    assert traffic.rates() == (6 / 15, 60 / 15)
    clock.now += 41
    assert traffic.rates() == (6 / 60, 60 / 60)
    assert traffic.received == 6


def test_a_rate_is_of_late(clock):
    traffic = Traffic()
    with traffic.sending():
        for seconds in (0.1, 2.0):
            for _ in range(traffics.RECENT):
                clock.now += seconds
                reply(traffic)
    assert traffic.rates() == pytest.approx((0.5, 5.0))
    assert len(traffic.recent) == traffics.RECENT


def test_tokens_that_no_server_told_have_no_rate(clock):
    traffic = Traffic()
    with traffic.sending():
        clock.now += 1
        reply(traffic)
        reply(traffic, 4096, estimated=True)
    assert traffic.rates() == (2.0, 0.0)
    assert traffic.tokens is None


def test_what_is_rejected_without_a_reply_makes_the_others_no_shorter():
    """Forty of a hundred ended at once; those that asked took three replies each."""
    traffic = made(100, {0: 40, 3: 10}, *(at(1, 0) for _ in range(50)))
    assert traffic.replies_left() == 50 * 3
    assert made(200, {0: 40, 3: 10}, *(at(1, 0) for _ in range(50))).replies_left() == 50 * 3 + 100 * 0.6 * 3


def test_the_first_that_end_are_the_short_ones_and_stand_for_no_others():
    """Five ended after the first of three checks, and nobody has come further than the second."""
    assert made(50, {1: 5}, *(at(2, 1) for _ in range(20))).replies_left() is None
    assert made(50, {0: 9}, at(1, 0)).replies_left() is None
    assert made(50, {}).replies_left() is None
    few = made(46, {1: 5, 3: 20}, at(2, 1))
    assert few.replies_left() == pytest.approx(2 + 20 * (1 + 0.8077 * 2), rel=1e-3)


def test_one_that_takes_longer_than_all_others_hides_nothing():
    traffic = made(41, {2: 20}, at(3, 2))
    assert traffic.replies_left() == pytest.approx(1 + 20 * 2, rel=0.1)


def test_no_time_is_told_before_every_slot_gave_a_reply(clock):
    traffic = made(20, {1: 7}, at(1, 0))
    traffic.most_in_flight = 8
    with traffic.sending():
        for _ in range(7):
            clock.now += 2
            reply(traffic)
        assert traffic.seconds_left() is None
        clock.now += 2
        reply(traffic)
    assert traffic.seconds_left() == pytest.approx(13 * 2)


def told(slots: int, seed: int) -> tuple[int, list[float | None]]:
    """(The replies that 120 conversations take, how many were said to be left after each.) A third ask nothing."""
    draw = random.Random(seed)
    lengths = [0 if draw.random() < 0.3 else draw.choice([1, 2, 2, 6, 6, 6]) for _ in range(120)]
    left: list[float | None] = []

    async def converse(traffic: Traffic, place: asyncio.Semaphore, n: int) -> None:
        async with place:
            with traffic.talking():
                for _ in range(n):
                    with traffic.asking(), traffic.sending():
                        await asyncio.sleep(0)
                    reply(traffic)
                    left.append(traffic.replies_left())

    async def go() -> None:
        traffic, place = Traffic(), asyncio.Semaphore(slots)
        traffic.begin(len(lengths))
        async with asyncio.TaskGroup() as group:
            for n in lengths:
                group.create_task(converse(traffic, place, n))
        assert traffic.replies_left() == 0

    asyncio.run(go())
    return sum(lengths), left


@pytest.mark.parametrize("slots", [1, 4, 32])
def test_what_is_left_is_right_on_average_and_never_far_off(slots):
    errors = []
    for seed in range(8):
        total, left = told(slots, seed)
        late = [(n + more) / total for n, more in enumerate(left, 1) if more is not None and n > total / 2]
        assert len(late) > 0.9 * total / 2
        assert min(late) > 0.7
        assert max(late) < 1.4
        errors += [guess - 1 for guess in late]
    assert abs(sum(errors) / len(errors)) < 0.05


def test_what_a_conversation_asks_at_once_is_its_own():
    """In tasks of its own as well."""
    traffic = Traffic()

    async def ask() -> None:
        with traffic.asking():
            await asyncio.sleep(0)

    async def converse() -> None:
        with traffic.talking():
            await asyncio.gather(ask(), ask(), ask())

    async def go() -> None:
        traffic.begin(2)
        await asyncio.gather(*(asyncio.create_task(converse()) for _ in range(2)))

    asyncio.run(go())
    assert traffic.ended == {3: 2}
