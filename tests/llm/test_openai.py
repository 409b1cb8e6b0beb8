"""The engine against a real server: whatever goes wrong there, every request gets exactly one completion."""

import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from datagen.config.llm import EndpointConfig, EngineConfig
from datagen.errors import ConfigError, EngineError
from datagen.llm.base import Closed, Completion, Request
from datagen.llm.endpoint import payload
from datagen.llm.http_errors import TOO_LONG
from datagen.llm.openai import OpenAIEngine
from tests.servers.openai_server import Server, Settings, payload_hash, serve

SCHEMA = {"type": "object", "properties": {"x": {"type": "string"}}}
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
}


def numbered(n: int, schema: dict | None = None, group: str = "") -> list[Request]:
    messages = [{"role": "user", "content": "Which number is it?"}]
    return [Request("m", messages, {"seed": i, "max_tokens": 9}, schema, group=group) for i in range(n)]


def number(body: dict) -> str:
    return f"It is {body['seed']}."


def engine_for(*urls: str, keys: tuple[str | None, ...] = (), max_concurrency: int = 64, **given) -> OpenAIEngine:
    keys = keys or (None,) * len(urls)
    endpoints = tuple(
        EndpointConfig(base_url=url, api_key_env=key, max_concurrency=max_concurrency)
        for url, key in zip(urls, keys, strict=True)
    )
    return OpenAIEngine(EngineConfig(endpoints=endpoints, **given))


def answers(engine: OpenAIEngine, requests: list[Request]) -> list[Completion]:
    """The completions in the order of their requests: one for each, whatever happens."""
    found = [completion for done in engine.ask(iter(requests)) for completion in done]
    assert Counter(c.key for c in found) == Counter(r.key for r in requests)
    assert not threads()
    by_key = {completion.key: completion for completion in found}
    return [by_key[request.key] for request in requests]


def collect(engine: OpenAIEngine, requests: list[Request], found: list[Completion]) -> None:
    for done in engine.ask(iter(requests)):
        found += done


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "engine"]


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
        completions = answers(engine_for(server.url, timeout=2), requests)
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
        good, *bad = answers(engine_for(server.url, timeout=1 if fault == "hang" else 30, max_attempts=1), requests)
    assert [(c.error, c.text) for c in bad] == [(PASSING[fault], None)] * 2
    assert all(c.detail for c in bad)
    attempts = 8 if PASSING[fault] == OVERLOADED else 1  # "too many requests" says little against a request
    assert [sent(server, request) for request in requests[1:]] == [c.attempts for c in bad] == [attempts] * 2
    assert good.text == "It is 0." or fault == "hang"


def test_as_many_attempts_as_are_allowed():
    requests = numbered(3)
    with serve(Settings(faults=lambda body, asked: "503")) as server:
        found = answers(engine_for(server.url, max_attempts=2), requests)
    assert [(c.error, c.attempts) for c in found] == [("server error", 2)] * 3
    assert [sent(server, request) for request in requests] == [2] * 3
    assert all("HTTP 503, server_error: The engine is currently overloaded" in c.detail for c in found)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("400", REFUSED), ("context", TOO_LONG), ("context vllm", TOO_LONG)],
)
def test_what_would_fail_again_is_not_sent_again(fault, reason):
    requests = numbered(6)
    with serve(Settings(reply=number, faults=lambda body, asked: fault if body["seed"] % 2 else None)) as server:
        found = answers(engine_for(server.url), requests)
    assert [c.error for c in found] == ["", reason] * 3
    assert all("HTTP 400" in c.detail for c in found[1::2])
    assert {c.attempts for c in found} == set(server.stats.received.values()) == {1}


def test_a_server_that_refuses_what_is_too_much_gets_less():
    with serve(Settings(reply=number, slots=4, overflow="429", retry_after=0.05, latency=0.01)) as server:
        engine = engine_for(server.url)
        found = answers(engine, numbered(100))
    assert texts(found) == [f"It is {i}." for i in range(100)]
    assert engine.lanes[0].window.limit < 64
    assert server.stats.answered_twice == 0


def test_no_more_at_once_than_allowed():
    with serve(Settings(latency=0.01)) as server:
        answers(engine_for(server.url, max_concurrency=3), numbered(30))
    assert server.stats.max_in_flight <= 3


# When going on makes no sense -----------------------------------------------------------------------------------------


def test_a_wrong_key_is_said_at_once():
    with serve(Settings(api_key="right")) as server:
        with pytest.raises(EngineError, match="refuses every request: HTTP 401") as e:
            answers(engine_for(server.url, max_concurrency=1), numbered(50))
        assert server.url in str(e.value)
        assert server.stats.requests == 1
    assert not threads()


