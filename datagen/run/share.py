"""Which shards of a run one of several jobs takes, where a scheduler runs the same command many times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Every `count`-th shard of a run, from the one at `index` on; by default all of them."""

    index: int = 0
    count: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether this is the run as a whole, and no job of several."""
        return self.count == 1

    @property
    def name(self) -> str:
        """What is this job's alone is called by it; empty for the whole run."""
        return "" if self.is_whole else f"{self.index}-of-{self.count}"

    def named(self, name: str) -> str:
        """The name of what each of several jobs has for itself."""
        return name if self.is_whole else f"{name}-{self.name}"

    @property
    def options(self) -> tuple[str, ...]:
        """How a command is told of it."""
        return () if self.is_whole else ("--num-shards", str(self.count), "--shard-index", str(self.index))

    def has(self, place: int) -> bool:
        """Whether the shard at this place, counted from 0, is among them."""
        return place % self.count == self.index

    def of(self, names: Sequence[str]) -> list[str]:
        """Its shards, of all of the run's in their order."""
        return list(names[self.index :: self.count])


WHOLE = Share()
