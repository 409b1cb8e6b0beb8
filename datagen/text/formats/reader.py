"""Documents of other formats, read in a process of their own, so that none can spoil a run: whoever asks waits for one
file at a time, and if the process ends over it, that file is set aside and the next one gets another process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import version
from queue import SimpleQueue
from typing import IO, Any

from datagen.errors import UserError
from datagen.text import kinds, sources
from datagen.text.decode import BadDocument
from datagen.text.files import File
from datagen.text.formats import worker

COMMAND = (sys.executable, "-m", "datagen.text.formats.worker")
TAIL = 2000  # bytes of what a process said, of which the last line is shown
AGAIN = "Install what it needs again: pip install --force-reinstall 'longrlvr-data[documents]'"
VERSION = 1  # of the code in this folder: raise it when a document's text or metadata changes


class Reader:
    """Reads documents, one at a time. The process is started with the first, and ended by `close`.

    seconds: of processor time that a part of a document may take. command: what the process runs.
    """

    def __init__(self, seconds: int = worker.SECONDS, command: Sequence[str] = COMMAND) -> None:
        self.seconds, self.command = seconds, command
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None  # by the process, on standard error
        self._ready = False  # the process is waiting for documents
        self._closed = False

    def read(self, file: File, most_bytes: int, encoding: str | None = None) -> tuple[str, str, dict[str, Any]]:
        """A document's text, the encoding of its file, and what is known of it (see `Extracted`).

        most_bytes: of what is unpacked. encoding: of HTML pages, a Python codec, if a person says it. Raises
        BadDocument where it cannot be read, with what would help, InputError where the file cannot be opened, and
        UserError where the process does not start, which is no fault of the file.
        """
        with _unpacked(file, most_bytes) as path:
            request = {"how": file.kind, "path": path, "most_bytes": most_bytes, "encoding": encoding}
            reply = self._asked(json.dumps(request | {"seconds": self.seconds}).encode() + b"\n")
        if reply is None:
            raise self._ended(file)
        if "bad" in reply:
            raise BadDocument(*reply["bad"])
        return reply["text"], reply["encoding"], reply["metadata"]

    def check(self, modules: Iterable[str]) -> None:
        """Raise UserError, with what to do, where the process does not start, or cannot import a library in it."""
        reply = self._asked(json.dumps({"modules": sorted(modules)}).encode() + b"\n")
        if reply is None and self._process is not None:
            how = "".join(self._how_it_ended())
            self._end()
            raise UserError(f"the process that reads documents does not start; it ended by {how}\n{AGAIN}")
        for module, why in (reply or {"failed": {}})["failed"].items():
            raise UserError(f"{module} is installed, and cannot be imported: {why}\n{AGAIN}")

    def close(self) -> None:
        """End the process, if there is one."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(OSError):
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, self._said):
            if stream:
                with suppress(OSError):
                    stream.close()

    def _asked(self, request: bytes) -> dict[str, Any] | None:
        """The reply; None where the process ended over it."""
        if self._closed:
            return None
        if self._process is None:
            self._ready, self._said = False, tempfile.TemporaryFile()  # noqa: SIM115 - `_end` closes it
            self._process = _started(self.command, self._said)
        stdin, stdout, said = self._process.stdin, self._process.stdout, self._said
        assert stdin
        assert stdout
        assert said
        try:
            self._ready = self._ready or stdout.readline() == worker.READY
            if not self._ready:
                return None
            said.seek(0)
            said.truncate()  # what is left in it is of this document
            stdin.write(request)
            stdin.flush()
            line = stdout.readline()
        except (OSError, ValueError):  # it has ended; or `close`, in another thread, has closed them
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def _ended(self, file: File) -> BadDocument:
        """Why the process ended over a file. Raises UserError where it did not even start."""
        process = self._process
        if process is None:  # by `close`
            return BadDocument("reader crashed", "what reads it was ended")
        code, (how, its_words) = process.wait(), self._how_it_ended()
        self._end()
        if not self._ready:
            raise UserError(
                f"{file.path}: the process that reads such files does not start; it ended by {how}{its_words}\n{AGAIN}"
            )
        if code == -getattr(signal, "SIGXCPU", 0):
            return BadDocument(
                "too slow", f"a part of it took over {self.seconds} s of processor time: it may be damaged"
            )
        library = ", ".join(kinds.NEEDS.get(file.kind, ()))
        what = f"what reads such files ({library}) ended over it, by {how}: it may be damaged{its_words}"
        return BadDocument("reader crashed", what)

    def _how_it_ended(self) -> tuple[str, str]:
        """By what the process ended, and the last that it said, in brackets."""
        assert self._process
        code, said = self._process.wait(), self._last_said()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return how, f" ({said})" if said else ""

    def _last_said(self) -> str:
        """The last line that the process wrote on standard error; "" where there is none."""
        if self._said is None:
            return ""
        self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - TAIL))
        lines = self._said.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Readers:
    """Reads documents in an order that is known beforehand, some ahead of being asked for, each core one."""

    def __init__(self, files: Iterable[File], most_bytes: int, cores: int, encoding: str | None = None) -> None:
        self._files, self._most_bytes, self._encoding = iter(files), most_bytes, encoding
        self._threads = ThreadPoolExecutor(max(1, cores), "reading")
        self._readers: list[Reader] = []
        self._free: SimpleQueue[Reader] = SimpleQueue()
        for _ in range(max(1, cores)):
            self._readers.append(Reader())
            self._free.put(self._readers[-1])
        self._ahead: dict[str, Future[tuple[str, str, dict[str, Any]]]] = {}

    def check(self, modules: Iterable[str]) -> None:
        """As `Reader.check`, before anything is read."""
        self._readers[0].check(modules)

    def read(self, file: File) -> tuple[str, str, dict[str, Any]]:
        """As `Reader.read`, of the files that were given."""
        while len(self._ahead) < 2 * len(self._readers) and (following := next(self._files, None)):
            self._ahead[following.path] = self._threads.submit(self._one, following)
        begun = self._ahead.pop(file.path, None) or self._threads.submit(self._one, file)
        return begun.result()

    def _one(self, file: File) -> tuple[str, str, dict[str, Any]]:
        reader = self._free.get()
        try:
            return reader.read(file, self._most_bytes, self._encoding)
        finally:
            self._free.put(reader)

    def close(self) -> None:
        """End all processes, whatever they are reading."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for reader in self._readers:
            reader.close()
        self._threads.shutdown()
        for reader in self._readers:  # one that was just being started
            reader.close()


def versions(found: Iterable[str]) -> dict[str, str]:
    """What reads each of these kinds, of those that are read here: this code and the libraries, by version."""
    return {
        kind: ", ".join([f"{VERSION}", *(f"{module} {version(module)}" for module in kinds.NEEDS[kind])])
        for kind in sorted(set(found) & kinds.NEEDS.keys())
    }


def _started(command: Sequence[str], said: IO[bytes]) -> subprocess.Popen[bytes]:
    # Where this package was found, the process finds it, too, whatever the folder it runs in.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=environment)


@contextmanager
def _unpacked(file: File, most_bytes: int) -> Iterator[str]:
    """Where the file's bytes are, unpacked."""
    if not file.compression:
        with sources.opened(file):  # so that one that cannot be read is said as any other
            yield file.path
        return
    with tempfile.NamedTemporaryFile(suffix=f".{file.kind}") as copy:
        with sources.opened(file) as stream:
            size = 0
            while block := stream.read(sources.BLOCK):
                size += len(block)
                if size > most_bytes:
                    what = f"over {most_bytes // 1_000_000:,} MB when unpacked, which is input.max_document_mb"
                    raise BadDocument("too large", what)
                copy.write(block)
        copy.flush()
        yield copy.name
