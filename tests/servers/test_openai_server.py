import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path

import openai
import pytest

from datagen.llm.http import httpx
from tests.servers.faults import ERRORS, MARRED
from tests.servers.model import chunks, question, reply
from tests.servers.openai_server import payload_hash, serve
from tests.servers.settings import Settings

THOUGHT = ("reasoning_content", "only reasoning")
ROOT = Path(__file__).parents[2]
BODY = {"model": "scripted", "messages": [{"role": "user", "content": "Hello."}]}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "reply", "schema": {"type": "object", "properties": {"x": {"type": "string"}}}},
}


def numbered(n: int) -> list[dict]:
    return [BODY | {"seed": i} for i in range(n)]


def post(server, body=BODY, **kwargs):
    return httpx.post(f"{server.url}/chat/completions", json=body, timeout=5, **kwargs)


def post_all(url: str, bodies: list[dict]) -> list[httpx.Response | BaseException]:
    async def run():
        async with httpx.AsyncClient(timeout=10) as client:
            posts = (client.post(f"{url}/chat/completions", json=body) for body in bodies)
            return await asyncio.gather(*posts, return_exceptions=True)

    return asyncio.run(run())


def test_a_completion_has_what_openai_sends():
    with serve(Settings(reply="Good day.")) as server:
        body = post(server, headers={"Authorization": "Bearer k"}).json()
        models = httpx.get(f"{server.url}/models").json()
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "Good day."}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {
        "prompt_tokens": 2,
        "completion_tokens": 3,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert models["data"][0]["id"] == "scripted"
    assert server.stats.answered == {payload_hash(BODY): 1}
    assert server.stats.authorizations["Bearer k"] == 1


def test_the_cache_knows_how_recent_prompts_begin():
    def cached(text: str) -> int:
        body = BODY | {"messages": [{"role": "user", "content": text}]}
        return post(server, body).json()["usage"]["prompt_tokens_details"]["cached_tokens"]

    with serve(Settings(cached_prompts=2)) as server:
        assert [cached(c * 2000 + tail) for c, tail in ["a1", "a2", "b1", "c1", "a3"]] == [0, 500, 0, 0, 0]


@pytest.mark.parametrize("fault", sorted(ERRORS))
def test_errors_have_their_status_and_body(fault):
    status, body = ERRORS[fault]
    with serve(Settings(faults=lambda body, asked: fault if not asked else None)) as server:
        request = BODY | {"response_format": SCHEMA, "max_tokens": 9, "encoding_format": "base64"}
        found = post(server, request, headers={"Authorization": "Bearer sk-secret"})
        again = post(server, request)
    assert found.status_code == status
    if fault == "401":
        assert "sk-secret" in found.text
    elif isinstance(body, str):
        assert found.text == body
    else:
        assert found.json() == body
    assert again.status_code == 200
    assert server.stats.faults == {fault: 1}


def test_a_429_says_when_to_come_back_in_three_ways():
    with serve(Settings(faults=lambda body, asked: body["fault"], retry_after=30)) as server:
        given = [post(server, BODY | {"fault": f}).headers.get("Retry-After") for f in ("429", "429 date", "429 bare")]
    assert given[0] == "30"
    assert 28 <= parsedate_to_datetime(given[1] or "").timestamp() - time.time() <= 31
    assert given[2] is None


@pytest.mark.parametrize("fault", ["schema unsupported", "max_tokens unsupported"])
def test_a_server_that_lacks_something_takes_requests_without_it(fault):
    with serve(Settings(faults=lambda body, asked: fault)) as server:
        assert post(server).status_code == 200


@pytest.mark.parametrize("fault", sorted(MARRED))
def test_marred_replies(fault):
    with serve(Settings(reply='{"x": "y"}', faults=lambda body, asked: fault)) as server:
        choices = post(server).raise_for_status().json()["choices"]
    if fault == "empty choices":
        assert choices == []
        return
    message, finish = choices[0]["message"], choices[0]["finish_reason"]
    assert (finish == "length") == (fault == "length")
    expected = {
        "null content": None,
        "refusal": None,
        "length": '{"x":',
        "reasoning_content": '{"x": "y"}',
        "think": '<think>\nLet me think about it.\n</think>\n\n{"x": "y"}',
        "only reasoning": None,
        "tool calls": None,
        "filtered": '{"x":',
        "abort": '{"x":',
        "late error": "",
    }
    assert message["content"] == expected.get(fault, '{"x": "y"}')
    assert ("refusal" in message, "reasoning_content" in message) == (fault == "refusal", fault in THOUGHT)


@pytest.mark.parametrize("fault", ["reset", "cut", "hang", "garbage"])
def test_broken_replies(fault):
    raised = {"reset": httpx.RemoteProtocolError, "cut": httpx.RemoteProtocolError, "hang": httpx.ReadTimeout}
    with serve(Settings(faults=lambda body, asked: fault)) as server:
        if fault == "garbage":
            found = httpx.post(f"{server.url}/chat/completions", json=BODY)
            assert found.status_code == 200
            with pytest.raises(ValueError, match="Expecting value"):
                found.json()
        else:
            with pytest.raises(raised[fault]):
                httpx.post(f"{server.url}/chat/completions", json=BODY, timeout=0.3)
    assert not server.stats.answered.total() if fault != "garbage" else True


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match="no such fault"):
        Settings(faults=("428",))


