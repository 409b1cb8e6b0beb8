"""Where shards are processed: on a Ray cluster, a task a shard; an actor a GPU for work that owns one.

Not Ray Data: a shard is the unit that a run resumes by, and it is written by whoever processed it. So nothing comes
back but counts, and what a lost worker or node had in hand is simply done again elsewhere, to the same bytes.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from datagen import extras
from datagen.errors import UserError, reason
from datagen.executors import local
from datagen.executors.local import Map

T = TypeVar("T")
R = TypeVar("R")

LOST = 10  # times that a shard's worker or node may be lost before it is not tried again
AHEAD = 2  # shards a slot that are handed out before a result is asked for
_GPUS_HIDDEN = "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"  # from tasks that ask for none: all would use the same one


@contextmanager
def cluster(address: str | None, workers: int | None, on_tick: Callable[[int], None]) -> Iterator[tuple[Map, Map]]:
    """Gives two `map(work, items)`, which yield results as they finish: one in tasks of a CPU each, one in actors that
    have a GPU each and keep what they loaded from item to item.

    `address` is that of a cluster which runs already; without one, Ray is started here, for as long as this lasts.
    `workers` is the most tasks at once; by default, as many as the cluster has CPUs. `on_tick` hears of parts of an
    item when the item is done. Raises MissingExtra without Ray, UserError where no cluster answers.
    """
    extras.require("--executor ray", "ray", "ray")
    import ray

    os.environ.setdefault(_GPUS_HIDDEN, "1")
    own = {} if address else {"num_cpus": workers or local.cores(), "include_dashboard": False}
    try:
        _reached(address)
        with _signals_kept():
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.WARNING, **own)
    except (OSError, RuntimeError, ValueError) as e:
        raise UserError(
            f"no Ray cluster at {address or 'this machine'}: {reason(e)}. To start one, whose nodes others join "
            "with --address=HOST:6379, and use it with --ray-address HOST:6379:\n  ray start --head"
        ) from e
    try:
        yield _on_cpus(ray, workers, on_tick), _on_gpus(ray, on_tick)
    finally:
        ray.shutdown()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Within, Ray may put its own way to end in the place of this process's; afterwards that is back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def _reached(address: str | None) -> None:
    """Raise OSError or ValueError where nobody listens at an address: Ray would try for minutes."""
    if address and address != "auto":
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _on_cpus(ray: Any, workers: int | None, on_tick: Callable[[int], None]) -> Map:
    slots = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    task = ray.remote(_worked).options(num_cpus=1, max_retries=LOST)

    def mapped(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        running: list[Any] = []

        def ended() -> Any:
            (done,), running[:] = ray.wait(running)
            return ray.get(done)

        return _bounded(ray, lambda item: running.append(task.remote(work, item)), ended, items, slots, on_tick)

    return mapped


def _on_gpus(ray: Any, on_tick: Callable[[int], None]) -> Map:
    def mapped(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        n = int(ray.cluster_resources().get("GPU", 0))
        if not n:
            raise UserError("no node of the Ray cluster has a GPU: set embed.device to cpu, or add a node that has one")
        holder = ray.remote(_Holder).options(num_gpus=1, num_cpus=0, max_restarts=-1, max_task_retries=LOST)
        free = ray.util.ActorPool([holder.remote() for _ in range(n)])

        def begin(item: T) -> None:
            free.submit(lambda holder, item: holder.work.remote(work, item), item)

        yield from _bounded(ray, begin, free.get_next_unordered, items, n, on_tick)

    return mapped


class _Holder:
    """An actor: a process that keeps what `work` loads."""

    def work(self, work: Callable[[T], R], item: T) -> tuple[int, R | Exception]:
        return _worked(work, item)


def _worked(work: Callable[[T], R], item: T) -> tuple[int, R | Exception]:
    """How many parts were reported, and work(item) or what it raised: Ray would wrap it, and try it again."""
    local.pin_threads()
    heard: list[int] = []
    local.report_to(heard.append)
    try:
        result = local.portable(work, item)
    except Exception as e:
        if not isinstance(e, UserError):
            e.add_note("in a worker:\n" + "".join(traceback.format_exception(e)))  # it is lost on the way back
        result = e
    return sum(heard), result


def _bounded(
    ray: Any,
    begin: Callable[[T], None],
    ended: Callable[[], Any],
    items: Iterable[T],
    slots: int,
    on_tick: Callable[[int], None],
) -> Iterator[Any]:
    """The results of items that are begun, a few for each slot at a time, as they end."""
    running = 0
    for item in items:
        begin(item)
        running += 1
        if running >= AHEAD * slots:
            yield _taken(ray, ended, on_tick)
            running -= 1
    for _ in range(running):
        yield _taken(ray, ended, on_tick)


def _taken(ray: Any, ended: Callable[[], Any], on_tick: Callable[[int], None]) -> Any:
    """A result. Raises what the work raised, UserError where its worker was lost again and again."""
    try:
        ticks, result = ended()
    except ray.exceptions.RayTaskError:
        raise  # of Ray's own code in the worker: what the work raises is a result
    except ray.exceptions.RayError as e:
        raise UserError(
            f"Ray gave up a shard: {reason(e)}. A worker that is lost {LOST + 1} times with one has most often "
            "too little memory: try fewer --workers. What is finished is kept: run the same command again"
        ) from e
    on_tick(ticks)
    if isinstance(result, Exception):
        raise result
    return result
