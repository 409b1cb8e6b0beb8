"""What servers do to runs: every fault of the loopback server, at the first request, at each once, or for ever, where
there is one server or two, for chat completions, batches and vectors.

A cell of the tables has the outcomes that are right:

    o  overcome: the run ends as if nothing had been
    f  some rows failed: exit 3, they are counted; a plain rerun with a sound server ends at the same bytes
    e  the run ends with exit 1 and a sentence; a plain rerun with a sound server ends at the same bytes
    r  refused as a wrong setting is, exit 2; the settings put right, the run ends at the same bytes
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from datagen.llm import pool
from datagen.llm.batch import BatchBackend
from tests.campaign import runs
from tests.campaign.runs import Outcome, Reference
from tests.servers.openai_server import Server, payload_hash, serve
from tests.servers.settings import Settings

# fault                   at the first, at each once, for ever; for ever at one of two
# What is refused or cut short is asked again with that told, so that "each once" is every request; and servers of which
# one does so are two models.
CHAT = """
400                       f    fe   e    fe
401                       e    e    e    oe
404 model                 e    e    e    oe
408                       o    o    e    o
425                       o    o    e    o
429                       o    o    e    o
429 date                  o    o    e    o
429 bare                  o    o    e    o
500                       o    o    e    o
502 html body             o    o    e    o
503                       o    o    e    o
503 loading               o    o    e    o
200 error                 o    o    e    o
200 context               f    fe   e    fe
quota                     e    e    e    oe
context                   f    fe   e    fe
context vllm              f    fe   e    fe
no room                   f    fe   e    fe
schema unsupported        oe   oe   oe   oe
max_tokens unsupported    o    o    o    o
reset                     o    o    e    o
cut                       o    o    e    o
hang                      o    o    e    o
garbage                   o    o    e    o
redirect                  fe   fe   e    fe
drip                      o    o    e    o
endless                   o    o    e    o
bomb                      o    o    e    o
empty choices             o    o    e    o
null content              o    o    e    o
only reasoning            o    o    e    o
tool calls                o    o    e    o
late error                o    o    e    o
filtered                  o    o    e    o
abort                     o    o    e    o
refusal                   o    e    e    -
length                    o    e    e    -
reasoning_content         o    o    o    o
reasoning                 o    o    o    o
think                     o    o    o    o
no usage                  o    o    o    o
odd usage                 o    o    o    o
"""
# A server whose vectors are all wider is another encoder, and no fault.
VECTORS = """
400                       e    e    e    e
401                       r    r    r    r
404 model                 r    r    r    r
408                       o    o    e    o
429                       o    o    e    o
429 bare                  o    o    e    o
500                       o    o    e    o
502 html body             o    o    e    o
503                       o    o    e    o
503 loading               o    o    e    o
quota                     r    r    r    r
context                   e    e    e    e
base64 unsupported        o    o    o    o
reset                     o    o    e    o
cut                       o    o    e    o
garbage                   o    o    e    o
redirect                  e    e    e    e
bomb                      o    o    e    o
fewer vectors             e    e    e    e
more vectors              e    e    e    e
shuffled                  o    o    o    o
wrong index               e    e    e    e
wider                     e    -    -    e
ragged                    e    e    e    e
odd base64                o    o    e    o
"""
ENDLESS = ("hang", "drip")  # until the time is out
WHEN = ("first", "each once", "for ever", "of two")
# What becomes of a batch: the first of them, and of the rows in it
BATCHES = {"expire": "o", "cancel": "o", "forget": "o", "partial errors": "f"}
BATCHES |= {"fail validation": "o", "lost reply": "o"}
# A call of the batch API, at the first time and for ever
CALLS = ("POST /v1/files", "POST /v1/batches", "GET /v1/batches", "GET /v1/batches/{id}", "GET /v1/files/{id}/content")
CALL_FAULTS: dict[str, Sequence[str]] = {"503": "oe", "429 bare": "oe", "reset": "oe", "401": "ee", "500": "oe"}
CALL_FAULTS["garbage"] = ("o", "ef")  # of results: it depends on how many are asked for again before it is enough


def chat() -> Iterator[tuple[str, ...]]:
    """(fault, when, what is expected)"""
    return _listed(CHAT)


def vectors() -> Iterator[tuple[str, ...]]:
    """(fault, when, what is expected)"""
    return _listed(VECTORS)


def batches() -> Iterator[tuple[str, ...]]:
    """(fault, what is expected)"""
    yield from BATCHES.items()


def calls() -> Iterator[tuple[str, ...]]:
    """(call, fault, when, what is expected)"""
    for call in CALLS:
        for fault, cells in CALL_FAULTS.items():
            yield from ((call, fault, when, cell) for when, cell in zip(("first", "for ever"), cells, strict=True))


def _listed(table: str) -> Iterator[tuple[str, ...]]:
    for line in table.strip().splitlines():
        fault, cells = line[:26].strip(), line[26:].split()
        yield from ((fault, when, cell) for when, cell in zip(WHEN, cells, strict=True) if cell != "-")


class Faulty:
    """Names the fault of a request. `given` has the payloads that had one, as often."""

    def __init__(self, fault: str, when: str) -> None:
        self.fault, self.when = fault, when
        self.first = ""
        self.given: list[str] = []

    def __call__(self, body: dict[str, Any], asked: int) -> str | None:
        key = payload_hash(body)
        self.first = self.first or key
        if not {"first": key == self.first and not asked, "each once": not asked}.get(self.when, True):
            return None
        self.given.append(key)
        return self.fault


def asked(reference: Reference, place: Path, fault: str, when: str) -> Outcome:
    """Ask for the questions of a run, and have them judged, by servers of which one has the fault."""
    faulty = Faulty(fault, when)
    with serve(_with(faulty, reference)) as bad:
        urls = [bad.url, *[reference.server.url] * (when == "of two")]
        run = runs.upto(reference, place / "run", "generate")
        limit: dict[str, Any] = {"timeout": 1} if fault in ENDLESS else {}
        if fault in ("endless", "429 date"):  # a busy machine takes a while to read what is too long; dates are whole
            limit = {"patience": 2 if when == "for ever" else 60}
        settings = runs.settings(place / "s.yaml", *urls, encoder=reference.encoder.url, engine=limit)
        return _recovered(reference, run, "run", settings, bad, faulty)


def embedded(reference: Reference, place: Path, fault: str, when: str) -> Outcome:
    """Have the chunks of a run embedded, and cluster them."""
    faulty = Faulty(fault, when)
    with serve(_with(faulty, reference)) as bad:
        encoders = (bad.url, *[reference.encoder.url] * (when == "of two"))
        run = runs.upto(reference, place / "run", "embed")
        settings = runs.settings(place / "s.yaml", reference.server.url, encoder=encoders)
        usual, pool.PATIENCE = pool.PATIENCE, 10.0  # nobody waits for ten minutes here
        try:
            return _recovered(reference, run, "cluster", settings, None, faulty)
        finally:
            pool.PATIENCE = usual


def batched(reference: Reference, place: Path, fault: str) -> Outcome:
    """Ask for the questions of a run by the batch API, with what may become of a batch."""
    return _batched(reference, place, Settings(reply=runs.reply, batch_faults=(fault,)))


def called(reference: Reference, place: Path, call: str, fault: str, when: str) -> Outcome:
    """Ask for the questions of a run by the batch API, one call of which fails."""

    def fails(name: str, nth: int) -> str | None:
        return fault if name == call and (when == "for ever" or not nth) else None

    return _batched(reference, place, Settings(reply=runs.reply, api_faults=fails))


def _batched(reference: Reference, place: Path, faults: Settings) -> Outcome:
    run = runs.upto(reference, place / "run", "generate")
    pace: Any = BatchBackend.__init__.__kwdefaults__  # nobody waits for a minute between two looks here
    usual = dict(pace)
    pace |= {"polls": (0.01, 0.1), "settled": 0.5}
    try:
        with serve(faults) as bad:
            kind = {"kind": "openai-batch"}
            settings = runs.settings(place / "s.yaml", bad.url, encoder=reference.encoder.url, engine=kind)
            return _recovered(reference, run, "generate", settings, bad, None)
    finally:
        pace |= usual


def _with(faulty: Faulty, reference: Reference) -> Settings:
    elsewhere = reference.server.url.removesuffix("/v1")  # where nothing may be sent that was not meant for it
    return Settings(reply=runs.reply, faults=faulty, elsewhere=elsewhere, retry_after=0.2)


def _recovered(
    reference: Reference, run: Path, command: str, settings: Path, bad: Server | None, faulty: Faulty | None
) -> Outcome:
    """Run, and if that did not come to the same, again with sound servers."""
    parts = {"generate": ("generate",), "cluster": ("embed", "cluster")}.get(command, ("",))
    began, before = time.monotonic(), Counter(reference.server.stats.answered)
    first = runs.call(command, "-o", run, "-c", settings)
    outcome = Outcome({0: "o", 1: "e", 2: "r", 3: "f"}[first.code], told=first.err)
    if first.code:
        assert "error: " in first.err or "rows failed" in first.err
        sound = runs.settings(settings, reference.server.url, encoder=reference.encoder.url)
        second = runs.call(command, "-o", run, "-c", sound)
        assert second.code == 0, second.err
    outcome.seconds = time.monotonic() - began
    runs.balanced(run)
    if bad and faulty:  # the sound server knows nothing of what the other has in batches
        useful = bad.stats.answered - Counter(faulty.given)
        useful += reference.server.stats.answered - before
        # Of a run that ends early what is in flight is lost, and of one in a hurry what a busy machine is late with.
        in_flight = runs.IN_FLIGHT if first.code == 1 or faulty.fault in ENDLESS else 0
        outcome.paid_twice = max(0, useful.total() - len(runs.answers(run)) - in_flight)
    return runs.compared(outcome, run, reference.run, parts)
