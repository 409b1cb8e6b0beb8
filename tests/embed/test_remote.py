"""Vectors from a loopback server, with all that may go wrong on the way."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest

from datagen.config.data import EmbedConfig
from datagen.config.llm import EndpointConfig
from datagen.embed import encoder, remote
from datagen.errors import ConfigError, EngineError, UserError
from datagen.llm import pool
from tests.servers import embeddings
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

TEXTS = [f"chunk {i} about theme {i % 7} and {i * i}" for i in range(100)]


def asking(*servers: Server | str, **given) -> EmbedConfig:
    urls = [server if isinstance(server, str) else server.url for server in servers]
    endpoints = tuple(EndpointConfig(base_url=url, **given) for url in urls)
    return EmbedConfig(model="scripted", endpoints=endpoints)


def expected(texts: list[str]) -> np.ndarray:
    return np.array([embeddings.vector(text) for text in texts], np.float32)


def faulty(name: str, times: int = 10**9):
    """The first requests fail so."""
    seen = [0]

    def fault(body, asked) -> str | None:
        seen[0] += 1
        return name if seen[0] <= times else None

    return fault


def test_vectors_are_those_of_the_server_in_the_order_of_the_texts():
    """Batches are answered in any order: the first takes longest."""
    heard: list[int] = []
    with serve(Settings(latency=0.1, spread=1.0, seed=1)) as server:
        found = encoder.encode(TEXTS, asking(server), heard.append)
    assert found.dtype == np.float16
    assert np.abs(found - expected(TEXTS)).max() < 1e-3
    assert np.linalg.norm(found.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)
    assert sum(heard) == len(TEXTS)
    assert server.stats.requests == -(-len(TEXTS) // remote.TEXTS)
    assert server.stats.max_in_flight > 1


def test_threads_may_encode_at_the_same_time():
    """The judge embeds questions while shards that are through are written."""
    with serve(Settings(latency=0.02)) as server, ThreadPoolExecutor(4) as threads:
        wanted = encoder.encode(TEXTS, asking(server)).tobytes()
        found = list(threads.map(lambda _: encoder.encode(TEXTS, asking(server)).tobytes(), range(8)))
    assert set(found) == {wanted}


def test_the_same_texts_give_the_same_bytes_whatever_order_replies_come_in():
    got = []
    for seed in range(3):
        with serve(
            Settings(latency=0.05, spread=1.0, seed=seed, faults=("429", "500"), fault_rate=0.2, retry_after=0)
        ) as s:
            got.append(encoder.encode(TEXTS, asking(s)).tobytes())
    assert len(set(got)) == 1


def test_a_text_that_occurs_twice_is_asked_for_once():
    with serve() as server:
        found = encoder.encode(["a b", "c d", "a b"], asking(server))
    assert found[0].tobytes() == found[2].tobytes() != found[1].tobytes()
    assert server.stats.received.total() == 1


def test_several_endpoints_share_the_work():
    texts = [f"text {i}" for i in range(400)]
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(Settings(latency=0.05))) for _ in range(2)]
        found = encoder.encode(texts, asking(*servers, max_concurrency=4))
    assert np.abs(found - expected(texts)).max() < 1e-3
    assert [server.stats.max_in_flight for server in servers] == [4, 4]
    assert min(server.stats.requests for server in servers) >= 8


def test_a_dead_endpoint_leaves_its_work_to_the_other():
    with serve() as server:
        found = encoder.encode(TEXTS, asking("http://127.0.0.1:9/v1", server))
    assert np.abs(found - expected(TEXTS)).max() < 1e-3


@pytest.mark.parametrize(
    "fault", ["429", "429 date", "429 bare", "500", "502 html body", "503", "reset", "cut", "garbage"]
)
def test_what_passes_is_tried_again(fault):
    with serve(Settings(faults=faulty(fault, 2), retry_after=0.1)) as server:
        found = encoder.encode(TEXTS[:20], asking(server))
    assert np.abs(found - expected(TEXTS[:20])).max() < 1e-3
    assert server.stats.requests == 4


def test_a_server_that_asks_to_wait_is_given_the_time():
    with serve(Settings(faults=faulty("429", 1), retry_after=1.0)) as server:
        started = time.monotonic()
        encoder.encode(["text"], asking(server))
    assert time.monotonic() - started >= 1.0
    assert server.stats.requests == 2


def test_requests_per_minute_hold_from_call_to_call():
    with serve() as server:
        settings = asking(server, requests_per_minute=120)
        started = time.monotonic()
        for i in range(8):
            encoder.encode([f"text {i}"], settings)
    assert time.monotonic() - started > 1.0  # four at once, then two a second


def test_a_server_that_knows_no_base64_is_asked_for_numbers():
    with serve(Settings(faults=faulty("base64 unsupported"))) as server:
        found = encoder.encode(TEXTS, asking(server, max_concurrency=1))
    assert np.abs(found - expected(TEXTS)).max() < 1e-3
    assert server.stats.faults["base64 unsupported"] == 1


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        ("401", ConfigError, r"HTTP 401.*\nThe key is refused: set api_key_env"),
        ("404 model", ConfigError, r"HTTP 404.*\nCheck base_url.* and embed\.model 'scripted'"),
        (
            "context",
            UserError,
            r"HTTP 400.*\nA text is longer than embed\.model 'scripted' takes there: lower chunk\.max",
        ),
        ("context vllm", UserError, r"\nA text is longer than embed\.model 'scripted'"),
        ("400", UserError, r"HTTP 400.*\nThe server refuses to embed with 'scripted'"),
        ("quota", ConfigError, r"\nThe account has no quota left"),
        ("fewer vectors", UserError, r" sent 15 vectors for 16 texts\. Check that embed\.model 'scripted'"),
        ("more vectors", UserError, r" sent 17 vectors for 16 texts"),
        ("wrong index", UserError, r" sent vectors whose `index` does not say"),
        ("ragged", UserError, r" sent vectors of 31 and 32 dimensions in one reply"),
    ],
)
def test_what_does_not_pass_is_a_sentence_that_names_the_endpoint(fault, kind, says):
    with serve(Settings(faults=faulty(fault))) as server, pytest.raises(UserError, match=says) as e:
        encoder.encode(TEXTS[:16], asking(server))
    assert str(e.value).startswith(f"embed.endpoints: {server.url}")
    assert type(e.value) is kind
    assert server.stats.requests == 1


@pytest.mark.parametrize("fault", ["nan", "zero"])
def test_a_text_without_a_usable_vector_is_told_apart(fault):
    with serve(Settings(faults=faulty(fault))) as server:
        vectors, usable = encoder.encode_usable(TEXTS[:16], asking(server))
    assert 0 < usable.sum() < 16
    assert not vectors[~usable].any()
    assert np.linalg.norm(vectors[usable].astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)
    with serve(Settings(faults=faulty(fault))) as server, pytest.raises(UserError, match="no usable vector for the"):
        encoder.encode(TEXTS[:16], asking(server))


def test_vectors_of_changing_dimensions_are_refused():
    with (
        serve(Settings(faults=faulty("wider", 1))) as server,
        pytest.raises(UserError, match="changing dimensions: 33 ") as e,
    ):
        encoder.encode(TEXTS, asking(server, max_concurrency=1))
    assert server.url in str(e.value)


def test_vectors_that_cannot_be_read_are_asked_for_again():
    with serve(Settings(faults=faulty("odd base64", 1))) as server:
        encoder.encode(["one", "two"], asking(server))
    assert server.stats.requests == 2


def test_a_server_that_only_fails_is_given_up():
    with serve(Settings(faults=faulty("429"), retry_after=0.0)) as server, pytest.raises(EngineError) as e:
        encoder.encode(["text"], asking(server))
    assert str(e.value).startswith(f"embed.endpoints: no vectors can be had. The last attempt: {server.url}: HTTP 429")
    assert "run the same command again" in str(e.value)


def test_a_server_that_never_has_time_is_given_up(monkeypatch):
    """It is there, so that refusals say nothing against a request: time does."""
    monkeypatch.setattr(pool, "PATIENCE", 0.5)
    monkeypatch.setattr(pool, "back_off", lambda failures: 0.1)
    with serve(Settings(faults=faulty("429 bare"))) as server, pytest.raises(EngineError, match="no endpoint has answ"):
        encoder.encode(["text"], asking(server))
    assert server.stats.requests <= 10


@pytest.mark.slow
def test_an_address_where_nobody_is_is_given_up():
    with pytest.raises(EngineError, match=r"no vectors can be had.*: http://127\.0\.0\.1:9/v1"):
        encoder.encode(TEXTS, asking("http://127.0.0.1:9/v1"))


def test_the_key_is_sent_and_never_shown(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    with serve(Settings(api_key="sk-secret")) as server:
        encoder.encode(["text"], asking(server, api_key_env="SOME_KEY"))
    assert server.stats.authorizations == {"Bearer sk-secret": 1}
    with serve(Settings(api_key="sk-other")) as server, pytest.raises(ConfigError) as e:
        encoder.encode(["text"], asking(server, api_key_env="SOME_KEY"))
    assert "sk-secret" not in str(e.value)
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(ConfigError, match="environment variable SOME_KEY"):
        encoder.encode(["text"], asking("http://127.0.0.1:9/v1", api_key_env="SOME_KEY"))


def test_no_thread_and_no_connection_is_left():
    before = threading.active_count()
    with serve() as server:
        encoder.encode(TEXTS, asking(server))
        assert threading.active_count() <= before + 1  # the server's
    assert threading.active_count() == before


def test_identity_is_the_name_and_not_the_address():
    here, there = asking("http://a/v1"), asking("http://b/v1", max_concurrency=3)
    assert encoder.identity(here) == encoder.identity(there) == "served scripted@main"
    assert encoder.identity(here) != encoder.identity(EmbedConfig(model="scripted"))
    assert encoder.main_process_only(here)


def test_batches_hold_so_many_texts_and_characters():
    assert [len(b) for b in remote.batches(["x"] * 40)] == [16, 16, 8]
    long = "x" * (remote.CHARS // 3)
    assert [len(b) for b in remote.batches([long] * 7)] == [3, 3, 1]
    assert [len(b) for b in remote.batches(["x" * 10 * remote.CHARS, "x", "x"])] == [1, 2]
    assert list(remote.batches([])) == []
