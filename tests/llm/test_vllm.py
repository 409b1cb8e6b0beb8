"""vLLM in this process, for real: a model of a million random parameters, on the CPU."""

import asyncio
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datagen.config.llm import EngineConfig, PriceConfig
from datagen.errors import ConfigError, EngineError
from datagen.llm.base import Completion, Request
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob, drive
from datagen.llm.vllm import REFUSED, VLLMBackend
from tests.servers import tiny_model

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed", allow_module_level=True)

pytestmark = pytest.mark.vllm
CONTEXT = 512
ARGUMENTS = {"enforce_eager": True, "dtype": "float32", "structured_outputs_config": tiny_model.STRUCTURED}
SCHEMA = {
    "type": "object",
    "properties": {
        "words": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "rating": {"type": "integer", "enum": [0, 1, 2]},
    },
    "required": ["words", "rating"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny"), CONTEXT)


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in tiny_model.ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


class Running:
    """A backend in an event loop that lasts: its model is loaded once."""

    def __init__(self, folder: Path, **vllm) -> None:
        self.backend = VLLMBackend(EngineConfig(kind="vllm", model=str(folder), vllm=ARGUMENTS | vllm))
        self.loop = asyncio.Runner()
        self.order: list[str] = []  # the keys of what was answered

    def ask(self, requests: list[Request]) -> dict[str, Completion]:
        async def one(request: Request) -> Completion:
            completion = await self.backend.complete(request)
            self.order.append(completion.key)
            return completion

        async def all_of_them() -> list[Completion]:
            return await asyncio.gather(*map(one, requests))

        return {completion.key: completion for completion in self.loop.run(all_of_them())}

    def close(self) -> None:
        with self.loop:
            self.loop.run(self.backend.close())


@pytest.fixture(scope="module")
def engine(folder) -> Iterator[Running]:
    engine = Running(folder)
    yield engine
    engine.close()


@contextmanager
def running(folder: Path, **vllm) -> Iterator[Running]:
    engine = Running(folder, **vllm)
    try:
        yield engine
    finally:
        engine.close()


def request(text: str, sample: int = 0, schema: dict | None = None, **sampling) -> Request:
    sampling = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 48} | sampling
    return Request("tiny", [{"role": "user", "content": text}], sampling, schema, sample)


def ask(engine: Running, requests: list[Request]) -> dict[str, Completion]:
    return engine.ask(requests)


def test_each_request_gets_one_completion_and_an_overlong_one_the_reason(engine):
    requests = [request(f"Tell me about {i}.", sample=i) for i in range(300)]
    requests.insert(7, request("word " * 2000))
    done = ask(engine, requests)

    failed = [c for c in done.values() if c.error]
    assert [c.key for c in failed] == [requests[7].key]
    assert failed[0].error == "prompt over the context window"
    assert failed[0].detail.endswith("the window (max_model_len) is 512, and the reply needs one at least")
    replies = [done[r.key] for r in requests if r is not requests[7]]
    assert all(c.finish in ("stop", "length") and c.endpoint == "vllm" and c.seconds > 0 for c in replies)
    assert all(0 < c.completion_tokens <= 48 and c.prompt_tokens > 5 for c in replies)
    assert len({c.text for c in replies}) > 250


def test_completions_come_as_they_finish(engine):
    short, long = request("short", max_tokens=2), request("long", max_tokens=200, ignore_eos=True)
    ask(engine, [long, short])
    assert engine.order[-2:] == [short.key, long.key]


def test_a_reply_that_does_not_fit_is_shortened(engine):
    (completion,) = ask(engine, [request("word " * 100, max_tokens=4096, ignore_eos=True)]).values()
    assert completion.finish == "length"
    assert completion.prompt_tokens + completion.completion_tokens == CONTEXT


def test_a_schema_makes_well_formed_json(engine):
    requests = [request("Rate it.", sample=i, schema=SCHEMA, max_tokens=256) for i in range(20)]
    for completion in ask(engine, requests).values():
        reply = json.loads(completion.text or "")
        assert set(reply) == {"words", "rating"}
        assert reply["rating"] in (0, 1, 2)


def test_a_schema_that_cannot_be_held_to_fails_alone(engine):
    odd, fine = request("x", schema={"type": "no such type"}), request("x")
    done = ask(engine, [odd, fine])
    assert done[odd.key].error == REFUSED
    assert done[odd.key].detail
    assert done[fine.key].error == ""


def test_the_same_requests_get_the_same_texts(engine):
    requests = [request("Again?", sample=i) for i in range(5)]
    first = {key: c.text for key, c in ask(engine, requests).items()}
    again = {key: c.text for key, c in ask(engine, requests[::-1]).items()}
    assert again == first
    assert len(set(first.values())) == 5


def test_the_common_beginning_is_counted_as_cached(engine):
    text = "A long beginning that many requests share. " * 12
    ask(engine, [request(text)])
    (completion,) = ask(engine, [request(text, sample=1)]).values()
    assert 0 < completion.cached_tokens < completion.prompt_tokens


def test_reasoning_is_told_from_the_answer_without_a_parser(engine):
    schema = {"type": "string", "enum": ["x"]}
    think = {"regex": "<think>[a-z]{4}</think>[a-z]{3}"}
    (completion,) = ask(engine, [request("Think.", structured_outputs=think)]).values()
    assert len(completion.reasoning) == 4
    assert len(completion.text or "") == 3
    (completion,) = ask(engine, [request("Think.", schema=schema)]).values()
    assert (completion.reasoning, completion.text) == ("", '"x"')


def test_sampling_that_vllm_does_not_know_is_named(engine):
    with pytest.raises(ConfigError, match=r"sampling: vLLM knows no top_q; did you mean top_\w+\?"):
        ask(engine, [request("x", top_q=3)])
    with pytest.raises(ConfigError, match=r"sampling: vLLM does not take it: .*min_p"):
        ask(engine, [request("x", min_p=7)])


# From here on each test has a model of its own: to free one, vLLM frees what others in the process stand on.


def test_no_more_are_taken_than_there_is_room_for(folder):
    with running(folder, max_num_seqs=4) as engine:
        assert engine.backend.room == 1
        assert len(ask(engine, [request("again", sample=i) for i in range(40)])) == 40
        assert engine.backend.room == 8


def test_who_stops_listening_frees_the_model(folder, tmp_path):
    def jobs() -> Iterator[ShardJob]:
        yield ShardJob("short", tmp_path / "short", lambda llm: [llm.complete(request("short", max_tokens=2))])
        for i in range(10**6):
            on = request("on and on", sample=i, ignore_eos=True, max_tokens=400)
            yield ShardJob(f"{i}", tmp_path / f"{i}", lambda llm, on=on: [llm.complete(on)])

    backend = VLLMBackend(EngineConfig(kind="vllm", model=str(folder), vllm=ARGUMENTS | {"max_num_seqs": 2}))
    asking = drive(jobs(), backend, Budget(PriceConfig()), 10**6)
    assert next(asking).name == "short"
    asking.close()
    assert backend.model is None


def test_a_reasoning_parser_of_vllm_tells_them_apart(folder):
    """And the schema holds for what follows the reasoning."""
    added = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    begin, end = (str(t["id"]) for name in tiny_model.THINKING for t in added if t["content"] == name)
    bias = {begin: -100.0, end: 6.0}  # it stops thinking after some words, and does not begin again within the JSON
    asked = [request("x", sample=i, schema=SCHEMA, max_tokens=256, logit_bias=bias) for i in range(4)]
    with running(folder, reasoning_parser="deepseek_r1") as engine:
        for completion in ask(engine, asked).values():
            assert completion.reasoning
            assert set(json.loads(completion.text or "")) == {"words", "rating"}


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ({"tensor_parallel_sise": 2}, ConfigError, "vLLM knows no tensor_parallel_sise; did you mean tensor_parallel_"),
        ({"max_model_len": 10**6}, EngineError, "vLLM cannot run .*: User-specified max_model_len"),
        ({"reasoning_parser": "none such"}, EngineError, "vLLM cannot run .*: Reasoning parser 'none such' not found"),
    ],
)
def test_what_keeps_a_model_from_loading_is_said(folder, arguments, kind, said):
    with running(folder, **arguments) as engine, pytest.raises(kind, match=said):
        ask(engine, [request("x")])


def test_a_model_that_is_not_there_is_named(tmp_path):
    with running(tmp_path) as engine, pytest.raises(EngineError, match=f"vLLM cannot run {tmp_path}: "):
        ask(engine, [request("x")])
