"""What the journal takes for the reply to a request: that of the same model, and of the same revision of it."""

from types import SimpleNamespace

import pytest

from datagen.config.llm import EngineConfig
from datagen.llm import drive
from datagen.llm.base import Request
from datagen.stages import conversing, runner
from datagen.stages.conversing import revision
from tests.checks.cases import made, outcome

ASKED = Request("m", [{"role": "user", "content": "Hi"}], {"max_tokens": 9})


def test_a_request_has_the_key_of_earlier_versions_where_no_revision_is_known():
    assert ASKED.key == "bc145bb856d56a3fbc14d54fd72c2553ca2bd0de19412848f7137cc3b61dfa48"
    assert Request(ASKED.model, ASKED.messages, ASKED.sampling, revision="a").key != ASKED.key


def test_the_revision_is_of_what_changes_replies():
    given = [
        EngineConfig(model="m"),
        EngineConfig(model="m", revision="a"),
        EngineConfig(model="m", kind="vllm", revision="a", vllm={"dtype": "half"}),
        EngineConfig(model="m", kind="vllm", revision="a", vllm={"dtype": "half", "quantization": "fp8"}),
    ]
    assert revision(given[0]) == revision(EngineConfig(model="m", kind="vllm", vllm={"max_num_seqs": 8})) == ""
    assert len({revision(engine) for engine in given}) == len(given)


def test_nothing_is_asked_any_more_once_the_stage_has_failed(tmp_path, monkeypatch):
    """Whoever holds on to the error holds on to its traceback, too."""
    ended = []

    def driven(*given, **named):
        try:
            yield from drive.drive(*given, **named)
        finally:
            ended.append(True)

    def failing(job):
        raise ZeroDivisionError

    monkeypatch.setattr(conversing, "drive", SimpleNamespace(drive=driven))
    monkeypatch.setattr(runner, "_process_shard", failing)
    with pytest.raises(ZeroDivisionError) as held:
        outcome(made(tmp_path, ["One.", "Two.", "Three.", "Four."]))
    assert held.tb
    assert ended


def test_replies_of_another_revision_are_not_used(tmp_path):
    run = made(tmp_path, ["One.", "Two.", "Three.", "Four."])
    outcome(run)
    assert run.requests == 1
    outcome(run, resume="never")
    assert run.requests == 0
    outcome(run, engine__revision="another", resume="never")
    assert run.requests == 1
    outcome(run, engine__revision="another", resume="never")
    assert run.requests == 0
