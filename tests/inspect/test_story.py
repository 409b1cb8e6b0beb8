import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from datagen import shards
from datagen.cli import app
from datagen.config.model import Config
from datagen.console import Reporter
from datagen.errors import UserError
from datagen.executors import local as executors
from datagen.inspect import document, story, story_text
from datagen.records import Dropped
from datagen.stages import runner, select
from tests.selection.made import Draft, settings, write_run

DRAFTS = [
    Draft("a.txt", 0, 0, 9.5, refs=[1, 3], alternatives=[5], shares={"closed_book": 0.0, "sufficiency": 1.0}),
    Draft("a.txt", 0, 1, 9.0),
    Draft("a.txt", 1, 0, 8.0),
    Draft("b [1].txt", 0, 0, 9.0, question="What of a.txt/c0/q0?"),
    Draft("b [1].txt", 1, 0, -1, question="Which of the two is older?"),
]
TOKENS = {"a.txt": [50] * 9, "b [1].txt": [50] * 9}
LEFT = {
    "cluster": [
        Dropped("document", "a.txt", "a.txt", "rejected", "none", ""),
        Dropped("cluster", "a.txt/c7", "a.txt", "rejected", "oversized", "20 chunks, cluster.max_cluster_size is 16"),
    ],
    "generate": [
        Dropped("candidate", "a.txt/c1/q1", "a.txt", "failed", "no JSON", "the reply ends in the middle"),
        Dropped("cluster", "b [1].txt/c2", "b [1].txt", "rejected", "no candidate", ""),
    ],
    "judge": [
        Dropped("candidate", "b [1].txt/c1/q0", "b [1].txt", "rejected", "rated too low", "rated 4, the least is 7")
    ],
}


