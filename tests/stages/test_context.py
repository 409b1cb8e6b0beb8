"""What is said of the context window that requests need, held against the requests that a server got."""

import re
from pathlib import Path

import pytest

from datagen.checks.check import Check
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.run.run import Run
from datagen.stages import STAGES, context
from datagen.text import tokenizers
from tests.servers.model import reply
from tests.servers.openai_server import serve
from tests.servers.settings import Settings
from tests.stages import talking

GENERATE, JUDGE = (next(stage for stage in STAGES if stage.name == name) for name in ("generate", "judge"))
TAUGHT = [{"base_url": "http://127.0.0.1:9/v1"}]  # where nobody is


async def nothing(case, found) -> None:
    pass


MUTE = Check("mute", nothing)
VAGUE = Check("vague", nothing, prompt="judge-quality")


@pytest.fixture(scope="module")
def clustered(corpus, go, settings, tmp_path_factory) -> tuple[Path, Config]:
    folder = tmp_path_factory.mktemp("clustered")
    config = settings(
        corpus,
        chunk__max_tokens=64,
        embed__device="cpu",
        engine__model="scripted",
        engine__endpoints=TAUGHT,
        generate__method="llm",
        judge__method="llm",
        judge__checks=["quality", "closed_book", "sufficiency", "necessity", "completeness", "policy"],
        judge__min_rating=0,
        judge__sampling={"max_tokens": 300},
        judge__policy_engine={"model": "policy", "endpoints": TAUGHT},
    )
    go(folder, config, "chunk", "embed", "cluster")
    return folder, config


def needs(sentence: str) -> tuple[int, int, int]:
    """(the window, of it the prompt, the reply) that a sentence names."""
    numbers = [int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*", sentence)]
    assert len(numbers) == 3, sentence
    return numbers[0], numbers[1], numbers[2]


@pytest.fixture(scope="module")
def judged(clustered, tmp_path_factory) -> tuple[Path, Config, dict[str, list[int]], dict[str, list[str]]]:
    """A run, and by stage or check what its requests had in tokens, and what was said before."""
    folder, config = clustered
    count = tokenizers.load("embedded").count
    sent: dict[str, list[str]] = {"scripted": [], "policy": []}
    lengths, said = {}, {}

    def heard(body: dict) -> str:
        sent[body["model"]].append("\n".join(message["content"] for message in body["messages"]))
        return reply(body)

    with serve(Settings(reply=heard)) as server:
        there = [{"base_url": server.url}]
        config = configs.merge(config, {"engine.endpoints": there, "judge.policy_engine.endpoints": there})
        for stage in (GENERATE, JUDGE):
            said[stage.name] = list(context.said(stage, Run(str(folder)), config))
            talking.Run(stage, str(folder), config)._run("if-possible")
            for model, texts in sent.items():
                lengths[f"{stage.name} {model}"] = count(texts)
                texts.clear()
    return folder, config, lengths, said


@pytest.mark.parametrize(
    ("stage", "model", "of"),
    [("generate", "scripted", ""), ("judge", "scripted", "completeness"), ("judge", "policy", "policy")],
)
def test_the_longest_request_is_as_long_as_was_said(judged, stage, model, of):
    _, config, lengths, said = judged
    (sentence,) = (one for one in said[stage] if f" to {model} " in one)
    window, prompt, reply_limit = needs(sentence)
    assert window == prompt + reply_limit
    assert reply_limit == getattr(config, stage).sampling.max_tokens
    assert (f"for its prompt ({of})" in sentence) == bool(of)
    longest = max(lengths[f"{stage} {model}"])
    asked_again = getattr(config, stage).max_parse_retries * min(reply_limit + 60, 1400)
    assert longest <= prompt <= 1.6 * longest + asked_again + 700


def test_it_is_said_before_anything_is_asked(judged, tmp_path, capsys):
    folder, config, _, said = judged
    with serve() as server:
        there = [{"base_url": server.url}]
        config = configs.merge(config, {"engine.endpoints": there, "judge.policy_engine.endpoints": there})
        assert list(context.said(JUDGE, Run(str(folder)), config)) == said["judge"]
        assert not server.stats.requests


def test_a_window_that_is_too_small_is_said(judged):
    folder, config, _, said = judged
    window, *_ = needs(said["generate"][0])
    for tokens, small in ((window - 1, True), (window, False)):
        with serve(Settings(says={"max_model_len": tokens})) as server:
            endpoints = [{"base_url": server.url}]
            there = configs.merge(config, {"engine.endpoints": endpoints})
            _, *more = context.said(GENERATE, Run(str(folder)), there)
        assert len(more) == small
        if small:
            assert f"{server.url} has a context window of {tokens:,} tokens" in more[0]
            assert "generate.sampling.max_tokens, cluster.max_cluster_size" in more[0]


def test_a_smaller_reply_needs_a_smaller_window(judged):
    folder, config, _, _ = judged
    small = configs.merge(config, {"generate.sampling.max_tokens": 100})
    (sentence,) = context.said(GENERATE, Run(str(folder)), small)
    assert needs(sentence)[2] == 100


def test_a_check_that_does_not_say_what_it_shows_is_named(judged):
    folder, config, _, _ = judged
    own = [f"{__name__}:MUTE", f"{__name__}:VAGUE", "quality"]
    *_, last = context.said(JUDGE, Run(str(folder)), configs.merge(config, {"judge.checks": own}))
    assert last == "judge: what context vague needs is not known"


def test_nothing_is_said_where_no_model_is_asked(judged):
    folder, config, _, _ = judged
    rules = configs.merge(config, {"generate.method": "extractive", "judge.method": "rules"})
    assert [list(context.said(stage, Run(str(folder)), rules)) for stage in STAGES] == [[]] * len(STAGES)
