"""Where shards are processed: in this process, or in a pool of processes.

A worker runs its numerics on one thread. That is what makes results the same to the byte whatever the worker count
(threads change the order of floating-point sums), and it spares the OpenMP spin-waits of several pools on few cores.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import TypeVar

from threadpoolctl import threadpool_limits

from datagen import signals
from datagen.errors import UserError

T = TypeVar("T")
R = TypeVar("R")
Map = Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM")
AHEAD = 4  # items for each thread that are begun before their results are asked for
JOINED = 10.0  # seconds that workers which were told to end have, before this process goes on without them


def cores() -> int:
    """The cores this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def unheard(n: int) -> None:
    """Where ticks go that nobody asked for."""


_report: Callable[[int], None] = unheard  # where this process's ticks go: the one thing a worker can't be handed


def tick(n: int) -> None:
    """Report that n more rows are done, from whichever process the work runs in."""
    _report(n)


@contextmanager
def pool(workers: int, on_tick: Callable[[int], None] = unheard) -> Iterator[Map]:
    """Gives `map(work, items)`, which yields results as they finish and keeps only a few items in flight."""
    pin_threads()
    report_to(on_tick)
    if workers == 1:
        yield lambda work, items: (work(item) for item in items)
        return
    context = multiprocessing.get_context("spawn")  # a forked copy of torch's or arrow's threads would hang
    _start_tracker()
    # A pipe and not a queue: a worker killed while it holds a queue's lock would leave everyone else waiting for it.
    ticks, ticking = context.Pipe(duplex=False)
    threading.Thread(target=_listen, args=(ticks, on_tick), daemon=True).start()
    start = (_start_worker, (ticking.send,))
    with ticking, ProcessPoolExecutor(workers, context, *start) as executor:
        try:
            yield lambda work, items: _bounded(executor, work, items, 2 * workers)
        except BaseException:
            _stop(executor)
            raise


def _start_tracker() -> None:
    """Start Python's tracker of what its processes share, which ignores Ctrl-C and a polite kill, but not that its
    terminal closes: as it is started where that signal is blocked, it lives as long as it is needed.
    """
    if hasattr(signal, "SIGHUP"):
        with _blocked({signal.SIGHUP}):
            resource_tracker.ensure_running()


def threaded(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """work(item) of all items, in their order, on a thread a core: for work that is done outside of Python for the most
    part, and whose results do not depend on how it is shared out. Few results wait to be taken.
    """
    begun: deque[Future[R]] = deque()
    with ThreadPoolExecutor(cores()) as executor:
        try:
            for item in items:
                begun.append(executor.submit(work, item))
                if len(begun) >= AHEAD * cores():
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def pin_threads() -> None:
    """One numeric thread from here on, in this process and its children."""
    for name in _ONE_THREAD:
        os.environ[name] = "false" if name.startswith("TOKENIZERS") else "1"
    threadpool_limits(1)  # libraries that were loaded before read no variable any more


def _bounded(executor: ProcessPoolExecutor, work: Callable[[T], R], items: Iterable[T], limit: int) -> Iterator[R]:
    running: set[Future[R]] = set()
    try:
        for item in items:
            # This may start a worker, which Ctrl-C can't reach then before it is ready to ignore it.
            with signals.held(), _blocked({signal.SIGINT}):
                running.add(executor.submit(portable, work, item))
            if len(running) >= limit:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as e:
        raise UserError(
            "a worker process was killed, most often for lack of memory: try fewer --workers. What is finished is kept."
        ) from e


@contextmanager
def _blocked(signals: set[signal.Signals]) -> Iterator[None]:
    """Within, these signals wait. A process inherits which are blocked."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def portable(work: Callable[[T], R], item: T) -> R:
    """work(item). An exception that does not survive the way to the parent would be taken for a killed worker."""
    try:
        return work(item)
    except Exception as e:
        try:
            pickle.loads(pickle.dumps(e))
        except Exception:
            raise RuntimeError("".join(traceback.format_exception(e))) from None
        raise


def _stop(executor: ProcessPoolExecutor) -> None:
    """Drop what is queued and end the workers; each finishes the write it has in hand."""
    workers, manager = list((executor._processes or {}).values()), getattr(executor, "_executor_manager_thread", None)
    executor.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    if manager:
        manager.join(JOINED)  # else it may close its pipe just as Python, at exit, writes to it to wake it up


def report_to(report: Callable[[int], None]) -> None:
    """Have this process's ticks go there from now on."""
    global _report
    _report = report


def _listen(ticks: Connection, on_tick: Callable[[int], None]) -> None:
    """Pass ticks on until every process has closed its end."""
    with ticks, suppress(EOFError):
        while True:
            on_tick(ticks.recv())


def _start_worker(report: Callable[[int], None]) -> None:
    report_to(report)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A parent that is killed can't end its workers, and they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
