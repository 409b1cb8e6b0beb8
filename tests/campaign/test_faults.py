"""Every fault of the list, done to a real run with real servers: what is expected comes of it, and nothing is lost.

Without CAMPAIGN a sample is drawn, by CAMPAIGN_SEED; with it all are tried.
"""

import dataclasses
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaign import runs
from tests.campaign.faults import FAULTS, Fault
from tests.campaign.runs import Reference

SEED = int(os.environ.get("CAMPAIGN_SEED", "0"))
CHOSEN = FAULTS if "CAMPAIGN" in os.environ else random.Random(SEED).sample(FAULTS, 15)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # of clients that have gone
    with runs.made(tmp_path_factory.mktemp("reference")) as made:
        yield made


@pytest.mark.parametrize("fault", CHOSEN, ids=lambda fault: fault.id)
def test_fault(reference: Reference, tmp_path: Path, fault: Fault, record_property):
    found = fault.do(reference, tmp_path, *fault.what)
    record_property("fault", {"kind": fault.kind, "expected": fault.expected, **dataclasses.asdict(found)})
    assert found.letter in fault.expected, found.told
    lost = found.rows_lost, found.rows_duplicated, found.wrong_bytes, found.paid_twice
    assert lost == (0, 0, 0, 0), found.told


def test_the_list():
    assert len({fault.id for fault in FAULTS}) == len(FAULTS) >= 200
