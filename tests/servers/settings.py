"""What a loopback server is to do, and what it saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import embeddings
from .faults import FAULTS
from .model import reply

PREFIX = 2_000  # characters that prompts must share for the cache to serve them

Body = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    reply: str | Callable[[Body], str] = reply
    model: str = "scripted"  # as /v1/models lists it; requests may name any
    answers_as: str | None = None  # the model that replies say they are of; None: the one that was asked
    elsewhere: str = ""  # where "redirect" sends requests
    latency: float = 0.0  # seconds, the mean
    spread: float = 0.0  # uniform within the mean * (1 ± spread)
    slots: int = 1_000_000  # requests answered at once
    overflow: str = "queue"  # what becomes of requests beyond the slots: "queue" or "429"
    seed: int = 0
    # A function of the payload and how often it was asked before, which names a fault or none; or kinds to draw from
    faults: Callable[[Body, int], str | None] | Sequence[str] = ()
    fault_rate: float = 0.0  # of requests, where the faults are drawn
    retry_after: float = 1.0  # seconds, in the header of a 429
    die_after: int | None = None  # answers, then nobody is there any more
    cached_prompts: int = 256
    prefix: int = PREFIX
    window: int | None = None  # tokens: of a longer prompt half as many are left, the last, as Ollama does in silence
    counts_cached: bool = True  # prompts are counted with what the cache had of them
    says: Body = field(default_factory=dict)  # more of what /v1/models says of the model
    native: dict[str, Body] = field(default_factory=dict)  # what a server's own paths, beside /v1, say
    api_key: str | None = None  # any other gets a 401
    answered_log: str | None = None  # a file: a line with the payload's hash for each answer
    has_batches: bool = True  # else 404, as on most servers
    batch_polls: int = 1  # until a batch has ended
    batch_faults: Sequence[str | None] = ()  # one a batch, in order; see `batches`
    # Of everything but chat completions: by "POST /v1/files" and how often it was asked before
    api_faults: Callable[[str, int], str | None] = lambda endpoint, nth: None
    port: int = 0

    def __post_init__(self) -> None:
        known = FAULTS | embeddings.MARRED
        if not callable(self.faults) and (unknown := set(self.faults) - known):
            raise ValueError(f"no such fault: {sorted(unknown)}; there are {sorted(known)}")


@dataclass
class Stats:
    """What the server saw. Counters are by the payload's hash, `payload_hash`."""

    requests: int = 0
    received: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)  # 200s sent to the last byte, and rows of batches
    faults: Counter[str] = field(default_factory=Counter)
    authorizations: Counter[str] = field(default_factory=Counter)
    headers: Counter[str] = field(default_factory=Counter)  # by name
    calls: Counter[str] = field(default_factory=Counter)  # by "POST /v1/files" and the like
    in_flight: int = 0  # received and not replied to
    max_in_flight: int = 0
    busy: int = 0  # slots
    max_busy: int = 0
    batches: int = 0  # created
    batch_rows: Counter[str] = field(default_factory=Counter)  # submitted, by custom_id

    @property
    def answered_twice(self) -> int:
        return sum(n - 1 for n in self.answered.values())
