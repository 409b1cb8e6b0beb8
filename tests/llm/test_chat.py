"""The engine against a real server: whatever goes wrong there, every request gets exactly one completion."""

import asyncio
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from datagen.config.llm import EndpointConfig, EngineConfig, PriceConfig
from datagen.errors import EngineError, ServerWarning, UserError
from datagen.llm import cost, http, journal, pool
from datagen.llm.base import LLM, Completion, Conversation, Request
from datagen.llm.chat import ChatBackend
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob, drive, replay
from datagen.llm.endpoint import payload
from datagen.llm.http_errors import NO_ROOM, TOO_LONG
from datagen.llm.objects import ParseError
from datagen.llm.parsing import NoReply, ask
from tests.llm.asking import answers, threads
from tests.servers.openai_server import Server, payload_hash, serve
from tests.servers.settings import Settings

SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}
FREE = Budget(PriceConfig())
NAMES = ("prompt_tokens", "completion_tokens", "cached_tokens", "lost_prompt_tokens", "lost_completion_tokens")
REFUSED, OVERLOADED = "request refused by the server", "too many requests"
PASSING = {
    "reset": "connection failed",
    "cut": "connection failed",
    "hang": "timed out",
    "408": "server error",
    "425": "server error",
    "429": OVERLOADED,
    "429 date": OVERLOADED,
    "429 bare": OVERLOADED,
    "500": "server error",
    "502 html body": "server error",
    "503": "server error",
    "garbage": "garbled reply",
    "200 error": "server error",
}


def numbered(n: int, schema: dict | None = None, group: str = "") -> list[Request]:
    messages = [{"role": "user", "content": "Which number is it?"}]
    return [Request("m", messages, {"seed": i, "max_tokens": 9}, schema, group=group) for i in range(n)]


def number(body: dict) -> str:
    return f"It is {body['seed']}."


def backend_for(*urls: str, keys: tuple[str | None, ...] = (), max_concurrency: int = 64, **given) -> ChatBackend:
    keys = keys or (None,) * len(urls)
    endpoints = tuple(
        EndpointConfig(base_url=url, api_key_env=key, max_concurrency=max_concurrency)
        for url, key in zip(urls, keys, strict=True)
    )
    return ChatBackend(EngineConfig(endpoints=endpoints, **given))


def sent(server: Server, request: Request) -> int:
    """How often the server got this request."""
    return server.stats.received[payload_hash(payload(request))]


def dead() -> str:
    """An address where nobody is."""
    with serve() as server:
        return server.url


def texts(found: list[Completion]) -> list[str | None]:
    return [completion.text for completion in found]


# Faults that pass, and such as do not ---------------------------------------------------------------------------------


@dataclass
class Overcome:
    """What came of three requests for each fault that pass with the first attempt."""

    server: Server
    found: dict[str, list[tuple[Request, Completion]]] = field(default_factory=dict)
    seen: dict[int, list[float]] = field(default_factory=dict)  # when the server got a request, by its number


@pytest.fixture(scope="module")
def overcome() -> Overcome:
    names, seen = list(PASSING), {}

    def faults(body: dict, asked: int) -> str | None:
        seen.setdefault(body["seed"], []).append(time.time())
        return names[body["seed"] % len(names)] if not asked else None

    requests = numbered(3 * len(names))
    with serve(Settings(reply=number, faults=faults, retry_after=2)) as server:
        completions = answers(backend_for(server.url, timeout=2), requests)
    result = Overcome(server, seen=seen)
    for i, pair in enumerate(zip(requests, completions, strict=True)):
        result.found.setdefault(names[i % len(names)], []).append(pair)
    return result


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_overcome(overcome, fault):
    for request, completion in overcome.found[fault]:
        assert (completion.error, completion.text) == ("", f"It is {request.sampling['seed']}.")
        assert completion.attempts >= 2
        assert sent(overcome.server, request) >= 2
    assert overcome.server.stats.faults[fault] == 3


@pytest.mark.parametrize(("fault", "at_least"), [("429", 1.9), ("429 date", 0.9)])  # a date has no fractions
def test_what_the_server_asks_to_wait_is_waited(overcome, fault, at_least):
    for request, _ in overcome.found[fault]:
        first, second, *_ = overcome.seen[request.sampling["seed"]]
        assert second - first >= at_least


