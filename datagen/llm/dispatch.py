"""Which server gets which request: queues per endpoint, stolen from by idle ones; health; what is worth sending.

Everything here runs in one event loop.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from datagen.config.llm import EndpointConfig
from datagen.llm.endpoint import address
from datagen.llm.limits import Rate, Window

TRIPS_AT = 8  # failures in a row open an endpoint's breaker
COOL_DOWN, LONGEST_COOL_DOWN = 1.0, 30.0  # seconds until one request tries it again; doubles
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"


@dataclass
class Breaker:
    """Keeps requests from an endpoint that fails all of them, and lets one through now and then."""

    state: str = CLOSED
    failures: int = 0  # in a row
    trips: int = 0
    until: float = 0.0
    ever: bool = False  # it has answered once

    def succeeded(self) -> None:
        self.state, self.failures, self.trips, self.ever = CLOSED, 0, 0, True

    def failed(self, now: float, nobody_there: bool = False) -> None:
        self.failures += TRIPS_AT if nobody_there else 1
        if self.state == HALF_OPEN or (self.state == CLOSED and self.failures >= TRIPS_AT):
            cool_down = min(COOL_DOWN * 2**self.trips, LONGEST_COOL_DOWN)
            self.until = now + cool_down * random.uniform(0.75, 1.25)
            self.state, self.trips = OPEN, self.trips + 1

    def wait(self, now: float) -> float | None:
        """Seconds until a request may go through; None while another is trying it."""
        if self.state == HALF_OPEN:
            return None
        return max(0.0, self.until - now) if self.state == OPEN else 0.0


@dataclass
class Waiting:
    """A request that waits for its turn."""

    place: asyncio.Future[Lane]
    tokens: float  # estimated, prompt and reply


@dataclass(eq=False)
class Lane:
    """One endpoint: what waits for it, what is in flight there, and how it fares."""

    endpoint: EndpointConfig
    model: str  # it gets requests for this one alone
    window: Window
    requests: Rate
    tokens: Rate
    breaker: Breaker = field(default_factory=Breaker)
    queue: deque[Waiting] = field(default_factory=deque)
    in_flight: int = 0
    pause: float = 0.0  # until when the server asked to be left alone
    latency: float = 0.0  # seconds, an exponential mean
    deviation: float = 0.0  # the mean distance from it
    lacks: set[str] = field(default_factory=set)  # what of the API it does not take, as it turned out
    proven: set[str] = field(default_factory=set)  # what it does take
    retired: str = ""  # why nothing is sent there any more

    @classmethod
    def to(cls, endpoint: EndpointConfig, model: str) -> Lane:
        rates = Rate(endpoint.requests_per_minute), Rate(endpoint.tokens_per_minute)
        return cls(endpoint, model, Window(endpoint.max_concurrency), *rates)

    @property
    def name(self) -> str:
        return address(self.endpoint)

    @property
    def works(self) -> bool:
        return self.breaker.state == CLOSED and not self.retired

    @property
    def rate(self) -> float:
        """Answers a second, as far as is known; 0 where nothing is sent."""
        return self.window.limit / self.latency if self.latency and self.works else 0.0

    @property
    def longest(self) -> float:
        """Seconds that nearly every answer stays below, by TCP's estimate of round trips (Jacobson 1988)."""
        return self.latency + 2 * self.deviation

    def answered(self, seconds: float) -> None:
        self.breaker.succeeded()
        self.window.answered(seconds, self.in_flight)
        if self.latency:
            self.deviation += 0.1 * (abs(seconds - self.latency) - self.deviation)
            self.latency += 0.1 * (seconds - self.latency)
        else:
            self.latency, self.deviation = seconds, seconds / 2

    def load(self) -> float:
        return (self.in_flight + len(self.queue)) / self.window.limit

    def wait(self, now: float) -> float | None:
        """Seconds until it can take a request; None: not before something else happens."""
        if self.retired or self.in_flight >= int(self.window.limit):
            return None
        tried = self.breaker.wait(now)
        if tried is None:
            return None
        return max(tried, self.pause - now, self.requests.wait(now), self.tokens.wait(now))


