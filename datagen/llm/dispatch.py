"""Which server gets which request: queues per endpoint, stolen from by idle ones; health; what is worth sending.

Everything here runs in one event loop.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from datagen.config.llm import EndpointConfig
from datagen.llm.endpoint import address
from datagen.llm.limits import ConcurrencyLimit, RateLimit

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

    def succeeded(self, answered: bool = True) -> None:
        """The endpoint is there, and has `answered` or not yet: it is closed again."""
        self.state, self.failures, self.trips, self.ever = CLOSED, 0, 0, self.ever or answered

    def failed(self, now: float, nobody_there: bool = False) -> None:
        """Count a failure; enough of them in a row, or one while it is tried again, open the breaker.

        `nobody_there`: the connection was refused, which opens it at once.
        """
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

    place: asyncio.Future[EndpointState]
    tokens: float  # estimated, prompt and reply


@dataclass(eq=False)
class EndpointState:
    """One endpoint: what waits for it, what is in flight there, and how it fares."""

    config: EndpointConfig
    model: str  # it gets requests for this one alone
    concurrency: ConcurrencyLimit
    requests: RateLimit
    tokens: RateLimit
    breaker: Breaker = field(default_factory=Breaker)
    queue: deque[Waiting] = field(default_factory=deque)
    ahead: int = 0  # of those that wait, how many go before the others
    in_flight: int = 0
    pause: float = 0.0  # until when the server asked to be left alone
    latency: float = 0.0  # seconds, an exponential mean
    deviation: float = 0.0  # the mean distance from it
    lacks: set[str] = field(default_factory=set)  # what of the API it does not take, as it turned out
    proven: set[str] = field(default_factory=set)  # what it does take
    retired: str = ""  # why nothing is sent there any more
    empty: int = 0  # replies in a row that were no replies of the model
    unread: int = 0  # replies in a row that nobody could read
    busy: int = 0  # refusals in a row as too many requests, those that were on their way together as one
    busy_at: float = 0.0  # when the last of them was counted
    slow: Counter[str] = field(default_factory=Counter)  # attempts that timed out, or found it loading
    shunned: bool = False  # there were too many, and there are better endpoints

    @classmethod
    def to(cls, endpoint: EndpointConfig, model: str, timeout: float) -> EndpointState:
        """A new state, with the limits that the configuration sets. timeout: seconds for one attempt."""
        rates = RateLimit(endpoint.requests_per_minute), RateLimit(endpoint.tokens_per_minute)
        return cls(endpoint, model, ConcurrencyLimit(endpoint.max_concurrency, timeout), *rates)

    @property
    def name(self) -> str:
        """The endpoint's address."""
        return address(self.config)

    @property
    def works(self) -> bool:
        """Whether requests are sent there as usual."""
        return self.breaker.state == CLOSED and not self.retired and not self.shunned

    @property
    def rate(self) -> float:
        """Answers a second, as far as is known; 0 where nothing is sent."""
        return self.concurrency.limit / self.latency if self.latency and self.works else 0.0

    @property
    def longest(self) -> float:
        """Seconds that nearly every answer stays below, by TCP's estimate of round trips (Jacobson 1988)."""
        return self.latency + 2 * self.deviation

    def answered(self, seconds: float, now: float) -> None:
        """Note an answer and how long it took; the means weigh the latest by a tenth."""
        self.breaker.succeeded()
        self.empty, self.busy, self.shunned = 0, 0, self.unread >= TRIPS_AT and self.shunned
        self.concurrency.answered(seconds, self.in_flight, now)
        if self.latency:
            self.deviation += 0.1 * (abs(seconds - self.latency) - self.deviation)
            self.latency += 0.1 * (seconds - self.latency)
        else:
            self.latency, self.deviation = seconds, seconds / 2

    def refused(self, now: float, sent_at: float) -> bool:
        """Note a refusal as too many requests: whether it is taken for congestion."""
        if sent_at >= self.busy_at:
            self.busy, self.busy_at = self.busy + 1, now
        return self.concurrency.refused(now, sent_at)

    @property
    def useless(self) -> int:
        """Replies of no use, in a row."""
        return max(self.empty, self.unread, self.busy)

    @property
    def failures(self) -> int:
        """Attempts in a row that brought nothing."""
        return max(self.breaker.failures, self.useless)

    def judged(self, now: float, alone: bool = False) -> None:
        """After enough replies of no use, one at a time is asked for, after a while that doubles; not where there is no
        better endpoint (`alone`).
        """
        self.shunned = self.useless >= TRIPS_AT and not alone
        if self.shunned:
            cool_down = COOL_DOWN * 2 ** min(self.useless - TRIPS_AT, 5)
            self.pause = max(self.pause, now + min(cool_down, LONGEST_COOL_DOWN))

    def load(self) -> float:
        """Requests in flight and waiting, as a multiple of those it may have in flight."""
        return (self.in_flight + len(self.queue)) / self.concurrency.limit

    def wait(self, now: float) -> float | None:
        """Seconds until it can take a request; None: not before something else happens."""
        most = 1 if self.shunned else int(self.concurrency.limit)
        if self.retired or self.in_flight >= most:
            return None
        tried = self.breaker.wait(now)
        if tried is None:
            return None
        return max(tried, self.pause - now, self.requests.wait(now), self.tokens.wait(now))


