"""Many conversations at once: each reply is kept before it is used, none is asked for twice, no budget is exceeded."""

import asyncio
import gc
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from datagen.config.llm import PriceConfig
from datagen.errors import EngineError, UserError
from datagen.llm import cost, drive, journal
from datagen.llm.base import LLM, Account, Backend, Completion, Request, Stream
from datagen.llm.cost import Budget
from datagen.llm.drive import OverBudget, ShardJob
from datagen.llm.journal import Journal
from datagen.llm.traffic import Traffic
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

FREE = PriceConfig()


@dataclass
class Scripted(Backend):
    """Answers in any order, a few at a time: the last word of what was asked, in capitals."""

    room: int = 5
    seed: int = 0
    fails: frozenset[str] = frozenset()  # what it has no reply to
    gives_up_after: int | None = None
    asked: list[Request] = field(default_factory=list)
    paid: list[Completion] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self.rng, self.slots = random.Random(self.seed), asyncio.Semaphore(self.room)

    async def complete(
        self, request: Request, stream: Stream | None = None, account: Account | None = None
    ) -> Completion:
        async with self.slots:
            if self.gives_up_after is not None and len(self.paid) >= self.gives_up_after:
                raise EngineError("the server is gone")
            self.asked.append(request)
            await asyncio.sleep(self.rng.choice([0, 0, 0.001, 0.01]))
            self.paid.append(self.answer(request))
            return self.paid[-1]

    def answer(self, request: Request) -> Completion:
        said = request.messages[-1]["content"]
        if said in self.fails:
            return Completion(request.key, error="server error", detail=f"HTTP 500, {said}")
        tokens = sum(len(m["content"].encode()) for m in request.messages)
        return Completion(request.key, text=said.split()[-1].upper(), prompt_tokens=tokens, completion_tokens=9)

    def expect(self, n: int) -> None:
        assert n >= 0

    def idle(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True


def request(said: str, *before: dict[str, str]) -> Request:
    return Request("m", [*before, {"role": "user", "content": said}], {"max_tokens": 10})


async def chat(llm: LLM, name: str, turns: int) -> str:
    """Everything that was answered, in order."""
    messages, heard = [], []
    for i in range(turns):
        asked = request(f"turn {i} of {name}", *messages)
        completion = await llm.complete(asked)
        if completion.error:
            return f"{name} failed: {completion.detail}"
        heard.append(f"{i}{completion.text}")
        messages = [*asked.messages, {"role": "assistant", "content": completion.text or ""}]
    return " ".join(heard)


TURNS = [(shard, [(7 * shard + i) % 5 for i in range(1 + shard % 4)] if shard % 6 else []) for shard in range(12)]


def job(folder: Path, name: str, *chats: tuple[str, int]) -> ShardJob:
    """A shard of conversations, each with its name and how many turns it has."""
    return ShardJob(name, folder / f"{name}.jsonl", lambda llm: [chat(llm, *each) for each in chats])


def jobs(folder: Path) -> Iterator[ShardJob]:
    """Twelve shards, two of them without a conversation, of conversations with up to four turns."""
    for shard, turns in TURNS:
        yield job(folder, f"shard-{shard:05d}", *((f"s{shard}c{i}", n) for i, n in enumerate(turns)))


def expected() -> dict[str, list[str]]:
    return {
        f"shard-{shard:05d}": [
            " ".join(f"{turn}S{shard}C{i}" for turn in range(n)) for i, n in enumerate(turns)
        ]
        for shard, turns in TURNS
    }  # fmt: skip


def driven(folder: Path, backend: Scripted, budget: Budget | None = None, ended: list[int] | None = None) -> dict:
    on_end = (ended if ended is not None else []).append
    done = drive.drive(jobs(folder), backend, budget or Budget(FREE), 30, on_end)
    return {job.name: job.results for job in done}


def journalled(folder: Path, name: str = "*") -> list[Completion]:
    return [completion for path in sorted(folder.glob(f"{name}.jsonl")) for completion in journal.read(path)]


def test_what_goes_wrong_in_telling_of_the_traffic_is_not_swallowed(tmp_path):
    def told(traffic: Traffic) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(drive.drive(jobs(tmp_path), Scripted(), Budget(FREE), 30, traffic=Traffic(told)))

    async def fails(llm: LLM) -> None:
        await asyncio.sleep(0.3)
        raise KeyError("the run's own")

    own = ShardJob("x", tmp_path / "x.jsonl", lambda llm: [fails(llm)])
    with pytest.raises(KeyError):
        list(drive.drive(iter([own]), Scripted(), Budget(FREE), 1, traffic=Traffic(told)))


@pytest.mark.parametrize(("room", "seed"), [(1, 0), (3, 1), (5, 2), (1000, 3)])
def test_every_conversation_gets_to_its_end(tmp_path, room, seed):
    ended: list[int] = []
    backend = Scripted(room, seed)
    assert driven(tmp_path, backend, ended=ended) == expected()
    assert sum(ended) == sum(len(turns) for _, turns in TURNS)
    assert Counter(r.key for r in backend.asked).most_common(1)[0][1] == 1
    assert len(backend.asked) == sum(sum(turns) for _, turns in TURNS)
    assert {c.key for c in journalled(tmp_path)} == {r.key for r in backend.asked}
    assert backend.closed


def test_what_was_answered_is_not_asked_again(tmp_path):
    driven(tmp_path, Scripted())
    again = Scripted()
    assert driven(tmp_path, again) == expected()
    assert again.asked == []


@pytest.mark.parametrize("after", [0, 1, 5, 20])
def test_what_was_answered_before_the_backend_gave_up_is_kept(tmp_path, after):
    first = Scripted(gives_up_after=after, seed=after)
    with pytest.raises(EngineError, match="the server is gone"):
        driven(tmp_path, first)
    assert sorted(c.key for c in journalled(tmp_path)) == sorted(c.key for c in first.paid)
    assert len(first.paid) >= after
    second = Scripted()
    assert driven(tmp_path, second) == expected()
    assert not {c.key for c in first.paid} & {r.key for r in second.asked}


def test_the_same_request_is_asked_once_and_kept_with_both(tmp_path):
    both = (job(tmp_path, name, ("same", 3), ("same", 3), (name, 1)) for name in ("one", "other"))
    backend = Scripted()
    budget = Budget(PriceConfig(prompt=1.0, completion=1.0))
    found = {job.name: job.results for job in drive.drive(both, backend, budget, 6)}
    same = "0SAME 1SAME 2SAME"
    assert found == {"one": [same, same, "0ONE"], "other": [same, same, "0OTHER"]}
    assert len(backend.asked) == len({r.key for r in backend.asked}) == 5
    for name in ("one", "other"):
        assert len(journalled(tmp_path, name)) == len(Journal(tmp_path / f"{name}.jsonl").answers) == 4
    assert budget.spent == pytest.approx(sum(cost.cost_of(budget.price, c) for c in backend.paid))


def test_results_are_handed_over_shard_by_shard(tmp_path):
    seen = []
    for done in drive.drive(jobs(tmp_path), Scripted(room=2), Budget(FREE), 30):
        seen.append(done.name)
        assert done.results == expected()[done.name]
    assert sorted(seen) == sorted(expected())


def test_a_busy_caller_does_not_hold_up_the_journal(tmp_path):
    asking = drive.drive(jobs(tmp_path), Scripted(), Budget(FREE), 30)
    next(iter(asking))
    everything = sum(sum(turns) for _, turns in TURNS)
    deadline = time.monotonic() + 30
    while len(journalled(tmp_path)) < everything:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(list(asking)) == len(TURNS) - 1


def test_what_waits_for_a_slow_caller_is_bounded(tmp_path):
    """Else the results of a whole run would pile up in memory: a journal is replayed faster than its rows are made."""
    opened = 0

    def many() -> Iterator[ShardJob]:
        nonlocal opened
        for i in range(300):
            opened += 1
            yield job(tmp_path, f"{i:05d}", (f"{i}", i % 2))

    asking = drive.drive(many(), Scripted(room=10), Budget(FREE), 300)
    first = next(asking)
    before = -1
    while opened > before:  # they are opened as fast as they can be
        before = opened
        time.sleep(0.5)
    assert opened <= drive.MOST_UNTAKEN + 10 + 2
    assert len({first.name, *(job.name for job in asking)}) == 300


def test_shards_are_opened_as_there_is_room(tmp_path):
    """No more conversations than the backend has use for, and those of a shard besides, however slow the disk is."""
    opened, ended, most = 0, [], 0

    def many() -> Iterator[ShardJob]:
        nonlocal opened, most
        for i in range(200):
            opened += 5
            most = max(most, opened - sum(ended))
            yield job(tmp_path, f"{i:05d}", *((f"{i} {k}", 1) for k in range(5)))

    assert len(list(drive.drive(many(), Scripted(room=10), Budget(FREE), 1000, ended.append))) == 200
    assert most <= 10 + 5


def test_who_stops_listening_ends_the_run(tmp_path):
    backend = Scripted(room=1)
    asking = drive.drive(jobs(tmp_path), backend, Budget(FREE), 30)
    first = next(asking)
    asking.close()
    assert backend.closed
    assert first.results == expected()[first.name]
    assert {c.key for c in journalled(tmp_path)} == {c.key for c in backend.paid}


def test_an_exception_in_a_conversation_reaches_the_caller(tmp_path):
    async def wrong(llm: LLM) -> str:
        await llm.complete(request("what is wrong"))
        raise KeyError("a bug")

    backend = Scripted()
    one = ShardJob("one", tmp_path / "one.jsonl", lambda llm: [chat(llm, "a", 2), wrong(llm), chat(llm, "b", 2)])
    with pytest.raises(KeyError, match="a bug"):
        list(drive.drive(iter([one]), backend, Budget(FREE), 3))
    assert {c.key for c in journalled(tmp_path)} == {c.key for c in backend.paid}


def test_what_a_conversation_left_behind_asks_nothing_more(tmp_path, caplog):
    """One of several questions that it asks at once ends it, and `asyncio.gather` lets the others go on."""

    async def wrong(llm: LLM) -> str:
        await llm.complete(request("what is wrong"))
        raise KeyError("a bug")

    async def several(llm: LLM) -> list[str]:
        return await asyncio.gather(wrong(llm), *(chat(llm, f"c{i}", 50) for i in range(4)))

    one = ShardJob("one", tmp_path / "one.jsonl", lambda llm: [several(llm)])
    backend = Scripted()
    with pytest.raises(KeyError, match="a bug"):
        list(drive.drive(iter([one]), backend, Budget(FREE), 1))
    gc.collect()
    assert caplog.text == ""  # of tasks that were destroyed, or failed, and nobody was told
    assert {c.key for c in journalled(tmp_path)} == {c.key for c in backend.paid}


def test_what_was_left_behind_asks_no_next_question(tmp_path, caplog):
    """It is between two questions when the run ends, and will not be cancelled."""

    async def wrong(llm: LLM) -> str:
        await llm.complete(request("what is wrong"))
        raise KeyError("a bug")

    async def stubborn(llm: LLM) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.5)
        await llm.complete(request("late"))

    async def several(llm: LLM) -> None:
        await asyncio.gather(wrong(llm), stubborn(llm))

    one = ShardJob("one", tmp_path / "one.jsonl", lambda llm: [several(llm)])
    backend = Scripted()
    with pytest.raises(KeyError, match="a bug"):
        list(drive.drive(iter([one]), backend, Budget(FREE), 1))
    gc.collect()
    assert caplog.text == ""
    assert request("late").key not in {c.key for c in backend.paid}