@pytest.mark.parametrize("fault", [name for name in PASSING if name != "429 bare"])
def test_a_fault_that_stays_is_the_reason(fault):
    requests = numbered(3)
    settings = Settings(faults=lambda body, asked: fault if body["seed"] else None, reply=number, retry_after=0)
    with serve(settings) as server:
        good, *bad = answers(backend_for(server.url, timeout=1 if fault == "hang" else 30, max_attempts=1), requests)
    assert [(c.error, c.text) for c in bad] == [(PASSING[fault], None)] * 2
    assert all(c.detail for c in bad)
    attempts = 8 if PASSING[fault] == OVERLOADED else 1  # "too many requests" says little against a request
    assert [sent(server, request) for request in requests[1:]] == [c.attempts for c in bad] == [attempts] * 2
    assert good.text == "It is 0." or fault == "hang"


def test_as_many_attempts_as_are_allowed():
    requests = numbered(3)
    with serve(Settings(faults=lambda body, asked: "503")) as server:
        found = answers(backend_for(server.url, max_attempts=2), requests)
    assert [(c.error, c.attempts) for c in found] == [("server error", 2)] * 3
    assert [sent(server, request) for request in requests] == [2] * 3
    assert all("HTTP 503, server_error: The engine is currently overloaded" in c.detail for c in found)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("400", REFUSED), ("context", TOO_LONG), ("context vllm", TOO_LONG), ("no room", NO_ROOM)],
)
def test_what_would_fail_again_is_not_sent_again(fault, reason):
    requests = numbered(6)
    with serve(Settings(reply=number, faults=lambda body, asked: fault if body["seed"] % 2 else None)) as server:
        found = answers(backend_for(server.url), requests)
    assert [c.error for c in found] == ["", reason] * 3
    assert all("HTTP 400" in c.detail for c in found[1::2])
    assert {c.attempts for c in found} == set(server.stats.received.values()) == {1}


def test_a_server_that_refuses_what_is_too_much_gets_less():
    with serve(Settings(reply=number, slots=4, overflow="429", retry_after=0.05, latency=0.01)) as server:
        backend = backend_for(server.url)
        found = answers(backend, numbered(100))
    assert texts(found) == [f"It is {i}." for i in range(100)]
    assert backend.pool.endpoints[0].concurrency.limit < 64
    assert server.stats.answered_twice == 0


def test_no_more_at_once_than_allowed():
    with serve(Settings(latency=0.01)) as server:
        answers(backend_for(server.url, max_concurrency=3), numbered(30))
    assert server.stats.max_in_flight <= 3


# When going on makes no sense -----------------------------------------------------------------------------------------


def test_a_wrong_key_is_said_at_once():
    with serve(Settings(api_key="right")) as server:
        with pytest.raises(EngineError, match="refuses every request: HTTP 401") as e:
            answers(backend_for(server.url, max_concurrency=1), numbered(50))
        assert "No key was sent: api_key_env, beside base_url" in str(e.value)
        assert server.url in str(e.value)
        assert server.stats.requests == 1
    assert not threads()


def test_a_wrong_model_is_said_at_once():
    with serve(Settings(faults=lambda body, asked: "404 model")) as server:
        with pytest.raises(EngineError, match="refuses every request: HTTP 404, model_not_found: The model") as e:
            answers(backend_for(server.url, max_concurrency=1), numbered(50))
        assert server.url in str(e.value)
        assert server.stats.requests == 1


def test_where_requests_were_answered_such_a_refusal_is_of_one_request():
    requests = numbered(6)
    with serve(Settings(faults=lambda body, asked: "404 model" if body["seed"] in (2, 4) else None)) as server:
        found = answers(backend_for(server.url, max_concurrency=1), requests)
    assert [c.error for c in found] == ["", "", REFUSED, "", REFUSED, ""]
    assert set(server.stats.received.values()) == {1, 3}


def test_a_key_that_expires_ends_the_run_unless_another_goes_on():
    with serve(Settings(faults=lambda body, asked: "401" if body["seed"] > 3 else None)) as server:
        found: list[Completion] = []
        with pytest.raises(EngineError, match=r"HTTP 401, invalid_api_key"):
            answers(backend_for(server.url, max_concurrency=1), numbered(50), found)
        assert server.stats.requests == 5
    assert texts(found) == ["OK"] * 4
    expired = Settings(reply=number, faults=lambda body, asked: "401" if body["seed"] > 3 else None)
    with serve(expired) as poor, serve(Settings(reply=number)) as rich:
        found = answers(backend_for(poor.url, rich.url, max_concurrency=1), numbered(50))
    assert texts(found) == [f"It is {i}." for i in range(50)]


