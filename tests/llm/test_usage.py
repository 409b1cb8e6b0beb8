"""What a run paid for, read off its journals."""

from pathlib import Path

import pytest

from datagen.config.llm import EngineConfig, PriceConfig
from datagen.llm import usage
from datagen.llm.base import Completion
from datagen.llm.journal import Journal
from datagen.run.paths import RunPaths

PRICED = {"": EngineConfig(price=PriceConfig(prompt=2.0, cached=0.5, completion=10.0))}
SPENT = (600 * 2 + 400 * 0.5 + 50 * 10) / 1e6  # dollars a reply


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    """Two replies of two checks and one that failed, in the journals of two shards."""
    paths = RunPaths(str(tmp_path))
    for shard, completions in (
        ("a", [reply("1", "quality"), Completion("2", error="server error", check="quality")]),
        ("b", [reply("3", "policy")]),
    ):
        journal = Journal(paths.journal("judge", shard))
        journal.append(completions)
        journal.close()
    return paths


def reply(key: str, check: str) -> Completion:
    return Completion(
        key, text="x", prompt_tokens=1000, cached_tokens=400, completion_tokens=50, endpoint="http://s", check=check
    )


def test_replies_are_counted_by_check_and_priced(run):
    found = usage.usage(run, "judge", PRICED)
    assert (found["requests"], found["prompt_tokens"], found["completion_tokens"]) == (2, 2000, 100)
    assert found["dollars"] == pytest.approx(2 * SPENT)
    assert found["checks"]["quality"]["dollars"] == pytest.approx(SPENT)


def test_without_prices_there_is_no_sum(run):
    assert usage.usage(run, "judge", {"": EngineConfig()})["dollars"] is None


def test_a_check_may_ask_a_model_with_prices_of_its_own(run):
    policy = {"policy": EngineConfig(model="p", price=PriceConfig(prompt=1.0))}
    found = usage.usage(run, "judge", PRICED | policy)
    assert found["checks"]["policy"]["dollars"] == pytest.approx(1000 / 1e6)
    assert found["dollars"] == pytest.approx(SPENT + 1000 / 1e6)


def test_a_sentence_says_what_was_paid(run):
    first, *checks = usage.sentences("judge", usage.usage(run, "judge", PRICED))
    assert all(fact in first for fact in ("2 replies", "2,000 prompt tokens", "40% cached", "$0.0038"))
    assert sorted(line.split(":")[0].strip() for line in checks) == ["policy", "quality"]
