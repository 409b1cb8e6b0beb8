"""Many conversations at once: each reply is kept before it is used, none is asked for twice, no budget is exceeded."""

import random
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from datagen.config.llm import PriceConfig
from datagen.errors import EngineError, UserError
from datagen.llm import converse, cost, journal
from datagen.llm.base import Closed, Completion, Conversation, Request
from datagen.llm.converse import Driver, OverBudget, Talk
from datagen.llm.cost import Budget
from datagen.llm.journal import Journal

FREE = PriceConfig()


@dataclass
class Scripted:
    """Answers in any order, a few at a time: the last word of what was said, in capitals."""

    room: int = 5
    seed: int = 0
    fails: frozenset[str] = frozenset()  # what it has no reply to
    gives_up_after: int | None = None
    asked: list[Request] = field(default_factory=list)
    paid: list[Completion] = field(default_factory=list)
    closed: bool = False

    def ask(self, requests: Iterator[Request | None]) -> Generator[list[Completion], None, None]:
        rng, waiting, ended = random.Random(self.seed), [], False
        while True:
            while not ended and len(waiting) < self.room:
                try:
                    request = next(requests)
                except StopIteration:
                    ended = True
                    break
                if request is None:
                    break
                self.asked.append(request)
                waiting.append(request)
            if ended and not waiting:
                return
            if self.closed:
                raise Closed
            rng.shuffle(waiting)
            n = rng.randint(1, len(waiting)) if waiting else 0
            done, waiting = [self.answer(request) for request in waiting[:n]], waiting[n:]
            self.paid += done
            yield done
            if self.gives_up_after is not None and len(self.paid) >= self.gives_up_after:
                raise EngineError("the server is gone")

    def answer(self, request: Request) -> Completion:
        said = request.messages[-1]["content"]
        if said in self.fails:
            return Completion(request.key, error="server error", detail=f"HTTP 500, {said}")
        tokens = sum(len(m["content"].encode()) for m in request.messages)
        return Completion(request.key, text=said.split()[-1].upper(), prompt_tokens=tokens, completion_tokens=9)

    def close(self) -> None:
        self.closed = True


def request(said: str, *before: dict[str, str]) -> Request:
    return Request("m", [*before, {"role": "user", "content": said}], {"max_tokens": 10})


def chat(name: str, turns: int) -> Conversation[str]:
    """Everything that was answered, in order."""
    messages, heard = [], []
    for i in range(turns):
        asked = request(f"turn {i} of {name}", *messages)
        completion = yield asked
        if completion.error:
            return f"{name} failed: {completion.detail}"
        heard.append(f"{i}{completion.text}")
        messages = [*asked.messages, {"role": "assistant", "content": completion.text or ""}]
    return " ".join(heard)


TURNS = [(shard, [(7 * shard + i) % 5 for i in range(1 + shard % 4)] if shard % 6 else []) for shard in range(12)]


def talks(folder: Path) -> Iterator[Talk]:
    """Twelve shards, two of them without a conversation, of conversations with up to four turns."""
    for shard, turns in TURNS:
        name = f"shard-{shard:05d}"
        yield Talk(name, [chat(f"s{shard}c{i}", n) for i, n in enumerate(turns)], Journal(folder / f"{name}.jsonl"))


def expected() -> dict[str, list[str]]:
    return {
        f"shard-{shard:05d}": [
            " ".join(f"{turn}S{shard}C{i}" for turn in range(n)) for i, n in enumerate(turns)
        ]
        for shard, turns in TURNS
    }  # fmt: skip


def driven(folder: Path, engine: Scripted, budget: Budget | None = None, ended: list[int] | None = None) -> dict:
    driver = Driver(talks(folder), budget or Budget(FREE), 30, (ended if ended is not None else []).append)
    return {talk.name: talk.results for talk in converse.hold(driver, engine)}


def journalled(folder: Path) -> list[Completion]:
    return [completion for path in sorted(folder.glob("*.jsonl")) for completion in journal.read(path)]