def test_without_quota_there_is_no_going_on():
    with serve(Settings(faults=lambda body, asked: "quota" if body["seed"] > 3 else None)) as server:
        found: list[Completion] = []
        with pytest.raises(EngineError, match=r"HTTP 429, insufficient_quota: ") as e:
            answers(backend_for(server.url, max_concurrency=1), numbered(50), found)
        assert server.url in str(e.value)
        assert server.stats.requests == 5
    assert texts(found) == ["OK"] * 4


def test_without_quota_at_one_endpoint_the_other_goes_on():
    with serve(Settings(faults=lambda body, asked: "quota")) as poor, serve(Settings(reply=number)) as rich:
        backend = backend_for(poor.url, rich.url, max_concurrency=4, max_attempts=2)
        found = answers(backend, numbered(40))
        assert texts(found) == [f"It is {i}." for i in range(40)]
        assert {c.endpoint for c in found} == {rich.url}
        assert 1 <= poor.stats.requests <= 4  # those that were on their way
        before = poor.stats.requests
        answers(backend, numbered(10))
        assert poor.stats.requests == before


def test_when_most_requests_fail_the_commonest_cause_is_told():
    names = [None, "context", "400", "400"]
    with serve(Settings(faults=lambda body, asked: names[body["seed"] % 4])) as server:
        found: list[Completion] = []
        with pytest.raises(EngineError, match=rf"15 of the last 20 .* 10 of them: {REFUSED}"):
            answers(backend_for(server.url, max_concurrency=1), numbered(60), found)
        assert server.stats.requests <= 21
    assert 19 <= len(found) <= 20  # what came before the end is handed over: it was paid for
    assert not threads()


def test_half_of_the_requests_may_fail():
    with serve(Settings(faults=lambda body, asked: "400" if body["seed"] % 2 else None)) as server:
        found = answers(backend_for(server.url, max_concurrency=1), numbered(60))
    assert Counter(c.error for c in found) == {"": 30, REFUSED: 30}


def test_where_nobody_is_the_run_stops():
    url = dead()
    with pytest.raises(EngineError, match=r"for \d+ s\..* connection failed: ") as e:
        answers(backend_for(url, patience=0.1, max_error_rate=1.0), numbered(30))
    assert url in str(e.value)
    assert "What was answered is kept" in str(e.value)


# Many endpoints -------------------------------------------------------------------------------------------------------


def test_what_failed_at_one_endpoint_is_tried_at_another():
    """Even a few requests, too few to tell that nobody is there, and those whose home it is."""
    requests = [request for i in range(6) for request in numbered(1, group=f"theme {i}")]
    requests = [Request(r.model, r.messages, {"seed": i}, group=r.group) for i, r in enumerate(requests)]
    with serve(Settings(reply=number)) as server:
        found = answers(backend_for(dead(), server.url, max_attempts=2), requests)
    assert texts(found) == [f"It is {i}." for i in range(6)]
    assert {c.attempts for c in found} == {1, 2}


def test_what_the_environment_says_of_an_account_goes_to_openai_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    with serve(Settings(reply=number)) as server:
        answers(backend_for(server.url), numbered(1))
        assert "Authorization" in server.stats.headers
        assert not {name.lower() for name in server.stats.headers} & {"openai-organization", "openai-project"}


def test_where_nobody_is_a_single_request_does_not_fail_its_row():
    """Nobody saw it: that is no attempt, however few are allowed."""
    with pytest.raises(EngineError, match="no endpoint has answered"):
        answers(backend_for(dead(), patience=0.3, max_attempts=1), numbered(1))


def test_two_dead_ones_of_three_are_passed_over():
    with serve(Settings(reply=number)) as server:
        (found,) = answers(backend_for(dead(), dead(), server.url, max_attempts=3), numbered(1))
    assert (found.text, found.attempts) == ("It is 0.", 3)


def test_one_is_dead_and_one_dies_half_way():
    settings = Settings(reply=number, latency=0.01, die_after=20)
    with serve(settings) as dying, serve(Settings(reply=number, latency=0.01)) as living:
        urls = (dead(), dying.url, living.url)
        found = answers(backend_for(*urls, max_concurrency=8), numbered(150))
        assert dying.dead
        assert dying.stats.answered.total() >= 20
    assert texts(found) == [f"It is {i}." for i in range(150)]
    assert {c.endpoint for c in found} == {dying.url, living.url}