class Dispatcher:
    """Gives out places at the endpoints. `still_to_come`: how many requests will follow those that wait, if known."""

    def __init__(self, endpoints: list[EndpointState], clock: Callable[[], float]) -> None:
        self.endpoints = endpoints
        self.clock = clock
        self.still_to_come: int | None = None
        self.stopped = False
        self._alarm: asyncio.TimerHandle | None = None

    async def acquire(
        self, model: str, group: str, tokens: float, first: bool = False, failed_at: Collection[EndpointState] = ()
    ) -> EndpointState:
        """Wait for a turn at an endpoint of this model, another than where it failed. `release` it afterwards.

        `first`: before all that do not say so, and after those that did before.
        """
        waiting = Waiting(asyncio.get_running_loop().create_future(), tokens)
        home = self._home(model, group, failed_at)
        home.queue.insert(home.ahead if first else len(home.queue), waiting)
        home.ahead += first
        self.match()
        try:
            return await waiting.place
        except asyncio.CancelledError:
            if waiting.place.done() and not waiting.place.cancelled():
                self.release(waiting.place.result())
            raise

    def release(self, endpoint: EndpointState) -> None:
        """Give back a place from `acquire`, whatever came of it."""
        endpoint.in_flight -= 1
        if endpoint.breaker.state == HALF_OPEN and not endpoint.in_flight:  # the one that tried it was cancelled
            endpoint.breaker.state = OPEN
        self.match()

    def match(self) -> None:
        """Hand out what places there are, and wake up for the next."""
        if self.stopped:
            return
        now, soonest = self.clock(), None
        for steal in (False, True):  # what is in its own queue comes first, at all of them
            for endpoint in self.endpoints:
                while endpoint.wait(now) == 0.0 and (taken := self._next_for(endpoint, steal)):
                    self._give(endpoint, taken)
        for endpoint in self.endpoints:
            if wait := endpoint.wait(now):
                soonest = wait if soonest is None else min(wait, soonest)
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if soonest is not None and any(endpoint.queue for endpoint in self.endpoints):
            self._alarm = asyncio.get_running_loop().call_later(soonest, self.match)

    def stop(self) -> None:
        """Nobody gets a place any more."""
        self.stopped = True
        for endpoint in self.endpoints:
            endpoint.queue.clear()
            endpoint.ahead = 0
        if self._alarm:
            self._alarm.cancel()

    def _of(self, model: str) -> list[EndpointState]:
        """The endpoints for requests to a model: where there is one model only, its name does not matter."""
        return [endpoint for endpoint in self.endpoints if endpoint.model == model] or self.endpoints

    def _home(self, model: str, group: str, failed_at: Collection[EndpointState]) -> EndpointState:
        """Requests of one group have one home while it works: the server has their common prefix in its cache."""
        endpoints = self._of(model)
        if group:
            home = endpoints[zlib.crc32(group.encode()) % len(endpoints)]
            if home not in failed_at and home.works:
                return home
        good = [endpoint for endpoint in endpoints if endpoint not in failed_at and endpoint.works]
        return min(good or endpoints, key=EndpointState.load)

    def _give(self, endpoint: EndpointState, waiting: Waiting) -> None:
        endpoint.in_flight += 1
        endpoint.requests.spend(1)
        endpoint.tokens.spend(waiting.tokens)
        if endpoint.breaker.state == OPEN:
            endpoint.breaker.state = HALF_OPEN
        waiting.place.set_result(endpoint)

    def _next_for(self, endpoint: EndpointState, steal: bool) -> Waiting | None:
        """The next of its own queue, else the last of the longest: what its owner would come to last."""
        if not self._worthwhile(endpoint):
            return None
        endpoints = self._of(endpoint.model)
        while endpoint.queue or (steal and any(other.queue for other in endpoints)):
            victim = endpoint if endpoint.queue else max(endpoints, key=lambda other: len(other.queue))
            waiting = victim.queue.popleft() if victim is endpoint else victim.queue.pop()
            victim.ahead = max(0, victim.ahead - 1) if victim is endpoint else min(victim.ahead, len(victim.queue))
            if not waiting.place.done():  # else it was cancelled
                return waiting
        return None

    def _worthwhile(self, endpoint: EndpointState) -> bool:
        """Whether a request sent here would be back before the others are through with everything.

        Otherwise a slow endpoint's last answers would keep the whole run waiting.
        """
        others = [other for other in self._of(endpoint.model) if other is not endpoint and other.rate]
        if self.still_to_come is None or not endpoint.latency or not others:
            return True
        remaining = self.still_to_come + sum(len(other.queue) for other in self._of(endpoint.model))
        elsewhere = remaining / sum(other.rate for other in others) + min(other.latency for other in others)
        return endpoint.longest <= max(elsewhere, 1.5 * min(other.longest for other in others))
