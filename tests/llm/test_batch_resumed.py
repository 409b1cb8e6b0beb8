"""What a run leaves behind when it ends, however it ends, and that the next one pays for none of it again."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from datagen import shards
from datagen.errors import EngineError
from datagen.llm.base import Request
from datagen.llm.batch import BatchBackend
from tests.llm.test_batch import answers, asked, backend_for, remembered
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings


def submitted_once(server: Server, n: int) -> bool:
    rows = server.stats.batch_rows
    return len(rows) == rows.total() == n


async def first_of(backend: BatchBackend, requests: list[Request]) -> None:
    """Ask, and go away when the first reply is there, before it is on disk."""
    asking = [asyncio.ensure_future(backend.complete(request)) for request in requests]
    await asyncio.sleep(0)
    backend.idle()
    await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await backend.close()


async def until(backend: BatchBackend, requests: list[Request], seen: threading.Event) -> None:
    """Ask, and go away when something was seen."""
    asking = asyncio.gather(*(backend.complete(request) for request in requests))
    await asyncio.sleep(0)
    backend.idle()
    await asyncio.to_thread(seen.wait, 30)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await backend.close()


def test_closed_while_it_waits(tmp_path):
    polled = threading.Event()
    look = lambda call, nth: polled.set() if call == "GET /v1/batches/{id}" else None  # noqa: E731
    with serve(Settings(batch_polls=1000, api_faults=look)) as server:
        # It does not sit out its pause of a day.
        asyncio.run(until(backend_for(server.url, tmp_path, polls=(86_400, 86_400)), asked(3), polled))
        assert len(remembered(tmp_path)) == 1


def test_what_was_answered_but_not_kept_is_read_again(tmp_path):
    requests = asked(12)
    with serve() as server:
        asyncio.run(first_of(backend_for(server.url, tmp_path, most_requests=4), requests))
        answers(backend_for(server.url, tmp_path), requests[::-1])
        assert server.stats.batches == 3
        assert submitted_once(server, 12)
        assert remembered(tmp_path) == []


def test_batches_under_way_are_found_by_requests_in_any_number(tmp_path):
    polled = threading.Event()
    look = lambda call, nth: polled.set() if call == "GET /v1/batches/{id}" else None  # noqa: E731
    with serve(Settings(batch_polls=3, api_faults=look)) as server:
        asyncio.run(until(backend_for(server.url, tmp_path, most_requests=5, polls=(60, 60)), asked(10), polled))
        assert server.stats.batches == 2
        assert len(answers(backend_for(server.url, tmp_path), asked(3))) == 3  # fewer
        assert sum(len(batch["attempts"]) for batch in remembered(tmp_path)) == 7
        assert len(answers(backend_for(server.url, tmp_path), asked(14)[3:])) == 11  # others, and more
        assert server.stats.batches == 3
        assert submitted_once(server, 14)
        assert remembered(tmp_path) == []


def test_of_an_expired_batch_that_was_left_only_the_rest_is_sent_again(tmp_path):
    requests = asked(8)
    with serve(Settings(batch_faults=("expire", "expire"))) as server:
        for _ in range(2):  # interrupted with half of an expired batch in hand
            asyncio.run(first_of(backend_for(server.url, tmp_path), requests))
        answers(backend_for(server.url, tmp_path), requests)
        assert server.stats.batches == 3
        assert server.stats.batch_rows.total() == 8 + 4 + 2
        assert server.stats.answered.total() == 8


def test_another_server_knows_nothing_of_a_batch(tmp_path):
    with serve() as server:
        asyncio.run(first_of(backend_for(server.url, tmp_path), asked(2)))
        port = int(server.url.split(":")[2].split("/")[0])
    with serve(Settings(port=port)) as server:
        with pytest.raises(EngineError, match=r"knows nothing of batch_0000.* Delete .*json"):
            answers(backend_for(server.url, tmp_path), asked(2))
        assert server.stats.batches == 0


def test_results_that_are_gone_are_not_waited_for(tmp_path):
    old = {"key": "k", "sent": 0.0, "attempts": {asked(1)[0].key: 1}, "lacks": [], "file": "f", "batch": "b"}
    with serve() as server:
        shards.write_json(str(tmp_path / "batches" / "k.json"), old | {"url": server.url})
        assert not answers(backend_for(server.url, tmp_path), asked(1))[asked(1)[0].key].error
        assert remembered(tmp_path) == []


def test_a_clock_that_was_put_back_keeps_nobody_waiting_for_it(tmp_path):
    key = asked(1)[0].key
    unsure = {"key": "k", "sent": time.time() + 86_400, "attempts": {key: 1}, "lacks": [], "file": "f", "batch": ""}
    with serve() as server:
        shards.write_json(str(tmp_path / "batches" / "k.json"), unsure | {"url": server.url})

        async def ask():
            async with asyncio.timeout(20):
                return await first_of(backend_for(server.url, tmp_path, settled=0.2), asked(1))

        asyncio.run(ask())
        assert server.stats.batches == 1


@pytest.mark.parametrize(
    ("call", "nth", "lost"),
    [
        ("GET /v1/batches", 0, False),  # before anything is on its way
        ("POST /v1/files", 0, False),  # on disk, not submitted
        ("POST /v1/batches", 0, False),  # uploaded, not submitted
        ("GET /v1/batches", 1, True),  # submitted, but its id was never heard of
        ("GET /v1/batches/{id}", 1, False),
        ("GET /v1/files/{id}/content", 0, False),
    ],
)
def test_a_client_killed_at_any_point_pays_once(tmp_path, call, nth, lost):
    def kill(now: str, how_often: int) -> str | None:
        if (now, how_often) == (call, nth):
            os.kill(client.pid, signal.SIGKILL)
            client.wait()
            return "reset"
        return None

    code = (
        "import sys; from pathlib import Path; from tests.llm.test_batch import answers, asked, backend_for; "
        "answers(backend_for(sys.argv[1], Path(sys.argv[2])), asked(6))"
    )
    faults = ("lost reply",) if lost else ()
    with serve(Settings(batch_polls=3, api_faults=kill, batch_faults=faults)) as server:
        client = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path)])
        assert client.wait(60) == -signal.SIGKILL
        answers(backend_for(server.url, tmp_path, settled=0.5), asked(9))
        assert server.stats.batches == (1 if nth == 0 and "content" not in call else 2)
        assert submitted_once(server, 9)
        assert remembered(tmp_path) == []
