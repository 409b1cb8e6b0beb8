"""Runs that version 0.1 made, over one document: without a model, and with one that a journal tells of."""

import json
import tarfile
from pathlib import Path

import pytest

from datagen.run.run import Run
from datagen.stages import chunk
from tests.commands.calls import call
from tests.run.restamped import restamp
from tests.stages.talking import balanced

RUNS = Path(__file__).parents[1] / "data" / "runs-0.1.tar.gz"
BEFORE_SELECT = ["chunk", "embed", "cluster", "generate", "judge"]


@pytest.fixture
def runs(tmp_path) -> Path:
    with tarfile.open(RUNS) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def cut_anew(runs) -> Path:
    """The runs as they would be, had 0.1 cut, embedded and clustered documents, and asked, as it is done now."""
    for run in (runs / "extractive", runs / "llm"):
        settings = run / "config.yaml"  # what was called "embedded" has another name
        settings.write_text(settings.read_text().replace("  model: embedded\n", "  model: minilm\n"))
        restamp(run, Run(str(run)).config, *BEFORE_SELECT, "select")
    return runs


@pytest.mark.parametrize("name", ["extractive", "llm"])
def test_its_status_is_shown_and_nothing_is_stale(runs, name):
    statuses = Run(str(runs / name)).status()
    assert [s.name for s in statuses] == [*BEFORE_SELECT, "select", "dataset"]
    assert all(s.pending == 0 and not s.stale and balanced(s.ledger) for s in statuses)
    assert call("status", runs / name).exit_code == 0


def test_its_rows_are_read(runs):
    run = Run(str(runs / "extractive"))
    dropped = list(run.dropped("select"))
    assert dropped
    assert all(row.other_id is None for row in dropped)
    assert len(run.dataset("train")) == len(list(run.rows("select")))
    assert call("select", "-o", runs / "extractive", "--explain", dropped[0].row_id).exit_code == 0


def test_that_documents_are_cut_otherwise_since_is_all_that_makes_it_stale(runs):
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*/*/*.parquet")}
    for stage in ("generate", "judge"):
        result = call(stage, "-o", runs / "extractive")
        assert result.exit_code == 2
        changes = result.stderr.split("settings:\n")[1].split("Redoing it means: chunk (1 documents)")[0]
        now = chunk.STAGE.version
        assert changes == f"  version of the chunk stage's code: 1 there, {now} now\n"
        assert call(stage, "-o", runs / "extractive", "--resume", "always").exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_names_that_changed_since_make_nothing_stale(cut_anew):
    runs = cut_anew
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*/*/*.parquet") if path.parent.name != "select"}
    for stage in ("generate", "judge"):
        result = call(stage, "-o", runs / "extractive")
        assert result.exit_code == 0, result.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def rated(run: Path) -> list[tuple[str, float]]:
    return [(row.qa_id, row.rating) for row in Run(str(run)).rows("judge")]


def test_that_a_model_is_asked_in_other_words_since_is_said_before_anything_is_asked(cut_anew):
    runs = cut_anew
    for stage, changed in (("generate", "prompt generate: "), ("judge", "prompt grade: ")):
        result = call(stage, "-o", runs / "llm")
        assert result.exit_code == 2
        assert changed in result.stderr
    before = rated(runs / "llm")
    for stage in ("generate", "judge"):
        kept = call(stage, "-o", runs / "llm", "--resume", "always")
        assert kept.exit_code == 0, kept.stderr
    assert rated(runs / "llm") == before


def test_what_must_be_redone_is_said_with_its_cost(cut_anew):
    runs = cut_anew
    result = call("select", "-o", runs / "extractive")
    assert result.exit_code == 2  # the rule of the split is another since
    assert "version of the select stage's code: 2 there" in result.stderr
    assert "Redoing it means: select (" in result.stderr
    assert "select -o" in result.stderr
    result = call("select", "-o", runs / "extractive", "--resume", "never")
    assert result.exit_code == 0, result.stderr
    assert len(Run(str(runs / "extractive")).dataset("train")) > 0


def test_its_journals_are_read(runs):
    stages = json.loads(call("status", runs / "llm", "--json").stdout)["stages"]
    paid = {stage["name"]: stage["usage"] for stage in stages if stage["usage"]}
    assert {name: usage["requests"] for name, usage in paid.items()} == {"generate": 4, "judge": 18}