def test_a_journal_that_cannot_be_written_ends_the_run(tmp_path):
    """Before anything is paid for."""
    (tmp_path / "bad").write_text("a file where a folder should be")
    bad, backend = job(tmp_path, "x", ("b", 1)), Scripted()
    bad.journal = tmp_path / "bad" / "x.jsonl"
    with pytest.raises(UserError, match="cannot be written"):
        list(drive.drive(iter([bad]), backend, Budget(FREE), 2))
    assert not backend.asked


def test_an_exception_while_shards_are_opened_reaches_the_caller(tmp_path):
    def broken() -> Iterator[ShardJob]:
        yield job(tmp_path, "one", ("a", 1))
        raise UserError("the next shard is damaged")

    with pytest.raises(UserError, match="damaged"):
        list(drive.drive(broken(), Scripted(room=1), Budget(FREE), 3))


def test_a_conversation_may_ask_several_things_at_once_or_nothing(tmp_path):
    async def several(llm: LLM) -> list[str]:
        return await asyncio.gather(*(chat(llm, name, 2) for name in ("a", "b", "c")))

    async def nothing() -> str:
        return "nothing"

    one = ShardJob("one", tmp_path / "one.jsonl", lambda llm: [several(llm), nothing()])
    (done,) = drive.drive(iter([one]), Scripted(), Budget(FREE), 2)
    assert done.results == [["0A 1A", "0B 1B", "0C 1C"], "nothing"]
    assert drive.replay(replace(one, results=[])).results == done.results


