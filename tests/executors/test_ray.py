"""Shards as tasks of a Ray cluster: what comes back, what is raised, and what a loss costs."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from datagen.errors import InputError, UserError
from datagen.executors import local
from tests.executors.test_local import pinned, ticking, work

pytest.importorskip("ray")

from datagen.executors import ray as executors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def unheard(n: int) -> None:
    pass


def killed_once(place: str) -> int:
    """Dies the first time it is tried, at whichever place."""
    if not os.path.exists(place):
        Path(place).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def process(item: int) -> int:
    time.sleep(0.05)
    return os.getpid()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1", "auto"])
def test_no_cluster_is_a_sentence(address):
    said = rf"no Ray cluster at {re.escape(address)}: .*\n  ray start --head"
    with pytest.raises(UserError, match=said), executors.cluster(address, None, unheard):
        pass


@pytest.fixture(scope="module")
def on_cpus():
    heard: list[int] = []
    with executors.cluster(None, 2, heard.append) as (on_cpus, on_gpus):
        yield on_cpus, on_gpus, heard


def test_results_and_ticks(on_cpus):
    mapped, _, heard = on_cpus
    with local.pool(1) as here:
        expected = sorted(here(work, range(9)))
    assert sorted(mapped(work, range(9))) == expected  # numerics on one thread: the same to the last bit
    assert all(threads == 1 for threads, _ in mapped(pinned, range(3)))
    heard.clear()
    list(mapped(ticking, [1, 2]))
    assert sorted(heard) == [200, 400]


def test_what_the_work_raises(on_cpus):
    mapped, _, _ = on_cpus
    with pytest.raises(InputError, match=r"a\.txt: cannot be used") as e:
        list(mapped(work, [1, "input"]))
    assert e.value.__notes__ == ["while chunk processed shard-00000"]
    with pytest.raises(RuntimeError, match=r"(?s)in work\n.*Odd: 503 come back later"):
        list(mapped(work, ["odd"]))


def test_a_killed_worker_loses_nothing(on_cpus, tmp_path):
    mapped, _, _ = on_cpus
    places = [str(tmp_path / str(i)) for i in range(3)]
    assert len(list(mapped(killed_once, places))) == 3
    assert all(map(os.path.exists, places))


def test_no_gpu_is_a_sentence(on_cpus):
    _, on_gpus, _ = on_cpus
    with pytest.raises(UserError, match=r"no node of the Ray cluster has a GPU: set embed\.device to cpu"):
        list(on_gpus(process, range(3)))
