import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from datagen.errors import InputError, UserError
from datagen.executors import local as executors


class Odd(Exception):
    """An exception that cannot be unpickled, as some HTTP clients have them."""

    def __init__(self, code: int, *, body: str) -> None:
        super().__init__(f"{code} {body}")


def work(item: str | int) -> tuple[int, float]:
    if item == "input":
        error = InputError("a.txt: cannot be used")
        error.add_note("while chunk processed shard-00000")
        raise error
    if item == "odd":
        raise Odd(503, body="come back later")
    if item == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "slow":
        time.sleep(60)
    vector = np.random.default_rng(int(item)).normal(size=(300, 64)).astype(np.float32)
    return int(item), float((vector @ vector.T).sum())


def pinned(_: int) -> tuple[int, bool]:
    """The most threads that a numeric library of this process uses, and whether this is a worker."""
    assert np.ones(2) @ np.ones(2) == 2
    return max(library["num_threads"] for library in threadpool_info()), multiprocessing.parent_process() is not None


def ticking(item: int) -> int:
    for _ in range(200):
        executors.tick(item)
    if item == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended between the opening and the reading
        return False


def gone(pids: list[int], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def workers() -> list[int]:
    return [child.pid or 0 for child in multiprocessing.active_children()]


def test_results_do_not_depend_on_the_number_of_workers_and_few_items_are_in_flight():
    drawn = []

    def items() -> Iterator[int]:
        for i in range(30):
            drawn.append(i)
            yield i

    with executors.pool(1) as run:
        alone = []
        for n, result in enumerate(run(work, items())):
            alone.append(result)
            assert len(drawn) == n + 1
    drawn.clear()
    with executors.pool(2) as run:
        together = []
        for n, result in enumerate(run(work, items())):
            together.append(result)
            assert len(drawn) <= n + 2 * 2 + 2
        assert sorted(together) == alone == [work(i) for i in range(30)]
        assert list(run(pinned, range(3))) == [(1, True)] * 3
        assert list(run(work, [])) == []
        pids = workers()
        assert len(pids) == 2
    assert gone(pids)


def test_one_process_uses_one_thread_too():
    with threadpool_limits(2), executors.pool(1) as run:
        assert list(run(pinned, [0])) == [(1, False)]


@pytest.mark.parametrize("n", [1, 2])
def test_ticks_arrive_from_wherever_the_work_is_done(n):
    heard: list[int] = []
    with executors.pool(n, heard.append) as run:
        list(run(ticking, [1, 2, 3]))
    end = time.monotonic() + 10
    while len(heard) < 600 and time.monotonic() < end:
        time.sleep(0.01)
    assert sorted(heard) == [1] * 200 + [2] * 200 + [3] * 200


def test_a_worker_killed_among_ticks_does_not_stop_the_others():
    with pytest.raises(UserError, match="killed"), executors.pool(2, lambda n: None) as run:
        list(run(ticking, [1, 5, 1, 1]))


@pytest.mark.parametrize("n", [1, 2])
def test_an_error_comes_out_as_it_was_and_ends_the_workers(n):
    pids = []
    with pytest.raises(InputError) as e, executors.pool(n) as run:  # noqa: PT012
        results = run(work, [0, "input", *["slow"] * 3])
        next(results)
        pids = workers()
        list(results)
    assert str(e.value) == "a.txt: cannot be used"
    assert e.value.__notes__ == ["while chunk processed shard-00000"]
    assert gone(pids)


def test_an_error_that_cannot_travel_is_no_killed_worker():
    with pytest.raises(RuntimeError, match=r"(?s)in work\n.*Odd: 503 come back later"), executors.pool(2) as run:
        list(run(work, ["odd"]))


def test_a_killed_worker_is_said():
    with pytest.raises(UserError, match=r"killed, most often for lack of memory: try fewer --workers"):  # noqa: SIM117
        with executors.pool(2) as run:
            list(run(work, [0, 1, "killed", 2]))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_do_not_outlive_a_parent_that_is_killed():
    code = """
import multiprocessing, time
from datagen.executors import local as executors
with executors.pool(2) as run:
    results = run(time.sleep, [0, 0, 60, 60, 60])
    next(results)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    next(results)
    list(results)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pids = list(map(int, parent.stdout.readline().split()))
    assert len(pids) == 2
    assert all(map(alive, pids))
    parent.kill()
    parent.wait()
    assert gone(pids)
    parent.stdout.close()


def test_cores_are_those_this_process_may_use():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs processor affinity")
    code = "import os; from datagen.executors.local import cores; "
    code += "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(cores())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1\n"


def test_threads_give_results_in_the_order_of_the_items():
    def work(n: int) -> int:
        time.sleep(0.02 if n % 3 == 0 else 0)
        return n * n

    assert list(executors.threaded(work, range(20))) == [n * n for n in range(20)]
    assert list(executors.threaded(work, [])) == []


def test_threads_are_only_a_few_items_ahead_of_who_takes_the_results():
    """Else all that a run's shards hold would be in memory at once."""
    begun: list[int] = []
    ahead = 0
    for i, _ in enumerate(executors.threaded(begun.append, range(300))):
        time.sleep(0.001)
        ahead = max(ahead, len(begun) - i)
    assert len(begun) == 300
    assert ahead <= executors.AHEAD * executors.cores()


def test_an_error_in_a_thread_is_the_callers():
    begun: list[int] = []

    def work(n: int) -> int:
        begun.append(n)
        time.sleep(0.01)
        return 1 // (n - 3)

    with pytest.raises(ZeroDivisionError):
        list(executors.threaded(work, range(1000)))
    assert len(begun) < 500