@pytest.mark.parametrize(("room", "seed"), [(1, 0), (3, 1), (5, 2), (1000, 3)])
def test_every_conversation_gets_to_its_end(tmp_path, room, seed):
    ended: list[int] = []
    engine = Scripted(room, seed)
    assert driven(tmp_path, engine, ended=ended) == expected()
    assert sum(ended) == sum(len(turns) for _, turns in TURNS)
    assert Counter(r.key for r in engine.asked).most_common(1)[0][1] == 1
    assert len(engine.asked) == sum(sum(turns) for _, turns in TURNS)
    assert {c.key for c in journalled(tmp_path)} == {r.key for r in engine.asked}
    assert engine.closed


def test_what_was_answered_is_not_asked_again(tmp_path):
    driven(tmp_path, Scripted())
    again = Scripted()
    assert driven(tmp_path, again) == expected()
    assert again.asked == []


@pytest.mark.parametrize("after", [0, 1, 5, 20])
def test_what_was_answered_before_the_engine_gave_up_is_kept(tmp_path, after):
    first = Scripted(gives_up_after=after, seed=after)
    with pytest.raises(EngineError, match="the server is gone"):
        driven(tmp_path, first)
    assert sorted(c.key for c in journalled(tmp_path)) == sorted(c.key for c in first.paid)
    assert len(first.paid) >= after
    second = Scripted()
    assert driven(tmp_path, second) == expected()
    assert not {c.key for c in first.paid} & {r.key for r in second.asked}


def test_the_same_request_is_asked_once_and_kept_with_both(tmp_path):
    def both() -> Iterator[Talk]:
        for name in ("one", "other"):
            yield Talk(name, [chat("same", 3), chat("same", 3), chat(name, 1)], Journal(tmp_path / f"{name}.jsonl"))

    engine = Scripted()
    budget = Budget(PriceConfig(prompt=1.0, completion=1.0))
    found = {talk.name: talk.results for talk in converse.hold(Driver(both(), budget, 6), engine)}
    same = "0SAME 1SAME 2SAME"
    assert found == {"one": [same, same, "0ONE"], "other": [same, same, "0OTHER"]}
    assert len(engine.asked) == len({r.key for r in engine.asked}) == 5
    for name in ("one", "other"):
        assert len(Journal(tmp_path / f"{name}.jsonl").answers) == 4
    assert budget.spent == pytest.approx(sum(cost.cost_of(budget.price, c) for c in engine.paid))


def test_results_are_handed_over_shard_by_shard(tmp_path):
    engine, seen = Scripted(room=2), []
    for talk in converse.hold(Driver(talks(tmp_path), Budget(FREE), 30), engine):
        seen.append((talk.name, talk.open))
        assert talk.results == expected()[talk.name]
    assert sorted(seen) == [(name, 0) for name in sorted(expected())]


def test_who_stops_listening_ends_the_engine(tmp_path):
    engine = Scripted(room=1)
    asking = converse.hold(Driver(talks(tmp_path), Budget(FREE), 30), engine)
    assert isinstance(asking, Generator)
    first = next(asking)
    asking.close()
    assert engine.closed
    assert first.results == expected()[first.name]
    assert {c.key for c in journalled(tmp_path)} == {c.key for c in engine.paid}


def test_an_exception_in_a_conversation_reaches_the_caller(tmp_path):
    def wrong() -> Conversation[str]:
        yield request("what is wrong")
        raise KeyError("a bug")

    def one() -> Iterator[Talk]:
        yield Talk("one", [chat("a", 2), wrong(), chat("b", 2)], Journal(tmp_path / "one.jsonl"))

    engine = Scripted()
    with pytest.raises(KeyError, match="a bug"):
        list(converse.hold(Driver(one(), Budget(FREE), 3), engine))
    assert {c.key for c in journalled(tmp_path)} == {c.key for c in engine.paid}


def test_an_exception_while_shards_are_opened_reaches_the_caller(tmp_path):
    def broken() -> Iterator[Talk]:
        yield Talk("one", [chat("a", 1)], Journal(tmp_path / "one.jsonl"))
        raise UserError("the next shard is damaged")

    with pytest.raises(UserError, match="damaged"):
        list(converse.hold(Driver(broken(), Budget(FREE), 3), Scripted(room=1)))


def test_how_much_is_to_come_is_known(tmp_path):
    driver = Driver(talks(tmp_path), Budget(FREE), 30)
    assert driver.__length_hint__() == 30
    while next(driver) is None:
        pass
    assert 0 < driver.__length_hint__() <= 30