def test_a_wrong_model_is_said_at_once():
    with serve(Settings(faults=lambda body, asked: "404 model")) as server:
        with pytest.raises(EngineError, match="refuses every request: HTTP 404, model_not_found: The model") as e:
            answers(engine_for(server.url, max_concurrency=1), numbered(50))
        assert server.url in str(e.value)
        assert server.stats.requests == 1


@pytest.mark.parametrize("fault", ["401", "404 model"])
def test_where_requests_were_answered_such_a_refusal_is_of_one_request(fault):
    requests = numbered(6)
    with serve(Settings(faults=lambda body, asked: fault if body["seed"] in (2, 4) else None)) as server:
        found = answers(engine_for(server.url, max_concurrency=1), requests)
    assert [c.error for c in found] == ["", "", REFUSED, "", REFUSED, ""]
    assert set(server.stats.received.values()) == {1}


def test_without_quota_there_is_no_going_on():
    with serve(Settings(faults=lambda body, asked: "quota" if body["seed"] > 3 else None)) as server:
        found: list[Completion] = []
        with pytest.raises(EngineError, match=r"HTTP 429, insufficient_quota: You exceeded your current quota") as e:
            collect(engine_for(server.url, max_concurrency=1), numbered(50), found)
        assert server.url in str(e.value)
        assert server.stats.requests == 5
    assert texts(found) == ["OK"] * 4


def test_without_quota_at_one_endpoint_the_other_goes_on():
    with serve(Settings(faults=lambda body, asked: "quota")) as poor, serve(Settings(reply=number)) as rich:
        engine = engine_for(poor.url, rich.url, max_concurrency=4, max_attempts=2)
        found = answers(engine, numbered(40))
        assert texts(found) == [f"It is {i}." for i in range(40)]
        assert {c.endpoint for c in found} == {rich.url}
        assert 1 <= poor.stats.requests <= 4  # those that were on their way
        before = poor.stats.requests
        answers(engine, numbered(10))
        assert poor.stats.requests == before


def test_when_most_requests_fail_the_commonest_cause_is_told():
    names = [None, "context", "400", "400"]
    with serve(Settings(faults=lambda body, asked: names[body["seed"] % 4])) as server:
        found: list[Completion] = []
        with pytest.raises(EngineError, match=r"15 of the last 20 requests failed .* 10 of them: request refused by"):
            collect(engine_for(server.url, max_concurrency=1), numbered(60), found)
        assert server.stats.requests <= 21
    assert 19 <= len(found) <= 20  # what came before the end is handed over: it was paid for
    assert not threads()


def test_half_of_the_requests_may_fail():
    with serve(Settings(faults=lambda body, asked: "400" if body["seed"] % 2 else None)) as server:
        found = answers(engine_for(server.url, max_concurrency=1), numbered(60))
    assert Counter(c.error for c in found) == {"": 30, REFUSED: 30}


def test_where_nobody_is_the_run_stops():
    url = dead()
    with pytest.raises(EngineError, match=r"no endpoint has answered for \d+ s. The last: connection failed: ") as e:
        answers(engine_for(url, patience=0.1, max_error_rate=1.0), numbered(30))
    assert url in str(e.value)
    assert "What was answered is kept" in str(e.value)


# Many endpoints -------------------------------------------------------------------------------------------------------


def test_what_failed_at_one_endpoint_is_tried_at_another():
    """Even a few requests, too few to tell that nobody is there, and those whose home it is."""
    requests = [request for i in range(6) for request in numbered(1, group=f"theme {i}")]
    requests = [Request(r.model, r.messages, {"seed": i}, group=r.group) for i, r in enumerate(requests)]
    with serve(Settings(reply=number)) as server:
        found = answers(engine_for(dead(), server.url, max_attempts=2), requests)
    assert texts(found) == [f"It is {i}." for i in range(6)]
    assert {c.attempts for c in found} == {1, 2}


def test_what_the_environment_says_of_an_account_goes_to_openai_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    with serve(Settings(reply=number)) as server:
        answers(engine_for(server.url), numbered(1))
        assert "Authorization" in server.stats.headers
        assert not {name.lower() for name in server.stats.headers} & {"openai-organization", "openai-project"}


def test_where_nobody_is_a_single_request_does_not_fail_its_row():
    """Nobody saw it: that is no attempt, however few are allowed."""
    with pytest.raises(EngineError, match="no endpoint has answered"):
        answers(engine_for(dead(), patience=0.3, max_attempts=1), numbered(1))