def test_requests_of_a_group_go_to_one_endpoint():
    groups = [f"theme {i}" for i in range(6)]
    messages = {group: [{"role": "user", "content": f"{group}: " + "a long text " * 200}] for group in groups}
    requests = [Request("m", messages[g], {"seed": i}, group=g) for i in range(5) for g in groups]
    with serve(Settings(latency=0.01)) as one, serve(Settings(latency=0.01)) as other:
        backend = backend_for(one.url, other.url)
        for endpoint in backend.pool.endpoints:
            endpoint.concurrency.limit = 64  # nothing waits, so that nothing is taken over
        found = answers(backend, requests)
    for group in groups:
        assert len({c.endpoint for c, r in zip(found, requests, strict=True) if r.group == group}) == 1
    assert {c.endpoint for c in found} == {one.url, other.url}
    assert sum(c.cached_tokens for c in found) == 500 * (len(requests) - len(groups))  # all but the first of each


def test_what_waits_at_a_slow_endpoint_is_taken_over():
    """A time-out later, the other endpoint has answered all but the one request."""
    settings = Settings(faults=lambda body, asked: "hang" if body["seed"] == 0 and not asked else None)
    with serve(settings) as one, serve(settings) as other:
        backend = backend_for(one.url, other.url, max_concurrency=1, timeout=2, max_attempts=3)
        found = answers(backend, numbered(10, group="theme"))
        home, helper = (one, other) if one.stats.faults else (other, one)
        assert home.stats.faults == {"hang": 1}
    assert {c.endpoint for c in found[1:]} == {helper.url}


# What servers lack ----------------------------------------------------------------------------------------------------


def test_a_server_without_schemas_is_found_out_once():
    got: list[dict] = []

    def reply(body: dict) -> str:
        got.append(body)
        return number(body)

    settings = Settings(reply=reply, faults=lambda body, asked: "schema unsupported")
    with serve(settings) as server:
        backend = backend_for(server.url, max_concurrency=1, max_attempts=1)
        for _ in range(2):
            assert texts(answers(backend, numbered(12, SCHEMA))) == [f"It is {i}." for i in range(12)]
        assert server.stats.faults == {"schema unsupported": 1}
        assert server.stats.requests == 25
    assert not any("response_format" in body for body in got)


def test_what_one_server_lacks_another_still_gets():
    got: list[dict] = []

    def reply(body: dict) -> str:
        got.append(body)
        return number(body)

    with (
        serve(Settings(faults=lambda body, asked: "schema unsupported", latency=0.01)) as plain,
        serve(Settings(reply=reply, latency=0.01)) as able,
    ):
        backend = backend_for(plain.url, able.url, max_concurrency=1)
        answers(backend, numbered(30, SCHEMA))
        assert plain.stats.faults == {"schema unsupported": 1}
        assert able.stats.requests == len(got) > 0
    assert all(body["response_format"]["json_schema"]["schema"] == SCHEMA for body in got)


def test_the_limit_of_a_reply_has_two_names():
    got: list[dict] = []

    def reply(body: dict) -> str:
        got.append(body)
        return number(body)

    settings = Settings(reply=reply, faults=lambda body, asked: "max_tokens unsupported")
    with serve(settings) as server:
        found = answers(backend_for(server.url, max_concurrency=1, max_attempts=1), numbered(8))
        assert server.stats.faults == {"max_tokens unsupported": 1}
    assert texts(found) == [f"It is {i}." for i in range(8)]
    assert {(body.get("max_tokens"), body.get("max_completion_tokens")) for body in got} == {(None, 9)}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("refusal", {"text": None, "refusal": "I'm sorry, I can't help with that."}),
        ("length", {"text": "It i", "finish": "length"}),
        ("reasoning_content", {"text": "It is 0.", "reasoning": "Let me think about it."}),
        ("think", {"text": "It is 0.", "reasoning": "Let me think about it."}),
    ],
)
def test_what_the_model_itself_says_or_leaves_out_is_a_reply(fault, expected):
    with serve(Settings(reply=number, faults=lambda body, asked: fault)) as server:
        (found,) = answers(backend_for(server.url), numbered(1))
        assert server.stats.requests == 1
    assert (found.error, found.attempts, found.endpoint) == ("", 1, server.url)
    assert found.prompt_tokens > 0
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("empty choices", "unfinished reply"),
        ("null content", "empty reply"),
        ("only reasoning", "empty reply"),
        ("tool calls", "empty reply"),
        ("filtered", "stopped by a content filter"),
        ("abort", "unfinished reply"),
    ],
)
def test_a_reply_of_no_use_is_asked_for_again_elsewhere(fault, reason):
    with serve(Settings(reply=number, faults=lambda body, asked: fault)) as useless:
        with serve(Settings(reply=number)) as good:
            found = answers(backend_for(useless.url, good.url, max_concurrency=4), numbered(60))
            assert texts(found) == [f"It is {i}." for i in range(60)]
        assert useless.stats.requests < 20  # then it is left alone
        (found,) = answers(backend_for(useless.url), numbered(1))
    assert (found.error, found.text, found.attempts) == (reason, None, 3)
    assert found.lost_prompt_tokens > 0  # all three are billed


