"""The journal of a shard's paid work: every reply, durable before it is used, under its request's key.

A line is a completion as JSON, and ends with a checksum of itself. A last line that a kill cut short is dropped: it was
not acknowledged. Requests that got no reply are noted too, but only a rebuild without any engine reads those: for all
else they were never answered. So is a reply that an error of the same key follows: it led to nothing.

On a disk it is a file that is appended to and fsynced; in a store, which can't append, it is what `segments` makes of
objects, one for each group of replies.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, BinaryIO

from datagen import segments, shards
from datagen.errors import DamagedFile, UserError
from datagen.llm.base import Completion

GATHER = 0.005  # seconds: replies that come meanwhile are written and fsynced together
DISK_THREADS = 8  # journals that are fsynced at once: eight take hardly longer than two
_COUNTED = ("attempts", "prompt_tokens", "cached_tokens", "completion_tokens")
_LOST = ("lost_prompt_tokens", "lost_completion_tokens")
_DEFAULTS = {f.name: f.default for f in fields(Completion)}
_TYPES = {name: (type(default),) for name, default in _DEFAULTS.items() if default is not MISSING}
_TYPES |= {"key": (str,), "text": (str, type(None)), "seconds": (float, int)}
_SEAL = b', "crc32": "%08x"}\n'  # ends a line: of all before it
_SEAL_LENGTH = len(_SEAL % 0)
_SEALED = re.compile(rb', "crc32": "[0-9a-f]{8}"}\n')


class Journal:
    """`answers`, `disowned` ones and `errors` by request key. Opened for one process at a time (the run is locked).

    `path` is on a local disk, or any address.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.is_local = shards.is_local(self.path)
        self.answers: dict[str, Completion] = {}
        self.disowned: dict[str, Completion] = {}
        self.errors: dict[str, Completion] = {}
        self._file: Any = None
        self._end: int | None = None  # in a store, where it goes on; None while that is not known
        for completion in read(self.path):
            self._note(completion)

    def append(self, completions: list[Completion]) -> None:
        """Write durably; they are answers from here on. Raises UserError when the disk is full, or a store refuses."""
        data = b"".join(map(_line, completions))
        if self.is_local:
            self._append_to_file(data)
        else:
            at, self._end = self._opened_end(), None
            segments.append(self.path, at, data)
            self._end = at + len(data)
        for completion in completions:
            self._note(completion)

    def open(self) -> None:
        """Open it for appending, so that nothing is paid for that cannot be written. Raises as `append` does."""
        if self.is_local:
            with shards.writing(self.path):
                self._opened()
        else:
            self._opened_end()

    def finish(self) -> None:
        """Close it, and make one object of it in a store. `append` would open it again. Raises as `append` does."""
        self.close()
        if not self.is_local:
            self._end = segments.fold(self.path)

    def recorded(self) -> dict[str, Completion]:
        """What came of each request, in the end: what a rebuild without any engine goes by."""
        return self.errors | self.disowned | self.answers

    def close(self) -> None:
        """Close the file; `append` would open it again."""
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):  # of what could not be written, as `append` said
                file.close()

    def _append_to_file(self, data: bytes) -> None:
        with shards.writing(self.path):
            file = self._opened()
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                self.close()  # else it would be written some time later, into what another journal wrote meanwhile
                raise

    def _opened(self) -> Any:
        if self._file is None:
            self._seal()
            self._file = _appendable(Path(self.path))
        return self._file

    def _opened_end(self) -> int:
        if self._end is None:
            if self.answers or self.errors:
                self._seal()
            self._end = segments.fold(self.path)
        return self._end

    def _seal(self) -> None:
        """Give the lines of an earlier version checksums."""
        with _reading(self.path) as f:
            unsealed = f is not None and not _sealed(f)
        if unsealed:
            shards.write_bytes(self.path, b"".join(map(_line, read(self.path))))

    def _note(self, completion: Completion) -> None:
        if not completion.error:
            self.answers.setdefault(completion.key, completion)
            return
        self.errors[completion.key] = completion
        if answer := self.answers.pop(completion.key, None):
            self.disowned[completion.key] = answer