def test_two_dead_ones_of_three_are_passed_over():
    with serve(Settings(reply=number)) as server:
        (found,) = answers(engine_for(dead(), dead(), server.url, max_attempts=3), numbered(1))
    assert (found.text, found.attempts) == ("It is 0.", 3)


def test_one_is_dead_and_one_dies_half_way():
    settings = Settings(reply=number, latency=0.01, die_after=20)
    with serve(settings) as dying, serve(Settings(reply=number, latency=0.01)) as living:
        urls = (dead(), dying.url, living.url)
        found = answers(engine_for(*urls, max_concurrency=8), numbered(150))
        assert dying.dead
        assert dying.stats.answered.total() >= 20
    assert texts(found) == [f"It is {i}." for i in range(150)]
    assert {c.endpoint for c in found} == {dying.url, living.url}


def test_requests_of_a_group_go_to_one_endpoint():
    groups = [f"theme {i}" for i in range(6)]
    messages = {group: [{"role": "user", "content": f"{group}: " + "a long text " * 200}] for group in groups}
    requests = [Request("m", messages[g], {"seed": i}, group=g) for i in range(5) for g in groups]
    with serve(Settings(latency=0.01)) as one, serve(Settings(latency=0.01)) as other:
        found = answers(engine_for(one.url, other.url), requests)
    for group in groups:
        assert len({c.endpoint for c, r in zip(found, requests, strict=True) if r.group == group}) == 1
    assert {c.endpoint for c in found} == {one.url, other.url}
    assert sum(c.cached_tokens for c in found) == 500 * (len(requests) - len(groups))  # all but the first of each


def test_what_waits_at_a_slow_endpoint_is_taken_over():
    settings = Settings(faults=lambda body, asked: "hang" if body["seed"] == 0 else None)
    with serve(settings) as one, serve(settings) as other:
        engine = engine_for(one.url, other.url, max_concurrency=1)
        asking, found = engine.ask(iter(numbered(10, group="theme"))), []
        while len(found) < 9:
            found += next(asking)
        asking.close()
        home, helper = (one, other) if one.stats.faults else (other, one)
        assert (home.stats.requests, helper.stats.requests) == (1, 9)
    assert {c.endpoint for c in found} == {helper.url}
    assert not threads()


# What servers lack ----------------------------------------------------------------------------------------------------


def test_a_server_without_schemas_is_found_out_once():
    got: list[dict] = []

    def reply(body: dict) -> str:
        got.append(body)
        return number(body)

    settings = Settings(reply=reply, faults=lambda body, asked: "schema unsupported")
    with serve(settings) as server:
        engine = engine_for(server.url, max_concurrency=1, max_attempts=1)
        for _ in range(2):
            assert texts(answers(engine, numbered(12, SCHEMA))) == [f"It is {i}." for i in range(12)]
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
        engine = engine_for(plain.url, able.url, max_concurrency=1)
        answers(engine, numbered(30, SCHEMA))
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
        found = answers(engine_for(server.url, max_concurrency=1, max_attempts=1), numbered(8))
        assert server.stats.faults == {"max_tokens unsupported": 1}
    assert texts(found) == [f"It is {i}." for i in range(8)]
    assert {(body.get("max_tokens"), body.get("max_completion_tokens")) for body in got} == {(None, 9)}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("empty choices", {"text": None, "finish": ""}),
        ("null content", {"text": None, "finish": "stop"}),
        ("refusal", {"text": None, "refusal": "I'm sorry, I can't help with that."}),
        ("length", {"text": "It i", "finish": "length"}),
        ("reasoning_content", {"text": "It is 0.", "reasoning": "Let me think about it."}),
        ("think", {"text": "It is 0.", "reasoning": "Let me think about it."}),
    ],
)
def test_a_reply_of_no_use_is_a_reply(fault, expected):
    with serve(Settings(reply=number, faults=lambda body, asked: fault)) as server:
        (found,) = answers(engine_for(server.url), numbered(1))
        assert server.stats.requests == 1
    assert (found.error, found.attempts, found.endpoint) == ("", 1, server.url)
    assert found.prompt_tokens > 0
    assert {name: getattr(found, name) for name in expected} == expected


# Keys -----------------------------------------------------------------------------------------------------------------

LONG_KEY = "sk-secret" + "0123456789" * 60  # longer than what is kept of an error


def test_every_endpoint_gets_its_key(monkeypatch):
    monkeypatch.setenv("KEY_ONE", "sk-one\n")
    monkeypatch.setenv("KEY_TWO", "sk-two")
    with serve(Settings(api_key="sk-one")) as one, serve(Settings(api_key="sk-two")) as two:
        engine = engine_for(one.url, two.url, keys=("KEY_ONE", "KEY_TWO"), max_concurrency=4)
        found = answers(engine, numbered(20))
        assert one.stats.authorizations.keys() == {"Bearer sk-one"}
        assert two.stats.authorizations.keys() == {"Bearer sk-two"}
    assert not any("sk-" in repr(c) for c in found)


