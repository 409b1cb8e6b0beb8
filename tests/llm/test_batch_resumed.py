"""What a run leaves behind when it ends, however it ends, and that the next one pays for none of it again."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from datagen import shards
from datagen.errors import EngineError
from datagen.llm.base import Closed
from tests.llm.test_batch import answers, asked, engine_for, remembered
from tests.servers.openai_server import Server, Settings, serve


def submitted_once(server: Server, n: int) -> bool:
    rows = server.stats.batch_rows
    return len(rows) == rows.total() == n


def test_closed_while_it_waits(tmp_path):
    with serve(Settings(batch_polls=1000)) as server:
        engine = engine_for(server.url, tmp_path, polls=(60, 60))
        raised: list[BaseException] = []

        def wait() -> None:
            try:
                answers(engine, asked(3))
            except Closed as e:
                raised.append(e)

        thread = threading.Thread(target=wait)
        thread.start()
        while not server.stats.calls["GET /v1/batches/{id}"]:
            time.sleep(0.01)
        engine.close()
        thread.join(5)
        assert raised
        assert len(remembered(tmp_path)) == 1


def test_what_was_answered_but_not_taken_is_read_again(tmp_path):
    requests = asked(12)
    with serve() as server:
        asking = engine_for(server.url, tmp_path, most_requests=4).ask(iter(requests))
        next(asking)
        asking.close()  # before it was told that they are on disk
        answers(engine_for(server.url, tmp_path), requests[::-1])
        assert server.stats.batches == 3
        assert submitted_once(server, 12)
        assert remembered(tmp_path) == []


def test_batches_under_way_are_found_by_requests_in_any_number(tmp_path):
    def interrupt(call: str, nth: int) -> None:
        if call == "GET /v1/batches/{id}" and not nth:
            engine.close()

    with serve(Settings(batch_polls=3, api_faults=interrupt)) as server:
        engine = engine_for(server.url, tmp_path, most_requests=5, polls=(60, 60))
        with pytest.raises(Closed):
            answers(engine, asked(10))
        assert server.stats.batches == 2
        assert len(answers(engine_for(server.url, tmp_path), asked(3))) == 3  # fewer
        assert sum(len(batch["attempts"]) for batch in remembered(tmp_path)) == 7
        assert len(answers(engine_for(server.url, tmp_path), asked(14)[3:])) == 11  # others, and more
        assert server.stats.batches == 3
        assert submitted_once(server, 14)
        assert remembered(tmp_path) == []


def test_of_an_expired_batch_that_was_left_only_the_rest_is_sent_again(tmp_path):
    requests = asked(8)
    with serve(Settings(batch_faults=("expire", "expire"))) as server:
        for _ in range(2):  # interrupted with half of an expired batch in hand
            asking = engine_for(server.url, tmp_path).ask(iter(requests))
            next(asking)
            asking.close()
        answers(engine_for(server.url, tmp_path), requests)
        assert server.stats.batches == 3
        assert server.stats.batch_rows.total() == 8 + 4 + 2
        assert server.stats.answered.total() == 8


def test_another_server_knows_nothing_of_a_batch(tmp_path):
    with serve() as server:
        asking = engine_for(server.url, tmp_path).ask(iter(asked(2)))
        next(asking)
        asking.close()
        port = int(server.url.split(":")[2].split("/")[0])
    with serve(Settings(port=port)) as server:
        with pytest.raises(EngineError, match=r"knows nothing of batch_0000.* Delete .*json"):
            answers(engine_for(server.url, tmp_path), asked(2))
        assert server.stats.batches == 0


def test_results_that_are_gone_are_not_waited_for(tmp_path):
    old = {"key": "k", "sent": 0.0, "attempts": {asked(1)[0].key: 1}, "lacks": [], "file": "f", "batch": "b"}
    with serve() as server:
        shards.write_json(str(tmp_path / "batches" / "k.json"), old | {"url": server.url})
        assert not answers(engine_for(server.url, tmp_path), asked(1))[asked(1)[0].key].error
        assert remembered(tmp_path) == []


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

    here = Path(__file__).parent
    code = (
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]; from pathlib import Path; "
        "from test_batch import answers, asked, engine_for; "
        "answers(engine_for(sys.argv[1], Path(sys.argv[2])), asked(6))"
    )
    faults = ("lost reply",) if lost else ()
    with serve(Settings(batch_polls=3, api_faults=kill, batch_faults=faults)) as server:
        client = subprocess.Popen([sys.executable, "-c", code, server.url, str(tmp_path)])
        assert client.wait(60) == -signal.SIGKILL
        answers(engine_for(server.url, tmp_path, settled=0.5), asked(9))
        assert server.stats.batches == (1 if nth == 0 and "content" not in call else 2)
        assert submitted_once(server, 9)
        assert remembered(tmp_path) == []
