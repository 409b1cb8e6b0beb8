"""The process in which documents are extracted: a request a line on standard input, a reply a line on standard output,
and before them READY, so that a process that does not start is told from one that ends over a document. A request names
a document, or libraries, to be told whether they can be used.

Bounds are the system's: 60 seconds of processor time from one sign of life to the next (a page, some thousand nodes),
and 4 GB of memory. A library that hangs or goes mad is ended by them, and with it only this process.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

from datagen.text.formats.extracted import Extracted, Limits, Unreadable

SECONDS = 60  # of processor time, from one sign of life to the next
MEMORY = 4 << 30  # bytes
READY = b"ready\n"
MODULES = {"selectolax": "selectolax.lexbor", "pypdfium2": "pypdfium2.raw"}  # what is used of a library, in C


def alive(seconds: int = SECONDS) -> None:
    """A sign of life: there is as much processor time again."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds, most))


def imported(modules: Iterable[str]) -> dict[str, Any]:
    """What is sent back where it is asked whether libraries can be used: which of them cannot be imported, and why."""
    failed: dict[str, str] = {}
    for module in modules:
        try:
            importlib.import_module(MODULES.get(module, module))
        except Exception as e:  # of many kinds: a part of it is missing, of another version, or for another machine
            failed[module] = f"{type(e).__name__}: {e}"
    return {"failed": failed}


def extract(how: str, path: str, limits: Limits, encoding: str | None = None) -> Extracted:
    """A document of this kind. encoding: of an HTML page, a Python codec; the other formats have their own. Raises
    Unreadable, and whatever a library raises.
    """
    if how == "pdf":
        from datagen.text.formats import pdf

        return pdf.extract(path, limits)
    if how == "docx":
        from datagen.text.formats import docx

        return docx.extract(path, limits)
    if how == "epub":
        from datagen.text.formats import epub

        return epub.extract(path, limits)
    from datagen.text.formats import html, notebook

    with open(path, "rb") as stream:
        raw = stream.read(limits.most_bytes + 1)
    return html.extract(raw, limits, encoding) if how == "html" else notebook.extract(raw, limits)


def replied(request: dict[str, Any]) -> dict[str, Any]:
    """What is sent back: the text with its encoding and what is known of it, or a reason with what was seen."""
    try:
        still_alive = partial(alive, request["seconds"])
        still_alive()
        limits = Limits(request["most_bytes"], still_alive)
        found = extract(request["how"], request["path"], limits, request["encoding"])
        return {"text": found.text, "encoding": found.encoding, "metadata": found.metadata(request["how"])}
    except Unreadable as e:
        return {"bad": [e.reason, e.what]}
    except MemoryError:
        return {"bad": ["too large", f"to read it takes more than {MEMORY >> 30} GB of memory"]}
    except Exception as e:  # one odd file among thousands is no reason to stop
        return {"bad": ["cannot be read", f"{type(e).__name__}: {e}"]}


def main() -> None:
    """Answer requests until there are none."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: whoever asks ends this process
    _bound()
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what libraries print is no reply
        out.write(READY)
        out.flush()
        for request in _requests(sys.stdin.buffer):
            reply = imported(request["modules"]) if "modules" in request else replied(request)
            out.write(json.dumps(reply).encode() + b"\n")
            out.flush()


def _requests(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    for line in stream:
        yield json.loads(line)


def _bound() -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, most))


if __name__ == "__main__":
    main()
