"""A run in an object store is held by one process at a time, and by nobody that is gone."""

import subprocess
import sys
import threading
import time
import uuid
import warnings

import pytest

from datagen import shards
from datagen.errors import RunLocked
from datagen.run import lease
from datagen.run.share import WHOLE, Share


@pytest.fixture
def folder() -> str:
    return f"memory://{uuid.uuid4().hex}"


def left(folder: str, **content: object) -> None:
    """What a process leaves that ended without a word."""
    shards.write_json(f"{folder}/.lease/000007", {"owner": "process 1 on afar", "token": "t", **content})


def another_takes_over(folder: str) -> None:
    shards.write_json(f"{folder}/.lease/000002", {"token": "another's"})
    time.sleep(10)


def test_it_is_free_again_afterwards(folder):
    for _ in range(3):
        with lease.held(folder):
            (number,) = lease._numbers(f"{folder}/.lease")
    assert number == 3


def test_one_that_is_alive_is_not_disturbed(folder):
    with (
        lease.held(folder, beat=0.05),
        pytest.warns(match="waiting up to 5 s to see whether process "),
        pytest.raises(RunLocked, match=r"is in use by process [0-9]+ on .+: wait for it, or choose another"),
        lease.held(folder, stale=5),
    ):
        pytest.fail("two hold it")
    with lease.held(folder):
        pass


def test_one_that_is_not_heard_of_is_taken_for_dead(folder):
    left(folder)
    began = time.monotonic()
    with warnings.catch_warnings(action="ignore"), lease.held(folder, stale=0.4):
        assert time.monotonic() - began >= 0.4
        assert lease._numbers(f"{folder}/.lease") == [8]


def test_jobs_of_one_array_beside_each_other_and_nothing_else(folder):
    with lease.held(folder, Share(0, 8), beat=0.05), lease.held(folder, Share(3, 8), beat=0.05):
        with lease.held(folder, Share(1, 8), beat=0.05):
            pass
        for share in (WHOLE, Share(0, 4), Share(3, 8)):
            with warnings.catch_warnings(action="ignore"), pytest.raises(RunLocked), lease.held(folder, share, stale=5):
                pytest.fail("two hold it")
    with (
        lease.held(folder, beat=0.05),
        warnings.catch_warnings(action="ignore"),
        pytest.raises(RunLocked),
        lease.held(folder, Share(5, 8), stale=5),
    ):
        pytest.fail("two hold it")


def test_dead_jobs_are_all_waited_for_at_once(folder):
    for index in range(20):
        shards.write_json(f"{folder}/.lease-{index}-of-20/000001", {"owner": "process 1 on afar", "token": "t"})
    began = time.monotonic()
    with warnings.catch_warnings(action="ignore"), lease.held(folder, stale=0.5):
        assert 0.5 <= time.monotonic() - began < 5


def test_a_process_that_is_seen_to_be_gone_is_not_waited_for(folder):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left(folder, place=lease._place(), pid=process.pid)
    began = time.monotonic()
    with lease.held(folder, stale=30):
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("place", ["", "another machine"])
def test_a_process_elsewhere_is_not_seen_to_be_gone(folder, place):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    left(folder, place=place, pid=process.pid)
    began = time.monotonic()
    with warnings.catch_warnings(action="ignore"), lease.held(folder, stale=0.4):
        assert time.monotonic() - began >= 0.4


def test_of_many_that_find_it_dead_one_takes_it(folder):
    left(folder)
    inside, most, refused = 0, 0, 0
    lock, start = threading.Lock(), threading.Barrier(8)

    def take() -> None:
        nonlocal inside, most, refused
        start.wait()
        try:
            with lease.held(folder, beat=0.02, stale=0.3):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(1)
                with lock:
                    inside -= 1
        except RunLocked:
            with lock:
                refused += 1

    threads = [threading.Thread(target=take) for _ in range(8)]
    with warnings.catch_warnings(action="ignore"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 1
    assert refused >= 6  # one that came last may have found it free again


def test_a_holder_that_was_taken_over_stops(folder):
    said = "was taken over by another process: this one was not heard of"
    with pytest.raises(RunLocked, match=said), lease.held(folder, beat=0.05):
        another_takes_over(folder)
    assert shards.read_object(f"{folder}/.lease/000002") == {"token": "another's"}