def test_draws_depend_on_seed_and_payload_alone():
    def drawn(seed: int, bodies: list[dict]) -> dict[str, tuple]:
        settings = Settings(seed=seed, latency=0.1, spread=0.5, faults=("500", "400", "garbage"), fault_rate=0.5)
        with serve(settings) as server:
            statuses = [r.status_code for r in post_all(server.url, bodies) if isinstance(r, httpx.Response)]
            keys = [payload_hash(body) for body in bodies]
            return {k: (s, server.latency(k, 0), server.latency(k, 1)) for k, s in zip(keys, statuses, strict=True)}

    bodies = numbered(40)
    first, again, other = drawn(1, bodies), drawn(1, bodies[::-1]), drawn(2, bodies)
    assert first == again != other
    latencies = [latency for _, *both in first.values() for latency in both]
    assert all(0.05 <= latency <= 0.15 for latency in latencies)
    assert len(set(latencies)) == 80
    assert {status for status, *_ in first.values()} == {200, 400, 500}


def test_latency_is_waited_for():
    with serve(Settings(latency=0.2)) as server:
        start = time.monotonic()
        post_all(server.url, numbered(5))
    assert 0.2 <= time.monotonic() - start < 0.9


def test_requests_queue_for_the_slots():
    with serve(Settings(slots=3, latency=0.02)) as server:
        replies = post_all(server.url, numbered(12))
    assert [r.status_code for r in replies if isinstance(r, httpx.Response)] == [200] * 12
    assert server.stats.max_busy == 3
    assert server.stats.max_in_flight > 3
    assert server.stats.in_flight == server.stats.busy == 0


def test_or_are_turned_away():
    with serve(Settings(slots=3, latency=0.3, overflow="429", retry_after=2)) as server:
        replies = [r for r in post_all(server.url, numbered(12)) if isinstance(r, httpx.Response)]
    assert sorted(r.status_code for r in replies) == [200] * 3 + [429] * 9
    assert {r.headers.get("Retry-After") for r in replies} == {None, "2"}


def test_after_so_many_answers_nobody_is_there():
    with serve(Settings(die_after=5, latency=0.05, slots=2)) as server:
        replies = post_all(server.url, numbered(12))
        with pytest.raises(httpx.ConnectError):
            post(server)
        assert sum(isinstance(r, httpx.Response) for r in replies) == server.stats.answered.total() == 5
        port = int(server.url.split(":")[2].split("/")[0])
        with serve(replace(server.settings, die_after=None, port=port)) as revived:
            assert post(revived).status_code == 200


