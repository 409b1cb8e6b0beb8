"""How much one server is asked at a time: concurrency that finds its level by itself, and the account's rates.

Additive increase, multiplicative decrease (Chiu & Jain 1989, as in TCP), with its slow start. Departures: a server that
queues instead of refusing shows no sign but latency, so growth also ends where a larger window brings no more answers
a second; and the first few requests, sent together, tell whether the server works on them side by side. What it then
is asked at once is bounded by what it would answer in a part of the time-out at the pace seen (Little's law).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

START = 4  # requests; nothing is known of the server yet
AT_ONCE = 1.5  # times as fast as one by one: a server that does less works on one request at a time
PLATEAU = 0.25  # growth that brings less than this share of itself in throughput is none
TOLERATED = 0.1  # refusals in an epoch, as a share of the window, that are no congestion
SHORTEST_EPOCH = 8  # answers: fewer tell no pace
HELD_EPOCHS = 5, 20  # before a larger window is tried again: at first, and at most; doubles
OPENED = 64  # requests, at most, once the first answers came side by side
SHARE_OF_TIMEOUT = 0.05  # and no more than are answered in this time, at the pace seen
MINUTE = 60.0


@dataclass
class ConcurrencyLimit:
    """Requests in flight, at most. An epoch is as many answers as the window was wide when it began.

    most: it never grows beyond this. timeout: seconds after which an attempt is given up.
    """

    most: int
    timeout: float = inf
    limit: float = START
    mode: str = "try"  # at first; then "double", "check" what looks like a plateau, "hold" on one; "add" when refused
    cut_at: float = 0.0
    began: float | None = None  # when the epoch did
    window: float = 0.0  # the limit when it did
    epoch: float = 0.0
    answers: int = 0
    refusals: int = 0
    in_flight: int = 0  # summed over the answers: the window grows within an epoch
    full: bool = True  # the window limited the epoch; otherwise its pace tells nothing of a larger one
    fastest: float = inf  # seconds, of the first answers
    usual: float = inf  # seconds of an answer in the fastest epoch, which is forgotten little by little
    doubtful: bool = False  # it is held since the first answers looked as if they came one by one
    before: tuple[float, float] | None = None  # (mean in flight, answers a second) of the epoch before
    hold: int = HELD_EPOCHS[0]  # so many windows of answers are an epoch while it is held

    def __post_init__(self) -> None:
        self.limit = self.epoch = min(self.limit, self.most)

    def answered(self, seconds: float, in_flight: int, now: float) -> None:
        """Count an answer; `in_flight` requests were, with it, when it came. The window grows or is held by it."""
        if self.began is None:
            self.began = now - seconds
        self.answers += 1
        self.in_flight += in_flight
        if self.mode == "try":
            self.fastest = min(self.fastest, seconds)
            self._tried(in_flight, now)
            return
        full = in_flight >= 0.9 * self.limit - 1
        self.full &= full
        if full and not self._queues(seconds):
            most = {"double": 2 * self.window, "add": self.most}.get(self.mode, self.limit)
            more = 1.0 if self.mode == "double" else 1 / self.limit
            self.limit = min(self.most, most, self.limit + more)
        if self.answers >= self.epoch:
            self._end_epoch(now)

    def refused(self, now: float, sent_at: float, timed_out: bool = False) -> bool:
        """A 429, an overload, a time-out: whether it is taken for congestion, and the window was cut.

        Those sent before the last cut are part of the same congestion; a few among many answers are none. Refusals
        cost little: the window grows on by one an epoch. After time-outs it is held, since each one costs a reply.
        """
        if sent_at < self.cut_at:
            return False
        self.refusals += 1
        if self.refusals <= min(max(2, TOLERATED * self.limit), self.limit / 2):
            return False
        early = self.mode == "try" and not timed_out  # nothing is known of a level yet: it is looked for from here
        self.limit, self.cut_at = max(1.0, self.limit / 2), now
        self.mode, self.before = "double" if early else "hold" if timed_out else "add", None
        self._begin_epoch(now)
        return True

    def _tried(self, in_flight: int, now: float) -> None:
        """An answer to the first requests: few others are sent before they are back, since a server that works on one
        at a time would have those wait longest.
        """
        self.full &= in_flight >= self.limit
        if not self.full:  # there was not enough to ask: nothing is learned
            self.limit = self.epoch
            self._begin_epoch(now)
            self.epoch, self.began = self.limit, None
        elif self.answers < self.epoch:
            self.limit = max(min(2.0, self.epoch), self.limit - 1)
        else:
            pace = self.answers / max(now - (self.began or 0.0), 1e-9)
            if pace * self.fastest < AT_ONCE:
                self.limit, self.mode, self.doubtful = 1.0, "hold", True
            else:
                self.limit = min(self.most, max(self.epoch, min(OPENED, pace * SHARE_OF_TIMEOUT * self.timeout)))
                self.mode = "double"
            self.before = self.epoch, pace
            self._begin_epoch(now)

    def _queues(self, seconds: float) -> bool:
        """Whether an answer took so long that it waited at the server, and a larger window might end in time-outs."""
        return seconds > 2 * self.latency_before or seconds > max(self.timeout / 4, 1.25 * self.usual)

    @property
    def latency_before(self) -> float:
        """Seconds of an answer in the epoch before, by Little's law."""
        return self.before[0] / max(self.before[1], 1e-9) if self.before else inf

    def _end_epoch(self, now: float) -> None:
        found = self.in_flight / self.answers, self.answers / max(now - (self.began or 0.0), 1e-9)
        self.usual = min(1.5 * self.usual, found[0] / found[1])
        if self.mode == "hold":
            self.hold = min(2 * self.hold, HELD_EPOCHS[1])
            self.mode = "double"
            if self.doubtful and self.full and self.before and self.before[1] > 2 * found[1]:
                self.limit = self.before[0]  # they did come side by side
            else:
                self.before = found
            self.doubtful = False
        elif self.mode in ("double", "check") and self.full:
            if not self.before or not _is_plateau(self.before, found):
                self.mode, self.before = "double", found
            elif self.mode == "double":  # the last to be sent may not be back: once more, without growing
                self.mode = "check"
            else:
                self.limit, self.mode = min(self.most, max(1.0, self.before[0])), "hold"
        self._begin_epoch(now)

    def _begin_epoch(self, now: float) -> None:
        self.began, self.window = now, self.limit
        self.epoch = self.hold * self.limit if self.mode == "hold" else max(self.limit, SHORTEST_EPOCH)
        self.answers, self.refusals, self.in_flight, self.full = 0, 0, 0, True


def _is_plateau(before: tuple[float, float], now: tuple[float, float]) -> bool:
    """Of (mean in flight, answers a second)."""
    growth = now[0] / max(before[0], 1.0) - 1
    return growth > 0.1 and now[1] / max(before[1], 1e-9) - 1 < PLATEAU * growth


@dataclass
class RateLimit:
    """A limit per minute as a token bucket that holds a few seconds' worth, so that nothing comes in a burst."""

    per_minute: int | None
    level: float = 0.0  # what may be spent; below zero, a debt
    at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until something may be spent."""
        if self.per_minute is None:
            return 0.0
        per_second = self.per_minute / MINUTE
        self.level = min(self.level + (now - self.at) * per_second, max(1.0, 2 * per_second))
        self.at = now
        return max(0.0, (1.0 - self.level) / per_second) if self.level < 1 else 0.0

    def spend(self, amount: float) -> None:
        """Negative: what was estimated too high comes back."""
        if self.per_minute is not None:
            self.level -= amount