def test_a_key_goes_nowhere_where_it_was_not_asked_for(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "sk-openai")
    with serve() as server:
        answers(engine_for(server.url), numbered(3))
        assert server.stats.authorizations.keys() == {"Bearer none"}


@pytest.mark.parametrize("key", ["sk-secret", LONG_KEY])
def test_no_error_tells_a_key(monkeypatch, key):
    monkeypatch.setenv("KEY_ONE", key)
    with serve(Settings(api_key="right")) as server, pytest.raises(EngineError) as e:
        answers(engine_for(server.url, keys=("KEY_ONE",)), numbered(3))
    assert "Incorrect API key provided: …." in str(e.value)
    assert "sk-secret" not in "".join(traceback.format_exception(e.value))
    with serve(Settings(faults=lambda body, asked: "401" if body["seed"] else None)) as server:
        found = answers(engine_for(server.url, keys=("KEY_ONE",), max_concurrency=1), numbered(3))
    assert [c.error for c in found] == ["", REFUSED, REFUSED]
    assert not any("sk-secret" in repr(c) for c in found)


def test_a_missing_key_is_named(monkeypatch):
    monkeypatch.delenv("KEY_ONE", raising=False)
    monkeypatch.setenv("KEY_TWO", "  ")
    monkeypatch.setenv("KEY_THREE", "sk-sécret")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("KEY_ONE", "KEY_TWO"):
        with pytest.raises(ConfigError, match=rf"^http://there/v1 needs a key: the environment variable {name} "):
            engine_for("http://there/v1", keys=(name,))
    with pytest.raises(ConfigError, match="KEY_THREE") as e:
        engine_for("http://there/v1", keys=("KEY_THREE",))
    assert "sk-" not in str(e.value)
    with pytest.raises(ConfigError, match=r"^https://api\.openai\.com/v1 needs a key: .* OPENAI_API_KEY .*--base-url"):
        OpenAIEngine(EngineConfig(endpoints=(EndpointConfig(),)))


# Asking and ending ----------------------------------------------------------------------------------------------------


def test_nothing_to_ask_for_now():
    first, second = numbered(2)
    with serve(Settings(reply=number)) as server:
        script: Iterator[Request | None] = iter([None, None, first, None, None, second])
        found = [texts(done) for done in engine_for(server.url).ask(script)]
    assert found == [[], [], ["It is 0."], [], ["It is 1."]]


def test_no_requests_at_all():
    assert list(engine_for(dead()).ask(iter([]))) == []
    assert not threads()


def test_no_more_requests_are_drawn_than_there_is_room_for():
    drawn = []

    def requests() -> Iterator[Request]:
        for request in numbered(100):
            drawn.append(request)
            yield request

    with serve() as server:
        asking = engine_for(server.url, max_concurrency=4).ask(requests())
        done = len(next(asking))
        assert len(drawn) == 8
        for completions in asking:
            done += len(completions)
            assert len(drawn) - done <= 8
    assert done == len(drawn) == 100


def test_closed_from_another_thread():
    with serve(Settings(faults=lambda body, asked: "hang")) as server:
        engine, ends = engine_for(server.url), []

        def ask() -> None:
            try:
                ends.append(list(engine.ask(iter(numbered(3)))))
            except Closed as e:
                ends.append(e)

        asking = threading.Thread(target=ask)
        asking.start()
        while server.stats.in_flight < 3:
            time.sleep(0.01)
        engine.close()
        asking.join()
    assert [type(end) for end in ends] == [Closed]
    assert not threads()
    engine.close()  # once more does no harm


def test_ended_early():
    with serve(Settings(faults=lambda body, asked: "hang" if body["seed"] else None)) as server:
        engine = engine_for(server.url)
        asking = engine.ask(iter(numbered(20)))
        assert texts(next(asking)) == ["OK"]
        assert len(threads()) == 1
        asking.close()
        assert not threads()
        assert texts(answers(engine, numbered(1))) == ["OK"]  # it can be asked again


def test_what_goes_wrong_while_requests_are_made_reaches_the_caller():
    def requests() -> Iterator[Request]:
        yield from numbered(3)
        raise KeyError("mine")

    with serve() as server, pytest.raises(KeyError, match="mine"):
        list(engine_for(server.url).ask(requests()))
    assert not threads()
