import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import tenacity

from datagen.config.llm import EndpointConfig, EngineConfig, PriceConfig
from datagen.errors import ConfigError, EngineError
from datagen.llm import batch_api
from datagen.llm.base import LLM, Completion, Request
from datagen.llm.batch import BatchBackend
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob, drive
from tests.llm import asking
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

FAST = {"polls": (0.01, 0.05), "settled": 0.0}
SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}


def asked(n: int, schema: dict | None = None, model: str = "m") -> list[Request]:
    return [Request(model, [{"role": "user", "content": f"Number {i}."}], {"seed": i}, schema) for i in range(n)]


def backend_for(
    url: str, folder: Path, max_attempts: int = 3, max_error_rate: float = 1.0, key: str | None = None, **limits
) -> BatchBackend:
    endpoint = EndpointConfig(base_url=url, api_key_env=key)
    settings = EngineConfig(
        kind="openai-batch", endpoints=(endpoint,), max_attempts=max_attempts, max_error_rate=max_error_rate, patience=5
    )
    return BatchBackend(settings, str(folder), **FAST | limits)


def answers(
    backend: BatchBackend, requests: list[Request], kept: list[Completion] | None = None
) -> dict[str, Completion]:
    return {completion.key: completion for completion in asking.answers(backend, requests, kept)}


def remembered(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted((folder / "batches").glob("*.json"))]


def once(server: Server, n: int) -> bool:
    """Whether so many requests were paid for, and none of them twice."""
    return server.stats.answered.total() == n and not server.stats.answered_twice


def test_every_request_is_answered(tmp_path, monkeypatch):
    monkeypatch.setenv("BATCH_KEY", "sk-secret")
    requests = asked(30, SCHEMA)
    with serve(Settings(batch_polls=3, api_key="sk-secret", reply=lambda body: f"It is {body['seed']}.")) as server:
        found = answers(backend_for(server.url, tmp_path, key="BATCH_KEY"), requests)
    assert [found[r.key].text for r in requests] == [f"It is {i}." for i in range(30)]
    assert {(c.error, c.finish, c.attempts, c.endpoint) for c in found.values()} == {("", "stop", 1, server.url)}
    assert all(c.prompt_tokens and c.completion_tokens for c in found.values())
    assert server.stats.batches == 1
    assert once(server, 30)
    assert remembered(tmp_path) == []


def test_a_batch_is_no_larger_than_it_may_be(tmp_path):
    requests = asked(25)
    with serve() as server:
        answers(backend_for(server.url, tmp_path / "a", most_requests=10), requests)
        assert server.stats.batches == 3
    size = len(json.dumps({"custom_id": requests[0].key, "body": {"model": "m", "messages": requests[0].messages}}))
    with serve() as server:
        answers(backend_for(server.url, tmp_path / "b", most_bytes=5 * size), requests)
        assert server.stats.batches >= 7
        assert once(server, 25)


def test_a_batch_has_one_model(tmp_path):
    with serve() as server:
        answers(backend_for(server.url, tmp_path), asked(3) + asked(3, model="n"))
        assert server.stats.batches == 2


def test_no_more_batches_than_so_many_are_on_their_way(tmp_path):
    most = 0

    def count(call: str, nth: int) -> None:
        nonlocal most
        most = max(most, len(remembered(tmp_path)))

    with serve(Settings(batch_polls=3, api_faults=count)) as server:
        answers(backend_for(server.url, tmp_path, most_requests=2, most_batches=3), asked(21))
        assert server.stats.batches == 11
        assert once(server, 21)
    assert most == 3


def test_what_follows_from_an_answer_goes_into_the_next_batch(tmp_path):
    """Shards that have nothing to ask are passed over."""
    requests = asked(20)

    async def two(llm: LLM, first: Request, second: Request) -> None:
        await llm.complete(first)
        await llm.complete(second)

    def jobs() -> Iterator[ShardJob]:
        for i in range(10):
            pair = requests[2 * i : 2 * i + 2]
            yield ShardJob(f"{i}", tmp_path / f"{i}.jsonl", lambda llm, pair=pair: [two(llm, *pair)])
            yield ShardJob(f"{i} empty", tmp_path / f"{i} empty.jsonl", lambda llm: [])

    with serve() as server:
        assert len(list(drive(jobs(), backend_for(server.url, tmp_path), Budget(PriceConfig()), 10))) == 20
        assert server.stats.batches == 2
        assert once(server, 20)
    assert remembered(tmp_path) == []


