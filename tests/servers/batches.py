"""Files and batches of the loopback server. Time is counted in polls: a batch goes on when it is asked about.

Faults of a batch: "expire" and "cancel" (ends so, with half of its rows done), "forget" (completed, but half of the
rows are in neither file), "partial errors" (rows in the error file with a 500 or a 400 inside), "fail validation",
"lost reply" (created, but the client never hears of it), "slow" (ten times the polls), "deep line" (one that no parser
reads comes before the results).
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from .faults import ERRORS

if TYPE_CHECKING:
    from .settings import Settings, Stats

Row = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.Response]]
BATCH_FAULTS = {"expire", "cancel", "forget", "partial errors", "fail validation", "lost reply", "slow", "deep line"}
_ENDED = {"completed", "failed", "expired", "cancelled"}
_WHY_NOT = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was cancelled."),
}


@dataclass
class File:
    id: str
    name: str
    data: bytes
    purpose: str
    created: int = field(default_factory=lambda: int(time.time()))

    def shown(self) -> Row:
        names = {"id": self.id, "filename": self.name, "purpose": self.purpose, "status": "processed"}
        return names | {"object": "file", "bytes": len(self.data), "created_at": self.created}


@dataclass
class Batch:
    id: str
    input: File
    metadata: Row
    fault: str | None
    polls: int = 0
    status: str = "validating"
    output: str | None = None  # file ids
    errors: str | None = None
    invalid: list[Row] = field(default_factory=list)
    counts: Row = field(default_factory=lambda: {"total": 0, "completed": 0, "failed": 0})
    created: int = field(default_factory=lambda: int(time.time()))

    def shown(self) -> Row:
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": self.created,
            "input_file_id": self.input.id,
            "metadata": self.metadata,
            "status": self.status,
            "output_file_id": self.output,
            "error_file_id": self.errors,
            "errors": {"object": "list", "data": self.invalid} if self.invalid else None,
            "request_counts": self.counts,
        }


class Batches:
    """`answer` gives (status, body) for the body of one row."""

    def __init__(self, settings: Settings, stats: Stats, answer: Callable[[Row], tuple[int, Any]]) -> None:
        assert set(settings.batch_faults) <= BATCH_FAULTS | {None}
        self.settings, self.stats, self.answer = settings, stats, answer
        self.files: dict[str, File] = {}
        self.batches: dict[str, Batch] = {}

    def routes(self) -> Iterator[tuple[str, str, Handler]]:
        yield "POST", "/v1/files", self._upload
        yield "GET", "/v1/files", self._list_files
        yield "GET", "/v1/files/{id}", self._file
        yield "GET", "/v1/files/{id}/content", self._content
        yield "POST", "/v1/batches", self._create
        yield "GET", "/v1/batches", self._list
        yield "GET", "/v1/batches/{id}", self._poll
        yield "POST", "/v1/batches/{id}/cancel", self._cancel

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        upload: Any = form["file"]
        return web.json_response(self._save(upload.filename, upload.file.read(), str(form["purpose"])).shown())

    async def _list_files(self, request: web.Request) -> web.Response:
        return web.json_response(_page([file.shown() for file in self.files.values()], request))

    async def _file(self, request: web.Request) -> web.Response:
        return web.json_response(_one(self.files, request).shown())

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=_one(self.files, request).data, content_type="application/octet-stream")

    async def _create(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        nth, faults = len(self.batches), self.settings.batch_faults
        fault = faults[nth] if nth < len(faults) else None
        batch = Batch(f"batch_{nth:04d}", self.files[wanted["input_file_id"]], wanted.get("metadata") or {}, fault)
        self.batches[batch.id] = batch
        self.stats.batches += 1
        self.stats.batch_rows.update(json.loads(line)["custom_id"] for line in batch.input.data.splitlines())
        if fault == "lost reply" and request.transport:
            request.transport.abort()
        return web.json_response(batch.shown())

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(_page([batch.shown() for batch in self.batches.values()], request))

    async def _poll(self, request: web.Request) -> web.Response:
        batch = _one(self.batches, request)
        if batch.status not in _ENDED:
            self._advance(batch)
        return web.json_response(batch.shown())

    async def _cancel(self, request: web.Request) -> web.Response:
        batch = _one(self.batches, request)
        if batch.status not in _ENDED:
            batch.status = "cancelling"
        return web.json_response(batch.shown())

    def _advance(self, batch: Batch) -> None:
        batch.polls += 1
        left = self.settings.batch_polls * (10 if batch.fault == "slow" else 1) - batch.polls
        rows = [json.loads(line) for line in batch.input.data.splitlines()]
        batch.counts["total"] = len(rows)
        ids = [row["custom_id"] for row in rows]
        if batch.fault == "fail validation" or len(set(ids)) < len(ids):
            batch.status = "failed"
            message = (
                "Enqueued token limit reached. Please try again once some in_progress batches have been completed."
            )
            batch.invalid = [{"code": "token_limit_exceeded", "message": message, "param": None, "line": None}]
        elif batch.status == "cancelling" or (left <= 0 and batch.fault == "cancel"):
            self._end(batch, "cancelled", rows, len(rows) // 2)
        elif left > 0:
            batch.status = "finalizing" if left == 1 and batch.polls > 1 else "in_progress"
        elif batch.fault in ("expire", "forget"):
            self._end(batch, "expired" if batch.fault == "expire" else "completed", rows, len(rows) // 2)
        else:
            self._end(batch, "completed", rows, len(rows))

    def _end(self, batch: Batch, status: str, rows: list[Row], done: int) -> None:
        """Answer the first rows, shuffle, and write the files that there is anything for."""
        answered, failed = [], []
        for i, row in enumerate(rows[:done]):
            fails = batch.fault == "partial errors" and i % 3
            code, body = ERRORS["500" if i % 3 == 1 else "400"] if fails else self.answer(row["body"])
            response = {"status_code": code, "request_id": f"req_{i}", "body": body}
            (answered if code == 200 else failed).append(_result(row, response, None))
        if status in _WHY_NOT:
            code, message = _WHY_NOT[status]
            failed += [_result(row, None, {"code": code, "message": message}) for row in rows[done:]]
        batch.status = status
        batch.counts |= {"completed": len(answered), "failed": len(failed)}
        batch.output, batch.errors = (self._results(batch, found) for found in (answered, failed))

    def _results(self, batch: Batch, rows: list[Row]) -> str | None:
        if not rows:
            return None
        random.Random(f"{self.settings.seed}:{batch.id}").shuffle(rows)
        data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        if batch.fault == "deep line":
            data = b"[" * 100_000 + b"\n" + data
        return self._save(f"{batch.id}.jsonl", data, "batch_output").id

    def _save(self, name: str, data: bytes, purpose: str) -> File:
        file = File(f"file-{len(self.files):04d}", name, data, purpose)
        self.files[file.id] = file
        return file


def _result(row: Row, response: Row | None, error: Row | None) -> Row:
    return {"id": f"batch_req_{row['custom_id']}", "custom_id": row["custom_id"], "response": response, "error": error}


def _one(things: dict[str, Any], request: web.Request) -> Any:
    found = things.get(request.match_info["id"])
    if found is None:
        text = json.dumps({"error": {"message": "No such object", "type": "invalid_request_error", "code": None}})
        raise web.HTTPNotFound(text=text, content_type="application/json")
    return found


def _page(rows: list[Row], request: web.Request) -> Row:
    """Newest first, `limit` after the one named by `after`."""
    rows = rows[::-1]
    ids = [row["id"] for row in rows]
    start = ids.index(request.query["after"]) + 1 if "after" in request.query else 0
    page = rows[start : start + int(request.query.get("limit", 20))]
    more = start + len(page) < len(rows)
    return {"object": "list", "data": page, "has_more": more} | (
        {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
    )
