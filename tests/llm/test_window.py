"""Prompts that a server cuts in silence, and what servers say of their windows."""

import random
from dataclasses import replace

import pytest

from datagen.config.llm import EndpointConfig, EngineConfig
from datagen.errors import EngineError
from datagen.llm import window
from datagen.llm.base import Completion, Request
from datagen.llm.chat import ChatBackend
from datagen.llm.http_errors import CUT
from datagen.text import tokenizers
from tests.llm.asking import answers
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

SENTENCE = "the river rose in the night and the mill by the old bridge was lost with all its grain"
CHINESE = "河水在夜里上涨，老桥边的磨坊连同所有的粮食都被冲走了。"


def prose(n: int, seed: int = 0) -> str:
    """`n` words that no two seeds have in the same order."""
    return " ".join(random.Random(seed).choices(SENTENCE.split(), k=n))


def asked(text: str, seed: int = 0, group: str = "") -> Request:
    return Request("m", [{"role": "user", "content": text}], {"seed": seed, "max_tokens": 9}, group=group)


def backend_for(*servers: Server, **given) -> ChatBackend:
    endpoints = tuple(EndpointConfig(base_url=server.url, max_concurrency=4) for server in servers)
    return ChatBackend(EngineConfig(model="m", endpoints=endpoints, **given))


# What a prompt has at least -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [prose(4000), CHINESE * 200, "1234567890 " * 3000, "x = [ 0 , 1 ]\n" * 900])
def test_no_whole_prompt_is_taken_for_a_cut_one(text):
    (whole,) = tokenizers.load("embedded").count([text])
    assert not window.least(asked(text), whole)


@pytest.mark.parametrize("text", [prose(4000), CHINESE * 400])
def test_a_cut_one_is_noticed(text):
    assert window.least(asked(text), 1026) > 1026


def test_white_space_and_lines_of_dashes_are_no_words():
    assert not window.least(asked(" " * 90_000 + "-" * 90_000), 1026)


def test_a_short_prompt_fits_any_window():
    assert not window.least(asked(prose(900)), 10)


# A server that cuts ---------------------------------------------------------------------------------------------------


def test_a_cut_prompt_is_no_answer_and_says_why():
    with serve(Settings(window=4096, reply="Yes.")) as server:
        short, long = answers(backend_for(server), [asked("Is it?"), asked(prose(8000))])
    assert (short.text, short.error) == ("Yes.", "")
    assert (long.text, long.error) == (None, CUT)
    assert "counted 2,049 tokens of a prompt that has 6,000 at least" in long.detail
    assert "OLLAMA_CONTEXT_LENGTH" in long.detail
    assert long.lost_prompt_tokens == 2 * 2049  # it was asked twice, the second time to be certain


def test_the_run_ends_where_all_are_cut():
    requests = [asked(prose(8000, i), i) for i in range(60)]
    said = f"of no use: {CUT}.*counted 2,049 tokens.*OLLAMA_CONTEXT_LENGTH"
    with serve(Settings(window=4096)) as server, pytest.raises(EngineError, match=said):
        answers(backend_for(server), requests)
    assert server.stats.requests <= 32  # one for each, and those in doubt at first


def test_another_server_has_it_instead():
    requests = [asked(prose(8000, i), i, group=str(i)) for i in range(24)]
    with serve(Settings(window=4096, reply="cut")) as small, serve(Settings(reply="whole", latency=0.05)) as large:
        found = answers(backend_for(small, large), requests)
    assert {completion.text for completion in found} == {"whole"}
    assert small.stats.requests > 1


def test_a_prompt_is_not_cut_where_the_server_counts_only_what_its_cache_had_not():
    text = prose(340)  # all that the cache remembers of a prompt is how it begins
    same = [asked(f"{text} {'river ' * 1400}{i}", i) for i in range(12)]
    cached = Settings(reply="Yes.", counts_cached=False)
    with serve(replace(cached, prefix=9000)) as server:
        backend = backend_for(server)
        found = answers(backend, same)
        assert [completion.text for completion in found] == ["Yes."] * 12
        assert sum(completion.prompt_tokens < 500 for completion in found) >= 8
    assert server.stats.requests <= 12 + 2 * 4  # those in doubt at first, and what made it certain


def test_a_server_that_does_both_is_believed_no_further_than_it_was_tried():
    """It counts only what its cache had not, and cuts: of prompts that fit it is believed, of longer ones not."""
    text = prose(340)
    fit = [asked(f"{text} {'river ' * 1400}{i}", i) for i in range(6)]
    both = Settings(reply="Yes.", counts_cached=False, prefix=9000, window=4096)
    with serve(both) as server:
        backend = backend_for(server)
        assert [completion.text for completion in answers(backend, fit)] == ["Yes."] * 6
        (long,) = answers(backend, [asked(prose(8000))])
    assert (long.text, long.error) == (None, CUT)