def test_nothing_to_ask_asks_nobody(tmp_path):
    assert answers(backend_for("http://127.0.0.1:9/v1", tmp_path), []) == {}


@pytest.mark.parametrize("fault", ["expire", "cancel", "forget", "slow", "fail validation", "lost reply", "deep line"])
def test_only_what_is_missing_is_sent_again(tmp_path, fault):
    with serve(Settings(batch_faults=(fault, fault))) as server:
        found = answers(backend_for(server.url, tmp_path), asked(20))
        expected = {"slow": 1, "lost reply": 1, "deep line": 1}.get(fault, 3)
        assert server.stats.batches == expected
        assert once(server, 20)
    assert not any(c.error for c in found.values())
    halves = {"expire", "cancel", "forget"}
    counts = {1: 10, 2: 5, 3: 5} if fault in halves else {expected: 20}
    assert Counter(c.attempts for c in found.values()) == counts
    assert remembered(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("expire", "batch expired"),
        ("cancel", "batch cancelled"),
        ("forget", "no reply"),
        ("fail validation", "batch failed"),
    ],
)
def test_not_for_ever(tmp_path, fault, reason):
    with serve(Settings(batch_faults=(fault,) * 2)) as server:
        backend = backend_for(server.url, tmp_path, max_attempts=2)
        found = answers(backend, asked(8))
        failed = [c for c in found.values() if c.error]
        assert {(c.error, c.attempts) for c in failed} == {(reason, 2)}
        assert len(failed) == (8 if fault == "fail validation" else 2)
        assert remembered(tmp_path) == []
        again = answers(backend, [r for r in asked(8) if found[r.key].error])  # what failed may be asked anew
        assert not any(c.error for c in again.values())
        assert once(server, 8)


def test_failed_rows_are_told_apart(tmp_path):
    kinds = ["500", "400", "context", "context vllm", "refusal", "empty choices", "garbage", None]

    def fault(body: dict, nth: int) -> str | None:
        return kinds[body["seed"] % 8] if nth < 1 or body["seed"] >= 8 else None

    requests = asked(16)
    with serve(Settings(faults=fault)) as server:
        found = answers(backend_for(server.url, tmp_path), requests)
    errors = [found[r.key].error for r in requests]
    refused, too_long = "request refused by the server", "prompt over the context window"
    empty = "unfinished reply"  # paid for: it is asked for again by the next run
    assert errors[:8] == ["", refused, too_long, too_long, "", empty, "", ""]
    assert errors[8:] == ["server error", refused, too_long, too_long, "", empty, "server error", ""]
    assert [found[r.key].attempts for r in requests[8:]] == [3, 1, 1, 1, 1, 1, 3, 1]
    assert "8192 tokens" in found[requests[2].key].detail
    assert found[requests[4].key].refusal
    assert server.stats.batches == 3


def test_rows_of_the_error_file_that_may_succeed_are_sent_again(tmp_path):
    with serve(Settings(batch_faults=("partial errors",))) as server:
        found = answers(backend_for(server.url, tmp_path), asked(9))
        assert Counter((c.error, c.attempts) for c in found.values()) == {
            ("", 1): 3,
            ("", 2): 3,
            ("request refused by the server", 1): 3,
        }
        assert once(server, 6)


@pytest.mark.parametrize("lacking", ["schema unsupported", "max_tokens unsupported"])
def test_what_the_server_does_not_take_is_left_out(tmp_path, lacking):
    requests = [Request("m", r.messages, r.sampling | {"max_tokens": 9}, SCHEMA) for r in asked(5)]
    with serve(Settings(faults=lambda body, nth: lacking)) as server:
        backend = backend_for(server.url, tmp_path, max_attempts=1)
        found = answers(backend, requests)
        assert {(c.error, c.attempts) for c in found.values()} == {("", 1)}
        assert server.stats.batches == 2


def test_one_bad_schema_does_not_cost_the_others_theirs(tmp_path):
    def fault(body: dict, nth: int) -> str | None:
        return "schema unsupported" if body["seed"] == 1 else None

    with serve(Settings(faults=fault)) as server:
        found = answers(backend_for(server.url, tmp_path), asked(4, SCHEMA))
        assert [c.error for c in found.values()].count("request refused by the server") == 1
        assert server.stats.batches == 1