def test_replies_of_no_use_end_the_run():
    with serve(Settings(faults=lambda body, asked: "null content")) as server:
        with pytest.raises(EngineError, match=r"the last \d+ replies were of no use: empty reply"):
            answers(backend_for(server.url, max_concurrency=8), numbered(144))
        assert server.stats.requests < 20 + 2 * 8


def unreadable(requests: list[Request]) -> Callable[[LLM], list[Conversation[str]]]:
    def read(text: str) -> str:
        if text == "junk":
            raise ParseError("unreadable reply", "it is junk")
        return text

    return lambda llm: [ask_again(llm, request, read) for request in requests]


async def ask_again(llm: LLM, request: Request, read: Callable[[str], str]) -> str:
    try:
        return await ask(llm, request, read, 2)
    except NoReply as e:
        return e.reason


def test_a_server_whose_replies_cannot_be_read_is_left_alone(tmp_path):
    requests = numbered(200)
    with serve(Settings(reply=lambda body: "junk")) as useless, serve(Settings(reply=number, latency=0.01)) as good:
        job = ShardJob("x", tmp_path / "x.jsonl", unreadable(requests))
        (done,) = drive(iter([job]), backend_for(useless.url, good.url, max_concurrency=4), FREE, len(requests))
        assert done.results == [f"It is {i}." for i in range(200)]
        assert useless.stats.requests < 60  # of the 200 or more that it would be asked


def test_replies_that_cannot_be_read_end_the_run_and_are_asked_for_again(tmp_path):
    requests = numbered(300)
    job = ShardJob("x", tmp_path / "x.jsonl", unreadable(requests))
    with serve(Settings(reply=lambda body: "junk")) as server:
        with pytest.raises(EngineError, match=r"requests failed .*: unreadable reply"):
            list(drive(iter([job]), backend_for(server.url, max_concurrency=8), FREE, len(requests)))
        assert server.stats.requests < 900  # three for each question
    few = ShardJob("y", tmp_path / "y.jsonl", unreadable(requests[:3]))
    with serve(Settings(reply=lambda body: "junk")) as server:
        list(drive(iter([few]), backend_for(server.url), FREE, 3))
    assert few.results == ["unreadable reply"] * 3
    assert replay(replace(few, results=[])).results == few.results  # offline, to the byte
    with serve(Settings(reply=number)) as server:
        list(drive(iter([replace(few, results=[])]), backend_for(server.url), FREE, 3))
        assert server.stats.requests == 3
    assert replay(replace(few, results=[])).results == [f"It is {i}." for i in range(3)]


def test_another_model_than_was_asked_is_said_once():
    request = replace(numbered(1)[0], model="meta/Llama-3")
    with serve(Settings(answers_as="tiny-other")) as server, pytest.warns(ServerWarning, match="'tiny-other'") as said:
        answers(backend_for(server.url), [replace(request, sample=i) for i in range(3)])
    assert len([each for each in said if "tiny-other" in str(each.message)]) == 1  # others are none of servers
    with serve(Settings(answers_as="llama-3-2025-01-01")) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        answers(backend_for(server.url), [request])