def test_the_first_requests_are_told_without_asking(tmp_path):
    begin = job(tmp_path, "one", ("a", 2), ("b", 0), ("c", 1), ("d", 1)).begin
    asked = drive.first_requests(begin, 3)
    assert [r and r.messages[-1]["content"] for r in asked] == ["turn 0 of a", None, "turn 0 of c"]
    assert not list(tmp_path.iterdir())


# Failures and offline -------------------------------------------------------------------------------------------------


FAILS = frozenset({"turn 0 of s1c1", "turn 1 of s2c0"})


def replayed(folder: Path) -> dict[str, list[str]]:
    return {job.name: drive.replay(job).results for job in jobs(folder)}


def test_a_replay_comes_to_the_same(tmp_path):
    driven(tmp_path, Scripted())
    assert replayed(tmp_path) == expected()


def test_a_failure_is_replayed_as_one_and_asked_for_again(tmp_path):
    first = driven(tmp_path, Scripted(fails=FAILS))
    failed = [result for results in first.values() for result in results if "failed" in result]
    assert sorted(failed) == ["s1c1 failed: HTTP 500, turn 0 of s1c1", "s2c0 failed: HTTP 500, turn 1 of s2c0"]
    assert replayed(tmp_path) == first
    again = Scripted()
    assert driven(tmp_path, again) == expected()
    assert {r.messages[-1]["content"] for r in again.asked} >= FAILS
    assert replayed(tmp_path) == expected()