def test_a_client_that_is_gone_got_no_answer():
    with serve(Settings(latency=0.3)) as server:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/chat/completions", json=BODY, timeout=0.1)
        time.sleep(0.4)
        assert (server.stats.in_flight, server.stats.busy, server.stats.answered.total()) == (0, 0, 0)


def test_a_wrong_key_opens_nothing():
    with serve(Settings(api_key="right")) as server:
        for url in ("models", "files", "batches"):
            assert httpx.get(f"{server.url}/{url}").status_code == 401
        assert post(server, headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert post(server, headers={"Authorization": "Bearer right"}).status_code == 200


def submitted(client: openai.OpenAI, n: int, **metadata: str):
    lines = [
        {"custom_id": str(i), "method": "POST", "url": "/v1/chat/completions", "body": body}
        for i, body in enumerate(numbered(n))
    ]
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    file = client.files.create(file=("rows.jsonl", data), purpose="batch")
    assert client.files.retrieve(file.id).bytes == len(data)
    assert client.files.content(file.id).content == data
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata=metadata
    )


def rows(client: openai.OpenAI, file: str | None) -> list[dict]:
    return [json.loads(line) for line in client.files.content(file).text.splitlines()] if file else []


def client_of(server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="k", max_retries=0)


def test_a_batch_from_upload_to_output():
    with serve(Settings(batch_polls=3)) as server:
        client = client_of(server)
        batch = submitted(client, 8, mark="mine")
        assert (batch.status, batch.metadata) == ("validating", {"mark": "mine"})
        polled = [client.batches.retrieve(batch.id) for _ in range(4)]
        assert [b.status for b in polled] == ["in_progress", "finalizing", "completed", "completed"]
        found = rows(client, polled[-1].output_file_id)
        assert [row["custom_id"] for row in found] != sorted(row["custom_id"] for row in found)
        assert {row["custom_id"] for row in found} == set(map(str, range(8)))
        assert found[0]["response"]["body"]["choices"][0]["message"]["content"] == "OK"
        assert polled[-1].error_file_id is None
        counts = polled[-1].request_counts
        assert counts
        assert (counts.total, counts.completed, counts.failed) == (8, 8, 0)
        assert server.stats.batch_rows.total() == server.stats.answered.total() == 8
        assert len(list(client.files.list())) == 2


def test_batches_are_listed_by_pages():
    with serve() as server:
        client = client_of(server)
        made = [submitted(client, 1).id for _ in range(5)]
        assert [b.id for b in client.batches.list(limit=2)] == made[::-1]
        page = client.batches.list(limit=2, after=made[3])
        assert ([b.id for b in page.data], page.has_more) == ([made[2], made[1]], True)


@pytest.mark.parametrize(
    ("fault", "status", "answered", "failed"),
    [
        ("expire", "expired", 4, {"batch_expired"}),
        ("cancel", "cancelled", 4, {"batch_cancelled"}),
        ("forget", "completed", 4, set()),
        ("partial errors", "completed", 3, {500, 400}),
        ("fail validation", "failed", 0, set()),
        ("slow", "completed", 8, set()),
    ],
)
def test_faults_of_batches(fault, status, answered, failed):
    with serve(Settings(batch_faults=(fault,))) as server:
        client = client_of(server)
        batch = submitted(client, 8)
        for _ in range(10 if fault == "slow" else 1):
            assert batch.status != status
            batch = client.batches.retrieve(batch.id)
        assert batch.status == status
        assert len(rows(client, batch.output_file_id)) == server.stats.answered.total() == answered
        errors = rows(client, batch.error_file_id)
        assert {row["error"]["code"] if row["error"] else row["response"]["status_code"] for row in errors} == failed
        assert len(errors) == (8 - answered if failed else 0)
        assert bool(batch.errors) == (status == "failed")