def test_a_reply_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr(http, "MOST_BYTES", 5_000_000)
    for fault, error in [("drip", "timed out"), ("endless", "garbled reply"), ("bomb", "garbled reply")]:
        with serve(Settings(reply=number, faults=lambda body, asked, fault=fault: fault)) as server:
            (found,) = answers(backend_for(server.url, max_attempts=1, timeout=1), numbered(1))
        assert (fault, found.error) == (fault, error)
        assert found.lost_completion_tokens == 9


PRICE = PriceConfig(prompt=1000.0, completion=10_000.0)


@pytest.mark.parametrize("fault", ["no usage", "odd usage", "hang", "cut", "garbage", "502 html body"])
def test_what_is_not_known_to_be_free_is_paid_for(tmp_path, fault):
    """The server is thought to bill every request at the most that it can take; that is never over the budget."""
    worst = cost.of(PRICE, dict(zip(NAMES, (*cost.most_tokens(numbered(1)[0]), 0, 0, 0), strict=True)))
    budget, requests = Budget(PRICE, most=10.5 * worst), numbered(40)
    job = ShardJob("x", tmp_path / "x.jsonl", lambda llm: [llm.complete(request) for request in requests])
    with serve(Settings(faults=lambda body, asked: fault)) as server:
        backend = backend_for(server.url, timeout=0.3, max_attempts=3, max_error_rate=1.0)
        with pytest.raises(UserError):
            list(drive(iter([job]), backend, budget, len(requests)))
        assert 0 < server.stats.requests <= 10
    assert server.stats.requests * worst == pytest.approx(budget.spent)
    assert cost.of(PRICE, journal.usage([job.journal])) == pytest.approx(budget.spent)


def test_a_journal_says_what_a_budget_counted(tmp_path):
    """So a run that is gone on with has as much left."""
    budget, requests = Budget(PRICE, most=1e6), numbered(12)
    job = ShardJob("x", tmp_path / "x.jsonl", lambda llm: [llm.complete(request) for request in requests])
    kinds = ["no usage", "cut", "500", "429", None, "garbage"]
    settings = Settings(faults=lambda body, asked: kinds[body["seed"] % 6] if not asked else None, retry_after=0)
    with serve(settings) as server:
        list(drive(iter([job]), backend_for(server.url), budget, len(requests)))
    assert cost.of(PRICE, journal.usage([job.journal])) == pytest.approx(budget.spent)
    assert journal.usage([job.journal])["estimated"] == 2


@pytest.mark.parametrize("seconds", [60, 3600])
def test_a_server_that_asks_for_a_long_wait_does_not_keep_requests_from_another(seconds):
    busy = Settings(faults=lambda body, asked: "429", retry_after=seconds)
    said = pytest.warns(ServerWarning, match=f"asks to be left alone for {seconds:,} s")
    with serve(busy) as full, serve(Settings(reply=number)) as idle, said:
        found = answers(backend_for(full.url, idle.url, max_concurrency=4), numbered(40))
    assert texts(found) == [f"It is {i}." for i in range(40)]


def test_a_wait_longer_than_patience_ends_the_run():
    ends = pytest.raises(EngineError, match=r"left alone, for 3,\d+ s at least")
    full = Settings(faults=lambda body, asked: "429", retry_after=3600)
    with serve(full) as server, pytest.warns(ServerWarning), ends:
        answers(backend_for(server.url, patience=600), numbered(4))


def test_too_many_requests_for_ever_end_the_run():
    full = Settings(faults=lambda body, asked: "429", retry_after=0.05)
    with serve(full) as server, pytest.raises(EngineError, match="no endpoint has answered"):
        answers(backend_for(server.url, patience=0.5, max_attempts=1000), numbered(4))


def test_a_slow_server_is_not_asked_for_more_than_it_answers_and_time_outs_are_told():
    """It answers one at a time, and four take hardly less than the time-out."""
    slow = Settings(reply=number, latency=0.2, spread=0.1, slots=1)
    with serve(slow) as server:
        found = answers(backend_for(server.url, timeout=1.2), numbered(40))
        assert texts(found) == [f"It is {i}." for i in range(40)]
        assert server.stats.requests <= 44
        assert server.stats.max_in_flight <= 5
    hangs = Settings(reply=number, faults=lambda body, asked: "hang" if body["seed"] == 3 and not asked else None)
    with (
        serve(hangs) as server,
        pytest.warns(ServerWarning, match=r"no whole reply in 1 s.*it is asked again") as said,
    ):
        answers(backend_for(server.url, timeout=1), numbered(8))
    assert len([each for each in said if issubclass(each.category, ServerWarning)]) == 1