def test_a_batch_that_finds_no_room_waits_for_another_to_end(tmp_path):
    answered: list[int] = []  # when a batch is submitted

    def look(call: str, nth: int) -> None:
        if call == "POST /v1/batches":
            answered.append(server.stats.answered.total())

    with serve(Settings(batch_polls=4, batch_faults=(None, "fail validation", "slow"), api_faults=look)) as server:
        found = answers(backend_for(server.url, tmp_path, max_attempts=1, most_requests=4), asked(12))
        assert {(c.error, c.attempts) for c in found.values()} == {("", 1)}
        assert once(server, 12)
    assert answered == [0, 0, 0, 4]  # one of two has ended


@pytest.mark.parametrize("fault", ["503", "reset", "garbage"])
def test_calls_are_tried_again_until_they_get_through(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(batch_api, "BACK_OFF", tenacity.wait_fixed(0.01))

    def flaky(call: str, nth: int) -> str | None:
        return fault if not nth and not call.endswith("/content") else None

    with serve(Settings(api_faults=flaky)) as server:
        answers(backend_for(server.url, tmp_path), asked(5))
        assert server.stats.batches == 1
        assert once(server, 5)
        twice = {"GET /v1/batches", "POST /v1/files", "POST /v1/batches", "GET /v1/batches/{id}"}
        assert all(server.stats.calls[call] >= 2 for call in twice)


def test_results_that_break_off_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_api, "BACK_OFF", tenacity.wait_fixed(0.01))
    with serve(Settings(api_faults=lambda call, nth: "reset" if "content" in call and nth < 2 else None)) as server:
        answers(backend_for(server.url, tmp_path), asked(5))
        assert server.stats.calls["GET /v1/files/{id}/content"] == 3
        assert once(server, 5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(api_key="another"), "401"),
        (Settings(has_batches=False), "404.*batch API"),
        (Settings(api_faults=lambda call, nth: "quota" if call == "POST /v1/batches" else None), "insufficient_quota"),
        (Settings(faults=lambda body, nth: "404 model"), "does not exist"),
        (Settings(faults=lambda body, nth: "quota"), "current quota"),
    ],
)
def test_a_server_that_will_refuse_everything_ends_the_run(tmp_path, monkeypatch, settings, words):
    monkeypatch.setenv("BATCH_KEY", "sk-secret")
    with serve(settings) as server, pytest.raises(EngineError, match=f"refuses every request: .*{words}") as raised:
        answers(backend_for(server.url, tmp_path, key="BATCH_KEY"), asked(5))
    assert "sk-secret" not in str(raised.value)
    assert server.stats.batches <= 1
    assert not any("sk-secret" in path.read_text() for path in tmp_path.rglob("*.json"))
    with serve() as good:  # the same requests are sent anew
        answers(backend_for(good.url, tmp_path), asked(5))
        assert once(good, 5)


def test_so_does_silence(tmp_path):
    with serve() as server:
        pass
    backend = backend_for(server.url, tmp_path)
    backend.settings = backend.api.settings = backend.settings.model_copy(update={"patience": 0.2})
    with pytest.raises(EngineError, match="has not answered for 0 s"):
        answers(backend, asked(1))


def test_so_do_too_many_failures(tmp_path):
    taken: list[Completion] = []
    with serve(Settings(faults=lambda body, nth: "400" if body["seed"] % 3 else None)) as server:
        backend = backend_for(server.url, tmp_path, max_error_rate=0.5)
        with pytest.raises(EngineError, match="20 of 30 requests failed"):
            answers(backend, asked(30), taken)
    assert len(taken) == 30  # what is paid for is kept
    assert remembered(tmp_path) == []


def test_settings_that_make_no_sense_are_refused(tmp_path, monkeypatch):
    two = EngineConfig(endpoints=(EndpointConfig(base_url="http://a/v1"), EndpointConfig(base_url="http://b/v1")))
    with pytest.raises(ConfigError, match="one endpoint, not 2"):
        BatchBackend(two, str(tmp_path))
    monkeypatch.delenv("BATCH_KEY", raising=False)
    with pytest.raises(ConfigError, match="BATCH_KEY"):
        backend_for("http://a/v1", tmp_path, key="BATCH_KEY")