class Dispatcher:
    """Gives out places at the lanes. `still_to_come`: how many requests will follow those that wait, if known."""

    def __init__(self, lanes: list[Lane], clock: Callable[[], float]) -> None:
        self.lanes = lanes
        self.clock = clock
        self.still_to_come: int | None = None
        self.stopped = False
        self._alarm: asyncio.TimerHandle | None = None

    async def place(
        self, model: str, group: str, tokens: float, first: bool = False, failed_at: Collection[Lane] = ()
    ) -> Lane:
        """Wait for a turn at a lane of this model, another than where it failed. Whoever gets it must `leave` it."""
        waiting = Waiting(asyncio.get_running_loop().create_future(), tokens)
        home = self._home(model, group, failed_at)
        (home.queue.appendleft if first else home.queue.append)(waiting)
        self.match()
        try:
            return await waiting.place
        except asyncio.CancelledError:
            if waiting.place.done() and not waiting.place.cancelled():
                self.leave(waiting.place.result())
            raise

    def leave(self, lane: Lane) -> None:
        lane.in_flight -= 1
        if lane.breaker.state == HALF_OPEN and not lane.in_flight:  # the one that tried it was cancelled
            lane.breaker.state = OPEN
        self.match()

    def match(self) -> None:
        """Hand out what places there are, and wake up for the next."""
        if self.stopped:
            return
        now, soonest = self.clock(), None
        for steal in (False, True):  # what is in its own queue comes first, at all of them
            for lane in self.lanes:
                while lane.wait(now) == 0.0 and (taken := self._next_for(lane, steal)):
                    self._give(lane, taken)
        for lane in self.lanes:
            if wait := lane.wait(now):
                soonest = wait if soonest is None else min(wait, soonest)
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if soonest is not None and any(lane.queue for lane in self.lanes):
            self._alarm = asyncio.get_running_loop().call_later(soonest, self.match)

    def stop(self) -> None:
        """Nobody gets a place any more."""
        self.stopped = True
        if self._alarm:
            self._alarm.cancel()

    def _of(self, model: str) -> list[Lane]:
        """The lanes for requests to a model: where there is one model only, its name does not matter."""
        return [lane for lane in self.lanes if lane.model == model] or self.lanes

    def _home(self, model: str, group: str, failed_at: Collection[Lane]) -> Lane:
        """Requests of one group have one home while it works: the server has their common prefix in its cache."""
        lanes = self._of(model)
        if group:
            home = lanes[zlib.crc32(group.encode()) % len(lanes)]
            if home not in failed_at and home.works:
                return home
        good = [lane for lane in lanes if lane not in failed_at and lane.works]
        return min(good or lanes, key=Lane.load)

    def _give(self, lane: Lane, waiting: Waiting) -> None:
        lane.in_flight += 1
        lane.requests.spend(1)
        lane.tokens.spend(waiting.tokens)
        if lane.breaker.state == OPEN:
            lane.breaker.state = HALF_OPEN
        waiting.place.set_result(lane)

    def _next_for(self, lane: Lane, steal: bool) -> Waiting | None:
        """The next of its own queue, else the last of the longest: what its owner would come to last."""
        if not self._worthwhile(lane):
            return None
        lanes = self._of(lane.model)
        while lane.queue or (steal and any(other.queue for other in lanes)):
            victim = lane if lane.queue else max(lanes, key=lambda other: len(other.queue))
            waiting = victim.queue.popleft() if victim is lane else victim.queue.pop()
            if not waiting.place.done():  # else it was cancelled
                return waiting
        return None

    def _worthwhile(self, lane: Lane) -> bool:
        """Whether a request sent here would be back before the others are through with everything.

        Otherwise a slow endpoint's last answers would keep the whole run waiting.
        """
        others = [other for other in self._of(lane.model) if other is not lane and other.rate]
        if self.still_to_come is None or not lane.latency or not others:
            return True
        remaining = self.still_to_come + sum(len(other.queue) for other in self._of(lane.model))
        elsewhere = remaining / sum(other.rate for other in others) + min(other.latency for other in others)
        return lane.longest <= max(elsewhere, 1.5 * min(other.longest for other in others))