def test_a_server_that_is_loading_its_model_is_waited_for(monkeypatch):
    """However long it takes, within patience: no attempt is used up."""
    monkeypatch.setattr(pool, "LOADING_WAIT", 0.05)
    monkeypatch.setattr(pool, "PATIENCE_AT_FIRST", 0.2)
    monkeypatch.setattr(pool, "LONG", 0.1)
    loading = Settings(reply=number, faults=lambda body, asked: "503 loading" if asked < 8 else None)
    with serve(loading) as server, pytest.warns(ServerWarning, match="Loading model.*it is asked again"):
        found = answers(backend_for(server.url, max_attempts=1), numbered(4))
    assert texts(found) == [f"It is {i}." for i in range(4)]
    never = Settings(faults=lambda body, asked: "503 loading")
    ends = pytest.raises(EngineError, match="no endpoint has answered for")
    with serve(never) as server, pytest.warns(ServerWarning), ends:
        answers(backend_for(server.url, patience=0.3), numbered(4))


def test_concurrency_bounds_what_is_in_flight():
    with serve(Settings(latency=0.2)) as server:
        answers(backend_for(server.url, concurrency=3), numbered(12))
        assert server.stats.max_in_flight == 3
    assert backend_for("http://there/v1", concurrency=500).pool.endpoints[0].config.max_concurrency == 500


def test_waits_grow_with_the_failures_of_the_server_and_not_of_one_request(monkeypatch):
    waits: list[int] = []
    monkeypatch.setattr(pool, "back_off", lambda failures: waits.append(failures) or 0.2)
    stubborn = Settings(
        reply=number, latency=0.01, faults=lambda body, asked: "500" if body["seed"] == 0 and asked < 5 else None
    )
    with serve(stubborn) as server:
        found = answers(backend_for(server.url, max_concurrency=4), numbered(300))
    assert (found[0].attempts, waits) == (6, [1] * 5)
    waits.clear()
    with serve(Settings(faults=lambda body, asked: "500" if asked < 4 else None)) as server:
        answers(backend_for(server.url), numbered(1))
    assert waits == [1, 2, 3, 4]


def test_prompts_do_not_follow_a_redirect():
    with serve() as stranger:
        home = Settings(faults=lambda body, asked: "redirect", elsewhere=stranger.url.removesuffix("/v1"))
        with serve(home) as server, pytest.raises(EngineError, match="redirects are not followed"):
            answers(backend_for(server.url), numbered(1))
        assert stranger.stats.requests == 0


def test_a_wrong_path_is_said():
    with serve() as server, pytest.raises(EngineError, match=r"addresses end in /v1: http.*/v1\?"):
        answers(backend_for(server.url.removesuffix("/v1")), numbered(1))


# Keys -----------------------------------------------------------------------------------------------------------------

LONG_KEY = "sk-secret" + "0123456789" * 60  # longer than what is kept of an error


def test_every_endpoint_gets_its_key(monkeypatch):
    monkeypatch.setenv("KEY_ONE", "sk-one\n")
    monkeypatch.setenv("KEY_TWO", "sk-two")
    with serve(Settings(api_key="sk-one")) as one, serve(Settings(api_key="sk-two")) as two:
        backend = backend_for(one.url, two.url, keys=("KEY_ONE", "KEY_TWO"), max_concurrency=4)
        found = answers(backend, numbered(20))
        assert one.stats.authorizations.keys() == {"Bearer sk-one"}
        assert two.stats.authorizations.keys() == {"Bearer sk-two"}
    assert not any("sk-" in repr(c) for c in found)


def test_a_key_goes_nowhere_where_it_was_not_asked_for(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "sk-openai")
    with serve() as server:
        answers(backend_for(server.url), numbered(3))
        assert server.stats.authorizations.keys() == {"Bearer none"}


@pytest.mark.parametrize("key", ["sk-secret", LONG_KEY])
def test_no_error_tells_a_key(monkeypatch, key):
    monkeypatch.setenv("KEY_ONE", key)
    with serve(Settings(api_key="right")) as server, pytest.raises(EngineError) as e:
        answers(backend_for(server.url, keys=("KEY_ONE",)), numbered(3))
    assert "Incorrect API key provided: …." in str(e.value)
    assert "sk-secret" not in "".join(traceback.format_exception(e.value))
    kept: list[Completion] = []
    expires = Settings(faults=lambda body, asked: "401" if body["seed"] else None)
    with serve(expires) as server, pytest.raises(EngineError) as e:
        answers(backend_for(server.url, keys=("KEY_ONE",), max_concurrency=1), numbered(3), kept)
    assert "sk-secret" not in repr(kept) + "".join(traceback.format_exception(e.value))