def selected(run: Path, config: Config) -> None:
    with executors.pool(1) as pool:
        runner.run(select.STAGE, str(run), config, "never", pool, Reporter(quiet=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("story") / "run"
    config = settings(per_cluster=1, min_rating=8.5)
    write_run(folder, DRAFTS, TOKENS, config, LEFT)
    selected(folder, config)
    return str(folder)


def shown(told: story.Story | document.DocumentStory) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        story_text.show(told, console)
    return capture.get()


def test_a_row_that_was_selected(run):
    told = story.tell(run, "a.txt/c0/q0")
    assert [(s.stage, s.outcome) for s in told.steps] == [("generate", "kept"), ("judge", "kept"), ("select", "kept")]
    assert told.candidate
    assert told.candidate["question"] == "What of a.txt/c0/q0?"
    assert [(p.chunk, p.role) for p in told.evidence] == [(1, "needed"), (3, "needed"), (5, "as good as a needed one")]
    assert {line.qa_id: line.decision for line in told.others} == {
        "a.txt/c0/q1": "rejected by select: not the best of its cluster",
        "a.txt/c1/q0": "rejected by select: rating too low",
        "a.txt/c1/q1": "failed by generate: no JSON",
    }
    text = shown(told)
    for part in (
        "What of a.txt/c0/q0?",
        "answer    this",
        "multi-hop question 0 of a.txt/c0, by model",
        "chunk 5   as good as a needed one: word word",
        "rated 9.5: It says so.",
        "answered without the document: 0%",
        "answered from the evidence alone: 100%",
        "chunks 0 to 8, ",
        "a.txt/c1/q1  not rated   failed by generate: no JSON",
    ):
        assert part in text
    assert "policy" not in text


def test_the_one_that_was_taken_before_it(run):
    told = story.tell(run, "a.txt/c0/q1")
    assert told.steps[-1] == story.Step(
        "select",
        "rejected",
        "not the best of its cluster",
        "rated 9.0, evidence early; select.per_cluster is 1, taken before it: a.txt/c0/q0",
    )
    assert told.other
    assert (told.other.qa_id, told.other.rating) == ("a.txt/c0/q0", 9.5)
    assert f"a.txt/c0/q0, rated 9.5, {told.other.decision}: What of a.txt/c0/q0?" in shown(told)


def test_the_one_that_it_repeats_in_another_document(run):
    told = story.tell(run, "b [1].txt/c0/q0")
    assert told.steps[-1].reason == "duplicate question"
    assert told.other
    assert told.other.qa_id == "a.txt/c0/q0"
    assert "b [1].txt/c1/q0" in shown(told)  # brackets are no markup


def test_a_near_duplicate_names_the_one_before_it(tmp_path):
    pair = [Draft("a", vector=[1, 0]), Draft("b", rating=9.0, vector=[0.98, 0.2])]
    write_run(tmp_path, pair, {"a": [50] * 5, "b": [50] * 5}, settings())
    selected(tmp_path, settings())
    told = story.tell(str(tmp_path), "b/c0/q0")
    assert told.steps[-1].reason == "near-duplicate question"
    assert told.other
    assert told.other.qa_id == "a/c0/q0"


def test_a_row_that_left_before(run):
    told = story.tell(run, "b [1].txt/c1/q0")
    assert [s.outcome for s in told.steps] == ["kept", "rejected", None]
    assert "judge     rejected: rated too low (rated 4, the least is 7)" in shown(told)
    assert "select    did not come to it" in shown(told)
    told = story.tell(run, "a.txt/c1/q1")
    assert [s.outcome for s in told.steps] == ["failed", None, None]
    assert told.candidate is None
    assert "generate  failed: no JSON (the reply ends in the middle)" in shown(told)


def test_clusters(run):
    told = story.tell(run, "a.txt/c1")
    assert (told.unit, [s.outcome for s in told.steps]) == ("cluster", ["kept", "kept"])
    assert [line.qa_id for line in told.others] == ["a.txt/c1/q0", "a.txt/c1/q1"]
    assert [p.chunk for p in told.evidence] == [0, 1, 2, 3]
    assert "its candidates" in shown(told)
    assert [s.reason for s in story.tell(run, "a.txt/c7").steps] == ["oversized"]
    assert story.tell(run, "b [1].txt/c2").steps[-1].reason == "no candidate"


def test_a_part_of_an_id_is_enough_where_one_has_it(run):
    assert story.tell(run, "].txt/c1/q").id == "b [1].txt/c1/q0"
    with pytest.raises(
        UserError, match=r"^--explain a\.txt/c0/: 2 candidates have it in their id\. Such as: a.txt/c0/q0, a.txt/c0/q1$"
    ):
        story.tell(run, "a.txt/c0/")


def test_an_unknown_id(run, tmp_path):
    with pytest.raises(
        UserError, match=r"no document, cluster or candidate of the run has that id\. Such as: .*a\.txt/c0/q0"
    ):
        story.tell(run, "a.txt/c8/q0")
    with pytest.raises(UserError, match="has no documents yet"):
        story.tell(str(tmp_path), "a")


def test_before_select_and_before_judge(tmp_path):
    write_run(tmp_path, DRAFTS, TOKENS, settings(), LEFT)
    assert [s.outcome for s in story.tell(str(tmp_path), "a.txt/c0/q0").steps] == ["kept", "kept", None]
    shards.remove(str(tmp_path / "judge"))
    told = story.tell(str(tmp_path), "a.txt/c0/q0")
    assert [s.outcome for s in told.steps] == ["kept", None, None]
    assert {p.role for p in told.evidence} == {"cited"}


def test_a_document(run):
    told = story.tell(run, "a.txt")
    assert isinstance(told, document.DocumentStory)
    assert {s.stage: s.rows.get("candidate", {}).get("kept") for s in told.stages[3:]} == {
        "generate": 3,
        "judge": 3,
        "select": 1,
    }
    select = told.stages[-1].rows["candidate"]
    assert select["rejected"] == {"not the best of its cluster": 1, "rating too low": 1}
    assert told.stages[3].rows["candidate"]["failed"] == {"no JSON": 1}
    assert (told.n_chunks, told.n_tokens, told.source, told.splits) == (9, 450, "a.txt", {"train": 1})
    text = shown(told)
    for part in (
        "a.txt\ndocument of 9 chunks, 450 tokens, from a.txt\n",
        "generate  2 clusters; 3 of 4 candidates\n          failed: no JSON, 1 candidate\n",
        "            a.txt/c1/q1: the reply ends in the middle\n",
        "select    1 of 3 candidates\n",
        "It gave 1 row of the dataset: 1 train.\n",
    ):
        assert part in text


def test_a_document_that_gave_nothing_or_gives_nothing_yet(run, tmp_path):
    told = story.tell(run, "b [1]")
    assert isinstance(told, document.DocumentStory)
    assert told.summary == "It gave no row: select kept no candidate of it: duplicate question (1)."
    write_run(tmp_path, DRAFTS, TOKENS, settings(), LEFT)
    told = story.tell(str(tmp_path), "b [1]")
    assert isinstance(told, document.DocumentStory)
    assert told.summary == "It has given no row yet: select has not come to it."
    assert "select    did not come to it yet" in shown(told)


def test_only_a_few_rows_that_left_for_the_same_reason_are_shown(tmp_path):
    drafts = [Draft("a", 0, i, 9.0 - i / 10) for i in range(6)]
    write_run(tmp_path, drafts, {"a": [50] * 5}, settings(per_cluster=1))
    selected(tmp_path, settings(per_cluster=1))
    text = shown(story.tell(str(tmp_path), "a"))
    assert "rejected: not the best of its cluster, 5 candidates" in text
    assert text.count("taken before it: a/c0/q0") == 3
    assert "… and 2 more" in text


def test_a_bad_row_of_the_input_with_the_id_of_a_document(tmp_path):
    """It is known by its place, and says nothing of the document."""
    bad = Dropped("document", "in.jsonl:2", "a", "failed", "the same id again", "in.jsonl:2: id a, as line 1")
    write_run(tmp_path, [Draft("a")], {"a": [50] * 5}, settings(), {"chunk": [bad]})
    told = story.tell(str(tmp_path), "in.jsonl")
    assert isinstance(told, document.DocumentStory)
    assert [s.rows for s in told.stages] == [
        {"document": {"in": 1, "kept": 0, "rejected": {}, "failed": {"the same id again": 1}}},
        *[{}] * 4,
        {},
    ]
    told = story.tell(str(tmp_path), "a")
    assert isinstance(told, document.DocumentStory)
    assert not told.stages[0].left


def command(run: str, wanted: str, as_json: bool) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["select", "-o", run, "--explain", wanted, *(["--json"] if as_json else [])])
    return done.exit_code, done.stdout, done.stderr


def test_the_command(run):
    code, out, err = command(run, "a.txt/c0/q1", True)
    told = json.loads(out)
    assert (code, err, told["id"], told["other"]["qa_id"]) == (0, "", "a.txt/c0/q1", "a.txt/c0/q0")
    assert told["judgement"]["rating_reason"] == "It says so."
    code, out, err = command(run, "a.txt/c0/q1", False)
    assert (code, err) == (0, "")
    assert out.startswith("a.txt/c0/q1\n")
    code, out, err = command(run, "zzz", False)
    assert (code, out) == (1, "")
    assert err.startswith("error: --explain zzz: no document, cluster or candidate of the run has that id. Such as: ")
    assert err.count("\n") == 1