def test_a_refusal_of_what_was_to_settle_a_doubt_is_that_refusal():
    """And the server is not believed for it."""
    settings = Settings(window=4096, faults=lambda body, nth: "401" if body.get("max_tokens") == 16 else None)
    with serve(settings) as server:
        backend = backend_for(server)
        with pytest.raises(EngineError):
            answers(backend, [asked(prose(8000))])
    assert not backend.counts.uncached


def test_no_usage_is_no_fault():
    with serve(Settings(window=4096, faults=lambda body, nth: "no usage", reply="Yes.")) as server:
        (found,) = answers(backend_for(server), [asked(prose(8000))])
    assert (found.text, found.estimated) == ("Yes.", True)


def test_a_streamed_reply_to_a_cut_prompt_is_none():
    with serve(Settings(window=4096, reply="Yes it is.")) as server:
        backend, heard = backend_for(server), []
        answers(backend, [asked("Is it?")])
        found: list[Completion] = streamed(backend, asked(prose(8000)), heard)
    assert [completion.error for completion in found] == [window.DOUBT]
    assert heard


def streamed(backend: ChatBackend, request: Request, heard: list[str]) -> list[Completion]:
    import asyncio

    async def run() -> Completion:
        try:
            return await backend.complete(request, heard.append)
        finally:
            await backend.close()

    return [asyncio.run(run())]


# What a server says of its window -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "tokens"),
    [
        ({"max_model_len": 8192}, 8192),  # vLLM, SGLang
        ({"meta": {"n_ctx": 1024, "n_ctx_train": 32768}}, 1024),  # llama.cpp: of one slot
        ({"meta": {"n_ctx_train": 32768}}, 32768),
        ({"context_length": 131072}, 131072),  # OpenRouter
        ({}, None),
        ({"max_model_len": None, "meta": "none"}, None),
        ({"max_model_len": "8192"}, None),
        ({"max_model_len": True}, None),
    ],
)
def test_a_server_says_its_window(says, tokens):
    with serve(Settings(says=says, model="m")) as server:
        found = window.stated(EngineConfig(model="m", endpoints=(EndpointConfig(base_url=server.url),)))
    assert found == ({server.url: tokens} if tokens else {})
    assert not server.stats.requests


def test_of_several_models_the_one_that_is_asked():
    both = {"data": [{"id": "other", "max_model_len": 1}, {"id": "m", "max_model_len": 2}]}
    assert window.of_model(both, "m") == 2
    assert window.of_model(both, "third") is None
    assert window.of_model({"data": [{"id": "only", "max_model_len": 3}]}, "m") == 3  # a server of one model


@pytest.mark.parametrize(
    ("native", "says", "tokens"),
    [
        ("/api/ps", {"models": [{"name": "m:latest", "model": "m:latest", "context_length": 4096}]}, 4096),
        ("/api/ps", {"models": [{"name": "other:7b", "model": "other:7b", "context_length": 4096}]}, None),
        ("/api/ps", {"models": []}, None),
        ("/api/v0/models", {"data": [{"id": "m", "state": "loaded", "loaded_context_length": 4096}]}, 4096),
        ("/api/v0/models", {"data": [{"id": "m", "state": "not-loaded", "max_context_length": 32768}]}, 32768),
    ],
)
def test_ollama_and_lm_studio_say_it_elsewhere(native, says, tokens):
    with serve(Settings(model="m", native={native: says})) as server:
        found = window.stated(EngineConfig(model="m", endpoints=(EndpointConfig(base_url=server.url),)))
    assert found == ({server.url: tokens} if tokens else {})


def test_a_server_that_is_not_there_or_hangs_up_says_nothing():
    with serve(Settings(api_faults=lambda call, nth: "reset")) as server:
        endpoints = tuple(EndpointConfig(base_url=url) for url in (server.url, "http://127.0.0.1:9/v1"))
        assert window.stated(EngineConfig(model="m", endpoints=endpoints)) == {}


def test_openai_is_not_asked(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    assert window.stated(EngineConfig(model="m")) == {}


def test_vllm_in_this_process_has_it_from_its_settings():
    engine = EngineConfig(kind="vllm", model="m", vllm={"max_model_len": 4096})
    assert window.stated(engine) == {"engine.vllm.max_model_len": 4096}
    assert window.stated(EngineConfig(kind="vllm", model="m")) == {}
