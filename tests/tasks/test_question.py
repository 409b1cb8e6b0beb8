"""generate by a language model, over the tiny corpus, against a server on this machine."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from datagen import prompts, resources, shards
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.errors import EngineError, StaleStage, UserError
from datagen.llm.drive import first_requests
from datagen.llm.endpoint import payload
from datagen.records import Candidate, Chunk, Cluster, Dropped
from datagen.run.ledger import Ledger
from datagen.run.shard import Shard
from datagen.stages import generate
from datagen.tasks import question as generate_llm
from tests.servers.model import reply
from tests.servers.settings import Settings
from tests.stages.talking import Run, balanced

SKIP = json.dumps({"skip": True, "question": "", "answer": "", "evidence": []})
RUNTIME_CHANGES = {
    "engine.timeout": 5.0,
    "engine.max_attempts": 1,
    "engine.max_error_rate": 1.0,
    "engine.patience": 1.0,
    "engine.price": {"prompt": 1.0},
    "workers": 2,
}


@pytest.fixture(scope="module")
def upstream(corpus, go, settings, tmp_path_factory) -> tuple[Path, Config]:
    folder = tmp_path_factory.mktemp("upstream")
    config = settings(
        corpus,
        chunk__max_tokens=64,
        chunk__documents_per_shard=2,
        cluster__max_clusters=4,
        cluster__min_cohesion=0.3,  # two documents share a section: no two clusters are the same, though
        embed__device="cpu",
        engine__model="scripted",
        generate__method="llm",
        judge__method="llm",
    )
    go(folder, config, "chunk", "embed", "cluster")
    return folder, config


@pytest.fixture
def run(upstream, tmp_path) -> Run:
    folder, config = upstream
    shutil.copytree(folder, tmp_path / "run")
    return Run(generate.STAGE, str(tmp_path / "run"), config)


@pytest.fixture(scope="module")
def finished(upstream, tmp_path_factory) -> tuple[Run, Ledger]:
    """Not to be changed."""
    folder, config = upstream
    made = Run(generate.STAGE, str(tmp_path_factory.mktemp("finished") / "run"), config)
    shutil.copytree(folder, made.folder)
    return made, made.go()


@pytest.fixture
def copy(finished, tmp_path) -> Run:
    """A finished run that may be changed."""
    shutil.copytree(finished[0].folder, tmp_path / "run")
    return Run(generate.STAGE, str(tmp_path / "run"), finished[0].config)


def about(kind: str) -> Callable[[dict], bool]:
    """Whether a request asks for this kind of question."""
    return lambda body: generate_llm.QUESTION_TYPES[kind] in body["messages"][0]["content"]


# What a run makes -----------------------------------------------------------------------------------------------------


def test_labels_hold(finished):
    run, ledger = finished
    rows = run.rows("generate", Candidate)
    clusters = {c.cluster_id: c for c in run.rows("cluster", Cluster)}
    texts = {(c.doc_id, c.chunk_index): c.text for c in run.rows("chunk", Chunk)}
    assert len(rows) == 3 * len(clusters) > 20
    for row in rows:
        cluster = clusters[row.cluster_id]
        assert (row.doc_id, row.generator) == (cluster.doc_id, "scripted")
        assert row.qa_id == f"{row.cluster_id}/q{row.sample}"
        assert row.ref_chunks == sorted(set(row.ref_chunks))
        assert set(row.ref_chunks) <= set(cluster.chunk_indices)
        answers = row.answer.split("; ")
        assert len(answers) == len(row.ref_chunks) >= 2
        for answer, chunk in zip(answers, row.ref_chunks, strict=True):
            assert answer in texts[row.doc_id, chunk]
        assert (row.terms, row.quotes, row.quote_chunks) == ([], [], [])
    assert len({row.qa_id for row in rows}) == len(rows)
    assert any(max(row.ref_chunks) >= len(clusters[row.cluster_id].chunk_indices) for row in rows)  # not the cluster's
    assert balanced(ledger)
    assert ledger["cluster"] == {"in": len(clusters), "kept": len(clusters), "rejected": {}, "failed": {}}
    assert ledger["candidate"]["kept"] == run.requests == len(rows)


def test_candidates_of_a_cluster_are_of_different_kinds(finished):
    run, _ = finished
    kinds: dict[str, list[str]] = {}
    for row in run.rows("generate", Candidate):
        kinds.setdefault(row.cluster_id, []).append(row.question_type)
    assert all(len(set(found)) == 3 for found in kinds.values())
    assert {kind for found in kinds.values() for kind in found} == set(generate_llm.QUESTION_TYPES)


def test_kinds_are_drawn_without_repeats_as_long_as_there_are_some():
    config = configs.load(None, {"seed": 1})
    found = [generate_llm.question_type("d/c0", sample, config) for sample in range(12)]
    assert set(found[:6]) == set(generate_llm.QUESTION_TYPES)
    assert found[:6] == found[6:]
    others = [[generate_llm.question_type(f"d/c{i}", sample, config) for sample in range(6)] for i in range(1, 20)]
    assert any(other != found[:6] for other in others)
    few = configs.merge(config, {"generate.question_types": ["cause"]})
    assert {generate_llm.question_type("d/c0", sample, few) for sample in range(3)} == {"cause"}


def test_the_same_prompt_for_another_candidate_is_another_request(run):
    run.go(generate__question_types=["cause"])
    name = shards.names(f"{run.folder}/chunk")[0]
    first = first_requests(partial(generate.start, Shard(run.folder, name, run.config)), 3)
    asked = [request for request in first if request]
    assert len({request.key for request in asked}) == 3
    assert [request.sample for request in asked] == [0, 1, 2]
    assert payload(asked[0]) == payload(asked[1]) == payload(asked[2])
    assert {request.group for request in asked} == {run.rows("cluster", Cluster)[0].cluster_id}
    assert set(run.server.stats.received.values()) == {3}  # the server was asked for each of them


def test_what_it_took_is_kept_with_the_ledger(finished):
    run, _ = finished
    usage = json.loads(Path(run.folder, "generate", "ledger.json").read_text())["usage"]
    assert usage["requests"] == usage["attempts"] == run.requests
    assert usage["endpoints"] == {run.server.url: run.requests}
    assert usage["prompt_tokens"] > 1000
    assert usage["dollars"] is None


# What does not become a candidate -------------------------------------------------------------------------------------


def test_a_skip_is_a_rejection_with_its_reason(run):
    skips = about("comparison")
    ledger = run.go(Settings(reply=lambda body: SKIP if skips(body) else reply(body)), generate__candidates=6)
    n = len(run.rows("cluster", Cluster))
    assert ledger["candidate"] == {"in": 6 * n, "kept": 5 * n, "rejected": {"skipped by the model": n}, "failed": {}}
    dropped = run.rows("generate", Dropped, "dropped")
    assert {(d.unit, d.status, d.detail) for d in dropped} == {("candidate", "rejected", "asked for: comparison")}
    assert {d.row_id for d in dropped}.isdisjoint(c.qa_id for c in run.rows("generate", Candidate))
    assert run.requests == 6 * n  # a skip is not asked about again
    assert "comparison" not in {c.question_type for c in run.rows("generate", Candidate)}
    assert balanced(ledger)


def test_a_cluster_of_which_nothing_came_is_accounted_for(run):
    ledger = run.go(Settings(reply=SKIP), generate__candidates=2)
    n = len(run.rows("cluster", Cluster))
    assert ledger["cluster"] == {"in": n, "kept": 0, "rejected": {"no candidate": n}, "failed": {}}
    assert ledger["candidate"]["rejected"] == {"skipped by the model": 2 * n}
    assert balanced(ledger)


def test_what_cannot_be_read_is_asked_for_again_and_then_fails_with_its_text(run):
    ledger = run.go(
        Settings(reply="Certainly! Here is a fine question."), generate__candidates=1, engine__max_error_rate=1.0
    )
    n = len(run.rows("cluster", Cluster))
    assert run.requests == 3 * n
    assert ledger["candidate"] == {"in": n, "kept": 0, "rejected": {}, "failed": {"unreadable reply": n}}
    assert ledger["cluster"]["failed"] == {"no candidate": n}
    details = [d.detail for d in run.rows("generate", Dropped, "dropped") if d.unit == "candidate"]
    assert all(d.endswith("it holds no JSON object. The reply: Certainly! Here is a fine question.") for d in details)
    assert balanced(ledger)


def test_an_example_of_the_prompt_is_no_question(run, tmp_path):
    """A small model hands it back as its own, with passages that have nothing to do with it."""
    example = "Who rebuilt the mill, and in which year did it burn?"
    prompt = tmp_path / "mine.md"
    prompt.write_text(f'{prompts.load("generate").text}\n\nAn example: {{"question": "{example}", …}}\n')
    copied = json.dumps({"skip": False, "evidence": [0, 1], "question": example, "answer": "Hannah Orde; 1931"})
    ledger = run.go(Settings(reply=copied), generate__candidates=1, generate__prompt=str(prompt))
    n = len(run.rows("cluster", Cluster))
    assert ledger["candidate"] == {"in": n, "kept": 0, "rejected": {"copied from the prompt": n}, "failed": {}}


def test_the_second_reply_counts(run):
    again = prompts.load("again").literals[0]
    got: list[dict] = []

    def second_thoughts(body: dict) -> str:
        got.append(body)
        return reply(body) if again in body["messages"][-1]["content"] else "```json\n{'question': 1}\n```"

    ledger = run.go(Settings(reply=second_thoughts), generate__candidates=1)
    assert ledger["candidate"]["kept"] == ledger["candidate"]["in"] == len(run.rows("cluster", Cluster))
    assert run.requests == 2 * ledger["candidate"]["in"]
    (_, answered, told) = next(body["messages"] for body in got if len(body["messages"]) == 3)
    assert (answered["role"], answered["content"]) == ("assistant", "```json\n{'question': 1}\n```")
    assert "not valid JSON" in told["content"]


def test_a_request_that_fails_costs_one_candidate(run):
    failing = about("cause")
    settings = Settings(faults=lambda body, asked: "context" if failing(body) else None)
    ledger = run.go(settings, generate__candidates=6)
    n = len(run.rows("cluster", Cluster))
    assert ledger["candidate"]["failed"] == {"prompt over the context window": n}
    assert ledger["candidate"]["kept"] == 5 * n
    assert ledger["cluster"]["kept"] == n
    dropped = run.rows("generate", Dropped, "dropped")
    assert all("HTTP 400, context_length_exceeded" in d.detail for d in dropped)
    assert balanced(ledger)


# Going on, and making it anew -----------------------------------------------------------------------------------------


def test_made_anew_nothing_is_asked_again(copy):
    before = copy.data()
    copy.go(Settings(reply="another"), resume="never")
    assert copy.requests == 0
    assert copy.data() == before
    copy.offline()
    assert copy.data() == before


def test_without_a_shard_only_its_journal_is_read(copy):
    before = copy.data()
    name = shards.names(f"{copy.folder}/generate")[0]
    Path(copy.folder, "generate", f"{name}.parquet").unlink()
    copy.go(Settings(reply="another"))
    assert (copy.requests, copy.data()) == (0, before)


def test_without_its_journal_a_shard_is_asked_for_again(copy):
    before = copy.data()
    name = shards.names(f"{copy.folder}/generate")[0]
    Path(copy.folder, "journal", "generate", f"{name}.jsonl").unlink()
    with pytest.raises(UserError, match=rf"{name}\.jsonl has no answer .*--offline"):
        copy.offline()
    assert copy.data() == before
    copy.go(resume="never")
    assert 0 < copy.requests < len(copy.rows("generate", Candidate))
    assert copy.data() == before


def test_after_a_breakdown_only_the_rest_is_asked(run, finished):
    quota = Settings(faults=lambda body, asked: "quota" if run.server.stats.answered.total() >= 10 else None)
    with pytest.raises(EngineError, match="refuses every request: HTTP 429, insufficient_quota"):
        run.go(quota)
    answered = run.server.stats.answered.total()
    assert answered >= 10
    run.go()
    assert run.data() == finished[0].data()
    assert run.requests == finished[0].requests - answered


def test_made_anew_with_more_candidates_only_the_new_ones_are_asked(copy):
    before = {c.qa_id: c for c in copy.rows("generate", Candidate)}
    copy.go(resume="never", generate__candidates=4)
    assert copy.requests == len(copy.rows("cluster", Cluster))
    after = {c.qa_id: c for c in copy.rows("generate", Candidate)}
    assert before.items() <= after.items()


@pytest.mark.parametrize(
    "changed",
    [
        {"generate.sampling.temperature": 0.1},
        {"generate.sampling.max_tokens": 100},
        {"generate.sampling.extra": {"top_k": 3}},
        {"generate.candidates": 2},
        {"generate.min_evidence": 3},
        {"generate.max_parse_retries": 0},
        {"generate.question_types": ["cause"]},
        {"engine.model": "another"},
        {"generate.engine": {"model": "another"}},
        {"seed": 1},
    ],
)
def test_what_changes_the_requests_makes_the_stage_stale(copy, changed):
    with pytest.raises(StaleStage) as e:
        copy.go(**changed)
    assert copy.requests == 0
    (name,) = changed
    assert name.removeprefix("generate.engine").removeprefix("generate.")[:6] in str(e.value)


@pytest.mark.parametrize("name", RUNTIME_CHANGES)
def test_where_and_how_it_is_asked_does_not(copy, name):
    before = copy.data()
    copy.go(**{name: RUNTIME_CHANGES[name]})  # at another address, too
    assert (copy.requests, copy.data()) == (0, before)


def test_a_prompt_s_place_does_not_count(copy, tmp_path):
    before = copy.data()
    shutil.copy(resources.path("prompts", "generate"), tmp_path / "generate.md")
    copy.go(generate__prompt=str(tmp_path / "generate.md"))
    assert (copy.requests, copy.data()) == (0, before)


def test_a_prompt_s_words_count(copy, tmp_path):
    before = copy.data()
    mine = tmp_path / "mine.md"
    mine.write_text(prompts.load("generate").text.replace("exam questions", "hard questions"))
    with pytest.raises(StaleStage, match=r"prompt"):
        copy.go(generate__prompt=str(mine))
    copy.go(resume="never")
    assert copy.requests > 0
    assert copy.data() != before


def test_the_rows_do_not_depend_on_the_order_of_replies(run, finished):
    run.go(Settings(latency=0.01, spread=1.0, faults=("503", "429"), fault_rate=0.05, retry_after=0))
    assert run.data() == finished[0].data()