class GroupCommit:
    """Appends from many conversations at once: those within `GATHER` are one write and one fsync for each journal.

    Of one event loop; the disk is waited for in threads, for one group at a time.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Journal, Completion, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None
        self._threads = ThreadPoolExecutor(DISK_THREADS, "journal")

    async def append(self, journal: Journal, completion: Completion) -> None:
        """Return once a completion is on disk. Raises UserError when the disk is full."""
        await self.put(journal, completion)

    def put(self, journal: Journal, completion: Completion) -> asyncio.Future[None]:
        """See to it that a completion is written, before `close` returns at the latest; done once it is on disk."""
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        written.add_done_callback(lambda done: done.cancelled() or done.exception())  # `close` raises it, too
        self._waiting.append((journal, completion, written))
        if self._writer is None:
            self._writer = loop.create_task(self._write())
        return written

    async def close(self) -> None:
        """Write what is waiting, for callers that are gone, too: it is paid for. Raises as `append` does."""
        if self._writer:
            await self._writer
        self._threads.shutdown()
        if self._failed:
            raise self._failed

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER)
            group, self._waiting = self._waiting, []
            by_journal: dict[Journal, list[Completion]] = {}
            for journal, completion, _ in group:
                by_journal.setdefault(journal, []).append(completion)
            loop = asyncio.get_running_loop()
            appending = [
                loop.run_in_executor(self._threads, journal.append, each) for journal, each in by_journal.items()
            ]
            outcomes = await asyncio.gather(*appending, return_exceptions=True)
            failed = dict(zip(by_journal, outcomes, strict=True))
            for journal, _, written in group:
                error = failed[journal]
                self._failed = self._failed or error
                if written.done():  # whoever asked is gone
                    continue
                if error:
                    written.set_exception(error)
                else:
                    written.set_result(None)
        self._writer = None


def read(path: str | Path) -> Iterator[Completion]:
    """The completions in a journal that may not be there. Raises DamagedFile, which names the damaged lines."""
    for number, completion in _lines(str(path)):
        if completion is None:
            lines = [number for number, completion in _lines(str(path)) if completion is None]
            shown = ", ".join(map(str, lines[:10])) + (", …" if len(lines) > 10 else "")
            what = f"line{'s' * (len(lines) > 1)} {shown}: not what was written"
            raise DamagedFile(str(path), what, str(path).rsplit("/", 3)[0])
        yield completion


def mend(path: str | Path) -> None:
    """Take the damaged lines out of a journal: what was asked there is asked for again. The file as it was is kept
    beside it, with ".damaged" at its end. Raises UserError when it can't be written.
    """
    path = str(path)
    with shards.writing(path):
        sound = b"".join(_line(completion) for _, completion in _lines(path) if completion)
        if shards.is_local(path):
            whole = shards.read_bytes(path)
        else:
            whole = segments.read(path)
            segments.fold(path)
        shards.write_bytes(f"{path}.damaged", whole)
        shards.write_bytes(path, sound)


@contextmanager
def _reading(path: str) -> Iterator[BinaryIO | None]:
    """A journal to be read; None where there is none."""
    if not shards.is_local(path):
        data = segments.read(path)
        yield io.BytesIO(data) if data else None
    elif not os.path.exists(path):
        yield None
    elif not os.path.isfile(path):
        raise UserError(f"{path} is no file, as a journal must be: put it back from a copy, or remove it")
    else:
        with open(path, "rb") as f:
            yield f


def _sealed(f: BinaryIO) -> bool:
    """Whether lines have checksums: all have them, or none where an earlier version wrote the journal."""
    f.seek(0)
    found = any(_SEALED.fullmatch(line[-_SEAL_LENGTH:]) for line in f)
    f.seek(0)
    return found


def _lines(path: str) -> Iterator[tuple[int, Completion | None]]:
    """The lines, numbered from 1; None for one that is damaged."""
    with _reading(path) as f:
        if f is None:
            return
        sealed = _sealed(f)
        for number, line in enumerate(f, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield number, _completion(line, sealed)
            except (ValueError, TypeError, RecursionError):
                yield number, None


def usage(journals: Iterable[str | Path]) -> dict[str, Any]:
    """What all replies took: requests, tokens, seconds, the requests each endpoint answered; the same by check.

    Lost tokens are those of attempts that brought no reply, too.
    """
    sums: dict[str, Counter[str]] = {}
    endpoints: Counter[str] = Counter()
    for path in journals:
        for completion in read(path):
            of_check = sums.setdefault(completion.check, Counter())
            for name in _LOST:
                of_check[name] += getattr(completion, name)
            if completion.error:
                continue
            endpoints[completion.endpoint] += 1
            of_check["requests"] += 1
            of_check["estimated"] += completion.estimated
            for name in (*_COUNTED, "seconds"):
                of_check[name] += getattr(completion, name)
    total = _totals(sum(sums.values(), Counter()))
    checks = {check: _totals(counts) for check, counts in sorted(sums.items()) if check}
    return total | {"endpoints": dict(sorted(endpoints.items()))} | ({"checks": checks} if checks else {})


def _totals(sums: Counter[str]) -> dict[str, Any]:
    totals: dict[str, Any] = {name: int(sums[name]) for name in ("requests", *_COUNTED, "estimated", *_LOST)}
    return totals | {"mean_seconds": round(sums["seconds"] / sums["requests"], 3) if sums["requests"] else 0.0}


def _line(completion: Completion) -> bytes:
    values = ((name, getattr(completion, name), default) for name, default in _DEFAULTS.items())
    value = {name: value for name, value, default in values if name == "key" or value != default}
    text = json.dumps(value, ensure_ascii=False).encode().removesuffix(b"}")
    return text + _SEAL % zlib.crc32(text)


def _completion(line: bytes, sealed: bool) -> Completion:
    """The completion in a line. Raises ValueError, TypeError."""
    text, seal = line[:-_SEAL_LENGTH], line[-_SEAL_LENGTH:]
    if sealed and seal != _SEAL % zlib.crc32(text):
        raise ValueError("the checksum is wrong")
    value = json.loads(text + b"}" if sealed else line)
    for name, kind in _TYPES.items():
        if name in value and (type(value[name]) not in kind):
            raise TypeError(f"{name} is no {kind[0].__name__}")
    return Completion(**value)


def _appendable(path: Path) -> Any:
    """Open for appending, after what a kill left of a last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+b")  # noqa: SIM115  # kept open: it is appended to as answers come
    end = file.seek(0, os.SEEK_END)
    at = end
    while at > 0:
        start = max(0, at - 65536)
        file.seek(start)
        newline = file.read(at - start).rfind(b"\n")
        if newline >= 0:
            at = start + newline + 1
            break
        at = start
    if at < end:
        file.truncate(at)
    if end == 0:
        folder = os.open(path.parent, os.O_RDONLY)  # a file that is not in its folder is lost with the power
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return file