# Failures and offline -------------------------------------------------------------------------------------------------


FAILS = frozenset({"turn 0 of s1c1", "turn 1 of s2c0"})


def replayed(folder: Path) -> dict[str, list[str]]:
    return {talk.name: converse.replay(talk) for talk in talks(folder)}


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
    conversations = [chat("a", 2), chat("b", 1), chat("c", 0)]
    talk = Talk("shard-00000", conversations, Journal(tmp_path / "none.jsonl"))
    with pytest.raises(UserError, match=r"none\.jsonl has no answer for 2 of 3 conversations of shard-00000"):
        converse.replay(talk)


# Money ----------------------------------------------------------------------------------------------------------------

PRICE = PriceConfig(prompt=2.0, cached=0.5, completion=10.0)


def test_what_a_reply_costs():
    found = Completion("k", "x", prompt_tokens=1000, cached_tokens=400, completion_tokens=50)
    assert cost.cost_of(PRICE, found) == pytest.approx((600 * 2 + 400 * 0.5 + 50 * 10) / 1e6)
    assert cost.cost_of(PriceConfig(prompt=2.0), found) == pytest.approx(1000 * 2 / 1e6)  # cached as the others
    assert cost.cost_of(PriceConfig(prompt=2.0, cached=0.0), found) == pytest.approx(600 * 2 / 1e6)
    assert cost.cost_of(PRICE, Completion("k", error="server error")) == 0


@pytest.mark.parametrize("said", ["", "Hi", "日本語のテキスト", "🐫🐪", "a" * 1000])
@pytest.mark.parametrize("schema", [None, {"type": "object", "properties": {"x": {"type": "string"}}}])
def test_the_worst_case_is_reserved(said, schema):
    """A token for every byte, what a template puts around it, the schema, and as long a reply as is allowed."""
    asked = Request("m", [{"role": "user", "content": said}], {"max_tokens": 10}, schema)
    worst = Completion(asked.key, prompt_tokens=len(said.encode()) + 8 + bool(schema) * 30, completion_tokens=10)
    budget = Budget(PRICE, most=1.0)
    assert budget.reserve(asked)
    assert budget.reserved >= cost.cost_of(PRICE, worst)
    budget.settle(asked, worst)
    assert budget.reserved == pytest.approx(0)
    assert budget.spent == pytest.approx(cost.cost_of(PRICE, worst))


def test_what_cannot_be_paid_is_not_reserved():
    budget, asked = Budget(PRICE, most=0.001), request("x" * 300)
    assert budget.reserve(asked)
    assert not budget.reserve(asked)
    budget.settle(asked, Completion(asked.key, error="server error"))
    assert budget.reserve(asked)
    assert Budget(PRICE).reserve(asked)


@pytest.mark.parametrize("room", [1, 4, 1000])
@pytest.mark.parametrize("most", [0.0001, 0.001, 0.003])
def test_the_budget_is_never_exceeded(tmp_path, room, most):
    engine, budget = Scripted(room), Budget(PRICE, most)
    with pytest.raises(OverBudget, match=r"spent \$\d.*max_cost .*Raise it and run the same command again") as e:
        driven(tmp_path, engine, budget)
    assert isinstance(e.value, UserError)
    spent = sum(cost.cost_of(PRICE, c) for c in engine.paid)
    assert spent == pytest.approx(budget.spent)
    assert budget.spent <= most
    assert sorted(c.key for c in journalled(tmp_path)) == sorted(c.key for c in engine.paid)
    assert (len(engine.paid) > 0) == (most > 0.0001)
    rest = Scripted()
    assert driven(tmp_path, rest, Budget(PRICE, 1.0, spent)) == expected()
    assert not {c.key for c in engine.paid} & {r.key for r in rest.asked}


def test_a_budget_that_is_enough_is_no_hindrance(tmp_path):
    budget = Budget(PRICE, 0.0001)
    driven(tmp_path, engine := Scripted(), Budget(PRICE, 1.0))
    spent = sum(cost.cost_of(PRICE, c) for c in engine.paid)
    assert driven(tmp_path, Scripted(), budget) == expected()  # all of it is there: nothing is left to pay
    other = tmp_path / "other"
    assert driven(other, Scripted(room=1000), Budget(PRICE, spent + 0.001)) == expected()  # waits for what comes back