# Asking and ending ----------------------------------------------------------------------------------------------------


def test_no_requests_at_all():
    assert answers(backend_for(dead()), []) == []


def test_who_stops_listening_ends_the_requests(tmp_path):
    def job(name: str, numbers: list[Request]) -> ShardJob:
        return ShardJob(name, tmp_path / f"{name}.jsonl", lambda llm: [llm.complete(request) for request in numbers])

    first, *others = numbered(20)
    with serve(Settings(faults=lambda body, asked: "hang" if body["seed"] else None)) as server:
        backend = backend_for(server.url)
        asking = drive(iter([job("one", [first]), job("other", others)]), backend, Budget(PriceConfig()), 20)
        assert texts(next(iter(asking)).results) == ["OK"]
        assert len(threads()) == 1
        asking.close()
        assert not threads()
        assert texts(answers(backend, [first])) == ["OK"]  # it can be asked again


def test_a_window_that_is_told_with_a_200_is_one():
    """What LM Studio sends for a prompt that is too long is asked once."""
    (asked,) = numbered(1)
    with serve(Settings(faults=lambda body, nth: "200 context")) as server:
        (found,) = answers(backend_for(server.url), [asked])
    assert (found.error, found.attempts) == (TOO_LONG, 1)
    assert "4096" in found.detail


# Streams --------------------------------------------------------------------------------------------------------------


def heard(backend: ChatBackend, request: Request) -> tuple[list[str], Completion]:
    async def run() -> Completion:
        try:
            return await backend.complete(request, pieces.append)
        finally:
            await backend.close()

    pieces: list[str] = []
    return pieces, asyncio.run(run())


def test_a_user_hears_the_text_as_it_is_written():
    (asked,) = numbered(1)
    with serve(Settings(reply=number)) as server:
        pieces, streamed = heard(backend_for(server.url), asked)
        (whole,) = answers(backend_for(server.url), [asked])
    assert pieces == ["It", " is", " 0."]
    assert replace(streamed, seconds=0) == replace(whole, seconds=0)


@pytest.mark.parametrize("fault", ["reasoning", "reasoning_content"])
def test_a_user_does_not_hear_the_reasoning(fault):
    with serve(Settings(reply=number, faults=lambda body, nth: fault)) as server:
        pieces, completion = heard(backend_for(server.url), numbered(1)[0])
    assert ("".join(pieces), completion.text) == ("It is 0.", "It is 0.")
    assert completion.reasoning == "Let me think about it."


@pytest.mark.parametrize("fault", ["429", "500", "reset", "garbage", "schema unsupported", "max_tokens unsupported"])
def test_what_fails_before_anything_was_heard_is_tried_again(fault):
    (asked,) = numbered(1, SCHEMA)
    with serve(Settings(reply=number, faults=lambda body, nth: None if nth else fault, retry_after=0)) as server:
        pieces, completion = heard(backend_for(server.url), asked)
        assert server.stats.requests == 2
    assert "".join(pieces) == completion.text == "It is 0."


def test_what_was_heard_is_not_said_twice():
    (asked,) = numbered(1)
    with serve(Settings(reply=number, faults=lambda body, nth: "cut")) as server:
        pieces, completion = heard(backend_for(server.url), asked)
        assert server.stats.requests == 1
    assert pieces == ["It"]
    assert completion.error in ("connection failed", "garbled reply")


def test_an_answer_in_the_journal_is_heard_at_once(tmp_path):
    pieces: list[str] = []

    def job() -> ShardJob:
        return ShardJob("one", tmp_path / "one.jsonl", lambda llm: [llm.complete(numbered(1)[0], pieces.append)])

    with serve(Settings(reply=number)) as server:
        for _ in range(2):
            (done,) = drive(iter([job()]), backend_for(server.url), Budget(PriceConfig()), 1)
            assert texts(done.results) == ["It is 0."]
        assert server.stats.requests == 1
    assert pieces == ["It", " is", " 0.", "It is 0."]
