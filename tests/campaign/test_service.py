"""Servers that fail in all the ways that real ones do, at random: no question is lost, none is paid for unaccounted.

`make campaign` draws many more, and prints a line for each; CAMPAIGN says how many, CAMPAIGN_SEED where they begin.
"""

import os
import random
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

import pytest

from datagen.config.llm import EndpointConfig, EngineConfig, PriceConfig
from datagen.errors import ServerWarning
from datagen.llm import cost, drive, journal
from datagen.llm.base import LLM, Conversation, Request
from datagen.llm.chat import ChatBackend
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob
from datagen.llm.objects import ParseError
from datagen.llm.parsing import NoReply, ask
from tests.servers.faults import FAULTS
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

FIRST, COUNT = int(os.environ.get("CAMPAIGN_SEED", "0")), int(os.environ.get("CAMPAIGN", "3"))
PRICE = PriceConfig(prompt=1.0, completion=4.0)
# What may happen to an attempt and be overcome by another. "hang" and "drip" wait for the time-out, one of the others
# ends the run, and what a server lacks of the API is no accident.
PASSING = sorted(
    {"408", "425", "429 bare", "500", "502 html body", "503", "reset", "cut", "garbage", "hang", "drip", "bomb"}
    | {"empty choices", "null content", "only reasoning", "tool calls", "filtered", "abort", "no usage", "odd usage"}
)
SHARDS, QUESTIONS = 5, 40


def questions(shard: int) -> list[Request]:
    texts = (f"Say {shard}, {i}." for i in range(QUESTIONS))
    return [Request("m", [{"role": "user", "content": text}], {"max_tokens": 20}) for text in texts]


def reply(body: dict) -> str:
    return f"You asked me: {body['messages'][0]['content']}"


def read(text: str) -> str:
    if not text.startswith("You asked me: "):
        raise ParseError("unreadable reply", "it says something else")
    return text.removeprefix("You asked me: ")


async def answered(llm: LLM, request: Request) -> str | None:
    """None: the faults came so often that there was no reply of use, which the next run asks for again."""
    try:
        return await ask(llm, request, read, 2)
    except NoReply:
        return None


def job(folder: Path, shard: int) -> ShardJob:
    def begin(llm: LLM) -> list[Conversation[str | None]]:
        return [answered(llm, request) for request in questions(shard)]

    return ShardJob(f"shard-{shard}", folder / f"shard-{shard}.jsonl", begin)


def drawn(seed: int) -> tuple[list[Settings], str]:
    """One to three servers and what is wrong with them; one of several may give nothing but junk, or die."""
    draw = random.Random(seed)
    rate, kinds = draw.choice([0.01, 0.1, 0.3]), draw.sample(PASSING, draw.randint(1, 6))
    usual = Settings(reply=reply, faults=kinds, fault_rate=rate, seed=seed, latency=0.02, spread=0.5)
    servers = [usual] * draw.randint(1, 3)
    if len(servers) > 1:
        worse = draw.choice(["as the others", "junk", "dies", "busy"])
        if worse == "junk":
            servers[0] = Settings(reply="Certainly!")
        elif worse == "dies":
            servers[0] = Settings(reply=reply, die_after=30)
        elif worse == "busy":
            servers[0] = Settings(faults=lambda body, asked: "429", retry_after=30)
    else:
        worse = "alone"
    return servers, f"{rate:.0%} of {', '.join(kinds)}; {len(servers)} servers, the first: {worse}"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_no_question_is_lost(tmp_path, seed):
    servers, what = drawn(seed)
    budget, began = Budget(PRICE, most=1e6), time.monotonic()
    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore", ServerWarning)
        running = [stack.enter_context(serve(settings)) for settings in servers]
        endpoints = tuple(EndpointConfig(base_url=server.url, max_concurrency=16) for server in running)
        backend = ChatBackend(EngineConfig(endpoints=endpoints, timeout=1, max_attempts=12, max_error_rate=0.9))
        runs, done = 0, []
        while runs < 3 and (not done or any(None in each.results for each in done)):
            runs += 1
            done = list(drive.drive((job(tmp_path, n) for n in range(SHARDS)), backend, budget, SHARDS * QUESTIONS))
    took = f"{time.monotonic() - began:.1f} s, {sum(s.stats.requests for s in running)} requests, {runs} runs"
    print(f"{seed}: {what}: {took}")
    expected = {f"shard-{n}": [request.messages[0]["content"] for request in questions(n)] for n in range(SHARDS)}
    assert {each.name: each.results for each in done} == expected
    journals = [each.journal for each in done]
    found = journal.usage(journals)
    assert cost.of(PRICE, found) == pytest.approx(budget.spent)  # a run that is gone on with knows what was spent
    assert budget.reserved == pytest.approx(0, abs=1e-9)
    assert {
        drive.replay(job(tmp_path, n)).name: drive.replay(job(tmp_path, n)).results for n in range(SHARDS)
    } == expected


def test_the_faults_exist():
    assert set(PASSING) <= FAULTS
