"""How much one server is asked at a time: concurrency that finds its level by itself, and the account's rates.

Additive increase, multiplicative decrease (Chiu & Jain 1989, as in TCP), with its slow start. Departure: a server that
queues instead of refusing shows no sign but latency, so growth also ends where a larger window brings no more answers
a second (Little's law: throughput = window / latency).
"""

from __future__ import annotations

from dataclasses import dataclass

START = 64
PLATEAU = 0.25  # growth that brings less than this share of itself in throughput is none
TOLERATED = 0.1  # refusals in an epoch, as a share of the window, that are no congestion
HELD_EPOCHS = 20  # before a larger window is tried again
MINUTE = 60.0


@dataclass
class ConcurrencyLimit:
    """Requests in flight, at most. An epoch is as many answers as the window was wide when it began."""

    most: int
    limit: float = START
    mode: str = "double"  # or "add", after a refusal; or "hold", on a plateau
    cut_at: float = 0.0
    epoch: float = 0.0
    answers: int = 0
    refusals: int = 0
    seconds: float = 0.0
    in_flight: int = 0  # summed over the answers, as the seconds are: the window grows within an epoch
    full: bool = True  # the window limited the epoch; otherwise its latency tells nothing of a larger one
    before: tuple[float, float] | None = None  # (mean in flight, throughput) of the epoch before
    held: int = 0

    def __post_init__(self) -> None:
        self.limit = min(self.limit, self.most)
        self._begin_epoch()

    def answered(self, seconds: float, in_flight: int) -> None:
        """Count an answer; `in_flight` requests were, with it, when it came. The window grows or is held by it."""
        self.answers += 1
        self.seconds += seconds
        self.in_flight += in_flight
        full = in_flight >= 0.9 * self.limit - 1
        self.full &= full
        if full and self.mode != "hold":
            self.limit = min(self.most, self.limit + (1.0 if self.mode == "double" else 1 / self.limit))
        if self.answers >= self.epoch:
            self._end_epoch()

    def refused(self, now: float, sent_at: float) -> bool:
        """A 429, an overload, a time-out: whether it is taken for congestion, and the window was cut.

        Those sent before the last cut are part of the same congestion; a few among many answers are none.
        """
        if sent_at < self.cut_at:
            return False
        self.refusals += 1
        if self.refusals <= max(2, TOLERATED * self.limit):
            return False
        self.limit, self.mode, self.cut_at = max(1.0, self.limit / 2), "add", now
        self._begin_epoch()
        return True

    def _end_epoch(self) -> None:
        found = self.in_flight / self.answers, self.in_flight / max(self.seconds, 1e-9)
        if self.mode == "hold":
            self.held += 1
            if self.held >= HELD_EPOCHS:
                self.mode, self.before = "double", found
        elif self.mode == "double" and self.full:
            if self.before and _is_plateau(self.before, found):
                self.limit, self.mode, self.held = min(self.most, max(1.0, self.before[0])), "hold", 0
            else:
                self.before = found
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.epoch, self.answers, self.refusals, self.seconds, self.in_flight = self.limit, 0, 0, 0.0, 0
        self.full = True


def _is_plateau(before: tuple[float, float], now: tuple[float, float]) -> bool:
    """Of (mean in flight, throughput)."""
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