def test_a_batch_is_created_though_the_reply_is_lost():
    with serve(Settings(batch_faults=("lost reply",))) as server:
        client = client_of(server)
        with pytest.raises(openai.APIConnectionError):
            submitted(client, 2, mark="lost")
        assert [b.metadata for b in client.batches.list()] == [{"mark": "lost"}]


def test_a_batch_is_cancelled():
    with serve(Settings(batch_polls=9)) as server:
        client = client_of(server)
        batch = submitted(client, 2)
        assert client.batches.cancel(batch.id).status == "cancelling"
        assert client.batches.retrieve(batch.id).status == "cancelled"
        with pytest.raises(openai.NotFoundError):
            client.batches.retrieve("batch_none")


def test_rows_of_batches_have_faults_as_requests_do():
    with serve(Settings(faults=lambda body, asked: "context" if body["seed"] == 1 else None)) as server:
        client = client_of(server)
        batch = client.batches.retrieve(submitted(client, 3).id)
        assert [r["response"]["status_code"] for r in rows(client, batch.error_file_id)] == [400]


def test_other_calls_have_faults_of_their_own():
    def faults(call: str, nth: int) -> str | None:
        return {"POST /v1/files": "503", "GET /v1/batches/{id}": "reset"}.get(call) if not nth else None

    with serve(Settings(api_faults=faults)) as server:
        client = client_of(server)
        with pytest.raises(openai.InternalServerError):
            submitted(client, 1)
        batch = submitted(client, 1)
        with pytest.raises(openai.APIConnectionError):
            client.batches.retrieve(batch.id)
        assert client.batches.retrieve(batch.id).status == "completed"
        assert server.stats.calls["POST /v1/files"] == 2


def test_most_servers_have_no_batches():
    with serve(Settings(has_batches=False)) as server:
        assert httpx.get(f"{server.url}/batches").status_code == 404


