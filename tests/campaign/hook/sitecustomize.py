"""Python runs this as it starts, where this folder is on PYTHONPATH: so it is in a run's process and in its workers.

What they do to the files of the folder CRASH_RUN goes to the file CRASH_LOG, a line each, and before the operation
CRASH_AT ("rename generate/ledger.json") the signal CRASH_SIGNAL goes to CRASH_TARGET: "main", "worker" (the process
that is at it) or "everyone".
"""

import os
import re
import sys

RUN, AT = os.environ.get("CRASH_RUN"), os.environ.get("CRASH_AT")
FIRED = "fired"  # in the log: the signal was sent
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_TEMPORARY = re.compile(r"\.\d+(?=\.longrlvr-tmp)")
_log = -1


def _operation(event: str, args: tuple) -> str | None:
    """What is done to which file, as "kind path" within the run; None if it is nothing that matters."""
    if event == "open":
        path, mode, flags = args
        kind = (
            "open" if flags & _WRITES else "sync" if mode is None else ""
        )  # a folder's entry is synced after a rename
    elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
        kind, path = event.removeprefix("os."), args[1 if event == "os.rename" else 0]
    else:
        return None
    path = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    if not kind or not isinstance(path, str) or not path.startswith(f"{RUN}/"):
        return None
    return f"{kind} {_TEMPORARY.sub('', path.removeprefix(f'{RUN}/'))}"


def _watch(event: str, args: tuple) -> None:
    global AT
    operation = _operation(event, args)
    if operation is None:
        return
    leader = os.getsid(0)
    os.write(_log, f"{'main' if os.getpid() == leader else 'worker'} {operation}\n".encode())
    if operation == AT:
        AT = None  # once
        os.write(_log, f"{FIRED}\n".encode())
        number, target = int(os.environ["CRASH_SIGNAL"]), os.environ["CRASH_TARGET"]
        if target == "everyone":
            os.killpg(leader, number)
        else:
            os.kill(leader if target == "main" else os.getpid(), number)


if RUN:
    _log = os.open(os.environ["CRASH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sys.addaudithook(_watch)
