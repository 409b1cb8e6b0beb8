"""The signals that ask a process to end, and how they wait for what is in hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def polite() -> list[int]:
    """The signals that ask this process to end: Ctrl-C, a polite kill, a terminal that closes. Not those that it is to
    ignore, as nohup has it, or a shell that starts it in the background.
    """
    known = (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP"))
    return [number for number in known if number and signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def held() -> Iterator[None]:
    """What politely asks to end waits until what is in hand (a write, the start of a process) is finished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {number: signal.signal(number, lambda n, _: waiting.append(n)) for number in polite()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in waiting:
            signal.raise_signal(number)
