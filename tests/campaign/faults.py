"""The list of faults: what is done to a run, where, and what is expected of it. `storage`, `disks`, `service` and
`content` have the tables, and do what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.campaign import content, disks, service, storage
from tests.campaign.runs import Outcome


@dataclass(frozen=True)
class Fault:
    """`do(reference, an empty folder, *what)` does it; `expected` has the letters of the outcomes that are right."""

    kind: str
    do: Callable[..., Outcome]
    what: tuple[str, ...]
    expected: str

    @property
    def id(self) -> str:
        return "-".join((self.kind, self.do.__name__, *self.what)).replace(" ", "_").replace("/", ".")


def _listed(kind: str, do: Callable[..., Outcome], table: Iterable[tuple[str, ...]]) -> list[Fault]:
    return [Fault(kind, do, tuple(what), expected) for *what, expected in table]


FAULTS = [
    *_listed("storage", storage.damaged, storage.listed()),
    *_listed("storage", disks.starved, disks.stages()),
    *_listed("storage", disks.stopped, disks.instants()),
    *_listed("service", service.asked, service.chat()),
    *_listed("service", service.embedded, service.vectors()),
    *_listed("service", service.batched, service.batches()),
    *_listed("service", service.called, service.calls()),
    *_listed("content", content.read, content.files()),
    *_listed("content", content.shown, content.texts()),
    *_listed("content", content.replied, content.replies()),
]