def test_what_is_missing_offline_is_counted(tmp_path):
    with pytest.raises(EngineError):
        driven(tmp_path, Scripted(gives_up_after=1))
    with pytest.raises(UserError, match=r"none\.jsonl .* 2 of 3 .* shard-00000"):
        drive.replay(
            replace(job(tmp_path, "shard-00000", ("a", 2), ("b", 1), ("c", 0)), journal=tmp_path / "none.jsonl")
        )


# The budget -----------------------------------------------------------------------------------------------------------

PRICE = PriceConfig(prompt=2.0, cached=0.5, completion=10.0)


@pytest.mark.parametrize("room", [1, 4, 1000])
@pytest.mark.parametrize("most", [0.0001, 0.001, 0.003])
def test_the_budget_is_never_exceeded(tmp_path, room, most):
    backend, budget = Scripted(room), Budget(PRICE, most)
    with pytest.raises(OverBudget, match=r"spent \$\d.*max_cost") as e:
        driven(tmp_path, backend, budget)
    assert isinstance(e.value, UserError)
    spent = sum(cost.cost_of(PRICE, c) for c in backend.paid)
    assert spent == pytest.approx(budget.spent)
    assert budget.spent <= most
    assert sorted(c.key for c in journalled(tmp_path)) == sorted(c.key for c in backend.paid)
    assert (len(backend.paid) > 0) == (most > 0.0001)
    rest = Scripted()
    assert driven(tmp_path, rest, Budget(PRICE, 1.0, spent)) == expected()
    assert not {c.key for c in backend.paid} & {r.key for r in rest.asked}


def test_a_budget_that_is_enough_is_no_hindrance(tmp_path):
    budget = Budget(PRICE, 0.0001)
    driven(tmp_path, backend := Scripted(), Budget(PRICE, 1.0))
    spent = sum(cost.cost_of(PRICE, c) for c in backend.paid)
    assert driven(tmp_path, Scripted(), budget) == expected()  # all of it is there: nothing is left to pay
    other = tmp_path / "other"
    assert driven(other, Scripted(room=1000), Budget(PRICE, spent + 0.001)) == expected()  # waits for what comes back


MANY = """
import resource, sys
from pathlib import Path
soft = 40
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from datagen.config.llm import EndpointConfig, EngineConfig, PriceConfig
from datagen.llm.base import Request
from datagen.llm.chat import ChatBackend
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob, drive

def job(n):
    request = Request("m", [{"role": "user", "content": f"Say {n}."}], {"max_tokens": 9})
    return ShardJob(f"s{n}", Path(sys.argv[2]) / f"s{n}.jsonl", lambda llm: [llm.complete(request)])

backend = ChatBackend(EngineConfig(endpoints=(EndpointConfig(base_url=sys.argv[1]),)))
done = list(drive((job(n) for n in range(200)), backend, Budget(PriceConfig()), 200))
print(sum(each.results[0].error == "" for each in done))
"""


def test_a_low_limit_of_open_files_loses_nothing(tmp_path):
    """Each request has a connection and each shard a journal: the limit is raised before anything is asked."""
    with serve(Settings(latency=0.2)) as server:
        done = subprocess.run([sys.executable, "-c", MANY, server.url, tmp_path], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "200\n"), done.stderr
        assert server.stats.requests == 200
        assert server.stats.max_in_flight > 40