def test_from_a_shell(tmp_path):
    log = tmp_path / "answered"
    flags = ["--reply", "Yes.", "--answered-log", str(log), "--faults", "400", "--fault-rate", "0.5", "--seed", "3"]
    command = [sys.executable, "-m", "tests.servers.openai_server", "--port", "0", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            replies = [r for r in post_all(url, numbered(20)) if isinstance(r, httpx.Response)]
            stats = httpx.get(url.removesuffix("v1") + "stats").json()
        finally:
            os.kill(process.pid, signal.SIGKILL)
    answered = [r for r in replies if r.status_code == 200]
    assert 0 < len(answered) < 20
    assert {r.json()["choices"][0]["message"]["content"] for r in answered} == {"Yes."}
    assert sorted(log.read_text().split()) == sorted(stats["answered"])
    assert (stats["answered_total"], stats["answered_twice"], stats["requests"]) == (len(answered), 0, 20)


def test_servers_leave_no_threads_behind():
    before = threading.active_count()
    for _ in range(3):
        with serve() as server:
            post(server)
    assert threading.active_count() == before


PASSAGES = {
    0: "In the spring the ferry to Larkmoor ran twice a day. The harbour of Estonby froze over that winter.",
    1: "Her ledger listed 4127 crates of salt. A clerk named Ottoline counted them.",
    2: "Nobody could say why the bells of Grisholm rang. The mayor paid 88 crowns for the rope.",
}


@pytest.mark.parametrize("with_schema", [True, False])
def test_the_model_asks_about_what_it_is_shown(with_schema):
    shown = "\n".join(f"<CHUNK_{i}>{text}</CHUNK_{i}>" for i, text in PASSAGES.items())
    assert chunks(shown) == PASSAGES
    names = {"question": {"type": "string"}, "answer": {"type": "string"}, "evidence": {"type": "array"}}
    schema = {"type": "object", "properties": names | {"skip": {"type": "boolean"}}}
    for seed in range(20):
        content = f"{shown}\nWrite one question about these passages as JSON."
        request = BODY | {"messages": [{"role": "user", "content": content}], "seed": seed}
        if with_schema:
            request["response_format"] = {"type": "json_schema", "json_schema": {"name": "q", "schema": schema}}
        found = json.loads(reply(request))
        assert reply(request) == reply(json.loads(json.dumps(request)))
        answers = found["answer"].split("; ")
        assert len(answers) == len(found["evidence"]) in (2, 3)
        assert all(answer in PASSAGES[i] for answer, i in zip(answers, found["evidence"], strict=True))
        assert not any(answer in found["question"] for answer in answers)
        assert found.get("skip") is (False if with_schema else None)


def test_the_model_answers_from_what_it_is_shown():
    shown = dict(PASSAGES)
    schema = {"type": "object", "properties": {"answerable": {"type": "boolean"}, "answer": {"type": "string"}}}
    for seed in range(20):
        made = question(shown, seed * 7919)
        for left_out in (None, *made["evidence"]):
            seen = "\n".join(f"<CHUNK_{i}>{text}</CHUNK_{i}>" for i, text in shown.items() if i != left_out)
            request = BODY | {"messages": [{"role": "user", "content": f"{seen}\n{made['question']}"}]}
            request["response_format"] = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
            found = json.loads(reply(request))
            expected = made["answer"] if left_out is None else ""
            assert found == {"answerable": left_out is None, "answer": expected}


def test_the_model_rates():
    schema = {"type": "object", "properties": {"reason": {"type": "string"}, "rating": {"type": "number"}}}
    found = []
    for seed in range(60):
        request = BODY | {"seed": seed, "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
        found.append(json.loads(reply(request)))
    assert all(set(f) == {"reason", "rating"} for f in found)
    ratings = [f["rating"] for f in found]
    assert all(0 <= r <= 10 for r in ratings)
    assert sum(r >= 8 for r in ratings) > 30
    assert min(ratings) < 5


def test_embeddings_are_what_openai_sends():
    def ask(**given) -> dict:
        body = {"model": "scripted", "input": ["red stone", "red stone", "blue sea"], **given}
        return httpx.post(f"{server.url}/embeddings", json=body, timeout=5).json()

    with serve() as server:
        plain, packed = ask(), ask(encoding_format="base64")
        client = openai.OpenAI(base_url=server.url, api_key="k", max_retries=0)
        official = client.embeddings.create(model="scripted", input="blue sea").data[0].embedding
    assert [item["index"] for item in plain["data"]] == [0, 1, 2]
    first, second, other = (item["embedding"] for item in plain["data"])
    assert first == second != other
    assert sum(x * x for x in first) == pytest.approx(1)
    assert isinstance(packed["data"][0]["embedding"], str)
    assert official == pytest.approx(other, abs=1e-6)
    assert plain["usage"] == {"prompt_tokens": 6, "total_tokens": 6}


def test_embeddings_have_faults_too():
    with serve(Settings(faults=("503", "fewer vectors"), fault_rate=1.0, seed=3)) as server:
        bodies = [{"model": "scripted", "input": [f"text {i}", "x"]} for i in range(20)]
        replies = [httpx.post(f"{server.url}/embeddings", json=body, timeout=5) for body in bodies]
    assert {r.status_code for r in replies} == {200, 503}
    assert {len(r.json()["data"]) for r in replies if r.status_code == 200} == {1}


def test_a_redirect():
    with serve(Settings(faults=lambda body, asked: "redirect", elsewhere="http://there")) as server:
        found = httpx.post(f"{server.url}/chat/completions", json=BODY)
    assert (found.status_code, found.headers["location"]) == (307, "http://there/v1/chat/completions")


@pytest.mark.parametrize(("fault", "at_least"), [("drip", 1), ("endless", 10_000_000), ("bomb", 40_000_000)])
def test_replies_that_do_not_end(fault: str, at_least: int):
    size = 0
    with serve(Settings(faults=lambda body, asked: fault)) as server:
        with httpx.stream("POST", f"{server.url}/chat/completions", json=BODY) as found:
            for part in found.iter_bytes():
                size += len(part)
                if size >= at_least:
                    break
        assert not server.stats.answered.total()
