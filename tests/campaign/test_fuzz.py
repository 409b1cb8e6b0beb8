"""Readers of what others wrote, fed by their grammar: sound inputs, and what can become of them.

A few examples here, thousands in `make campaign`: CAMPAIGN says how many, CAMPAIGN_SEED where they begin.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from datagen import shards
from datagen.grounding import fences, tags, verify
from datagen.llm import http_errors
from datagen.llm.base import Completion
from datagen.llm.journal import Journal
from datagen.records import Cluster
from tests.campaign import invariants as hold
from tests.campaign import meanings
from tests.campaign import strategies as made

COUNT = 10 * int(os.environ.get("CAMPAIGN", "3"))
NOISE = 0.5  # seconds of processor time


def fuzzed(*strategies: st.SearchStrategy[Any], share: float = 1.0) -> Callable[[Any], Any]:
    """Runs a test on so many examples, drawn from the campaign's seed."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

    def decorated(test: Any) -> Any:
        how = settings(max_examples=max(5, int(share * COUNT)), deadline=None, suppress_health_check=slow)
        return seed(int(os.environ.get("CAMPAIGN_SEED", "0")))(how(given(*strategies)(test)))

    return decorated


@fuzzed(made.responses() | made.texts)
def test_the_response_reader_does_as_the_contract_says(text):
    hold.response(text)


@fuzzed(st.lists(made.texts, max_size=4))
def test_chunks_come_back_from_a_prompt(chunks):
    hold.context(chunks)


@fuzzed(made.texts)
def test_no_text_closes_a_fence(text):
    hold.fenced(text)


@fuzzed(made.replies())
def test_a_reply_is_as_declared_or_refused(text):
    hold.reply(text)


@fuzzed(made.bodies | made.anything)
def test_a_server_may_send_anything(value):
    hold.body(value)


@fuzzed(made.settings_text(), share=0.5)
def test_settings_are_sound_or_named(text):
    hold.settings(text)


@fuzzed(st.sampled_from(made.NAMES), made.odd, share=0.5)
def test_a_value_that_is_wrong_is_named_by_its_setting(name, value):
    *sections, leaf = name.split(".")
    indented = [f"{'  ' * i}{part}:" for i, part in enumerate(sections)]
    said = hold.settings("\n".join([*indented, f"{'  ' * len(sections)}{leaf}: {value}"]) + "\n")
    for line in said:
        place, what = line.split(": ", 1)
        if what.split(":")[0] not in made.known_by(name):  # it is no value at all: its line is named
            first = len(sections) + 1
            assert place in (f"x.yaml:{first}", f"x.yaml:{first + 1}") or what.startswith(("not valid", "nested")), line


REPEATED = [
    *("{", "[", '{"a":', '{"a":[', '{"', "[[", "[[yes", "```\n", "```\nx", "<answer>", "</answer>", "<useful_chunks>"),
    *("<CHUNK_1>", "<\\", "< ", "\u200b<", "passage ", '"x" ', "'", "1,", "1.", "- ", "-", "a'", "a.b", "9", "\\", " "),
    *("</think>", "<think>", "length 1 ", "max_tokens ", "input ", '{"rating": 9'),
]
SIZE = 1_000_000 if COUNT > 1000 else 50_000


def is_linear(read: Callable[[str], object], text: str) -> bool:
    """Whether a text takes no more time than its length accounts for, held against a quarter of it."""

    def seconds(text: str) -> float:
        began = time.process_time()
        read(text)
        return time.process_time() - began

    return seconds(text) < 8 * seconds(text[: len(text) // 4]) + NOISE


@pytest.mark.parametrize("piece", REPEATED)
def test_a_long_text_takes_no_longer_than_it_must(piece):
    """In quadratic time a megabyte would take many minutes."""
    for read in (
        tags.read_response,
        fences.neutralise,
        fences.restore,
        hold.reply,
        lambda text: verify.verdict(text[: len(text) // 10], "Rome"),
        lambda text: verify.verdict(text[: len(text) // 10], text[1 : len(text) // 10]),
        lambda text: http_errors.failure(400, {"error": {"message": text}}),
        http_errors.split_reasoning,
    ):
        assert is_linear(read, piece * (SIZE // len(piece)))


@pytest.mark.parametrize(
    "piece", ["[", "{", "- ", "? ", "{a: ", "a: &a [", "!!map {", "'", "|\n ", "*a ", "a: ", "%", "1:"]
)
def test_settings_of_any_depth_take_bounded_time(piece):
    assert is_linear(lambda text: hold.settings(f"chunk: {text}"), piece * (SIZE // 100))
    assert is_linear(hold.settings, f"{piece}\n" * (SIZE // 100))


WRITTEN = [
    Completion("a", text="Ägypten 🐫\u2028\n “?”", reasoning="so", finish="stop", prompt_tokens=7, seconds=0.5),
    Completion("b", refusal="I can't.", endpoint="http://there/v1", attempts=3),
    Completion("c", error="server error", detail="HTTP 500", lost_prompt_tokens=5),
    Completion("d", text='{"key": "a", "crc32": "00000000"}\\', finish="length"),
]


@fuzzed(st.data())
def test_a_journal_is_as_it_was_written_or_damaged(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("run")
    whole = Journal(folder / "whole" / "x" / "shard.jsonl")
    whole.append(WRITTEN)
    whole.close()
    path = folder / "journal" / "generate" / "shard.jsonl"
    path.parent.mkdir(parents=True)
    hold.journalled(path, data.draw(made.mutated(Path(whole.path).read_bytes())), WRITTEN)


LEDGER = {"cluster": {"in": 6, "kept": 6, "rejected": {}, "failed": {}}}
ORIGIN = {"identity": "ab", "place": "cluster/s"}


def rows(seed: int) -> list[Cluster]:
    return [Cluster(f"d/c{i}", f"document {seed}", [i, i + 1], 0.5, 0.25, 0.5) for i in range(6)]


@fuzzed(st.data())
def test_a_shard_is_as_it_was_written_or_damaged(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("shard") / "s.parquet"
    whole = []
    for n in range(2):
        shards.write_rows(str(path), Cluster, rows(n), LEDGER, ORIGIN)
        whole.append(path.read_bytes())
    spliced = st.integers(1, len(whole[0]) - 1).map(lambda at: whole[0][:at] + whole[1][at:])
    found = data.draw(made.mutated(whole[0]) | spliced)
    if found == whole[1]:
        return
    hold.shard(path, found, rows(0), shards.Footer(6, LEDGER, ORIGIN))


@fuzzed(made.answers, made.answers)
def test_comparing_answers_is_an_equivalence(a, b):
    hold.answers(a, b)


@fuzzed(meanings.facts(), st.data())
def test_an_answer_that_means_something_else_is_not_the_same(fact, data):
    """One edit that changes what it says: a sign, a unit, "not", another number, an item more, an accent …"""
    other = data.draw(meanings.another_meaning(fact))
    assert not verify.exact(fact, other), other
    assert not verify.exact(data.draw(meanings.said_otherwise(fact)), other)


@fuzzed(meanings.facts(), st.data())
def test_an_answer_that_is_only_written_otherwise_is_the_same(fact, data):
    a, b = (data.draw(meanings.said_otherwise(fact)) for _ in range(2))
    assert verify.exact(fact, a)
    assert verify.exact(a, b)
    assert verify.verdict(a, b) is True
