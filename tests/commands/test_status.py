import json
import shutil
from pathlib import Path

import pytest

from datagen.llm.base import Completion
from datagen.llm.journal import Journal
from datagen.stages import STAGES
from tests.commands.calls import call, with_settings


@pytest.fixture(scope="module")
def barren(place, tmp_path_factory) -> Path:
    """A run whose documents give nothing: one is too short, the clusters of the other are all too large."""
    folder = tmp_path_factory.mktemp("barren")
    documents = shutil.copytree(place / "documents", folder / "documents")
    (documents / "execmodel.txt").unlink()
    (documents / "short.txt").write_text("Just a line.\n", encoding="utf-8")
    settings = with_settings(
        folder / "settings.yaml",
        chunk={"min_document_tokens": 20, "max_tokens": 16, "published": True},
        cluster={"max_cluster_size": 4, "published": True, "min_similarity": 0.1},
    )
    result = call("run", "-c", settings, "--input", documents, "-o", folder / "run", "--workers", "1")
    assert "no row is left for a dataset" in result.stderr
    return folder / "run"


def test_status(place, run):
    result = call("status", run)
    assert result.exit_code == 0
    assert [*(s.name for s in STAGES), "dataset"] == [
        line.split()[0] for line in result.stdout.splitlines()[1:] if not line.startswith(" ")
    ]
    found = json.loads(call("status", run, "--json").stdout)
    stages = found["stages"]
    assert found["run"] == str(run)
    assert [s["name"] for s in stages] == [*(s.name for s in STAGES), "dataset"]
    assert all(s["pending"] == 0 and s["shards_done"] == s["shards_total"] == 2 for s in stages[:-1])
    assert not any(s["stale"] for s in stages)
    for s, entry in zip(STAGES, stages, strict=False):
        counts = entry["ledger"][s.table.input_unit]
        assert counts["in"] == counts["kept"] + sum(counts["rejected"].values()) + sum(counts["failed"].values())


def test_status_needs_no_module_of_the_runs_own(run):
    """What a run asks by, and what it paid for, is told where its task and its checks are not installed."""
    settings = (run / "config.yaml").read_text(encoding="utf-8")
    own = settings.replace("method: extractive", "method: not_here:TASK").replace("method: rules", "method: llm")
    (run / "config.yaml").write_text(own.replace("- lint\n", "- lint\n  - not_here:CHECK\n"), encoding="utf-8")
    for stage in ("generate", "judge"):
        journal = Journal(run / "journal" / stage / "shard-00000.jsonl")
        journal.append([Completion("k", "x", prompt_tokens=1000, endpoint="http://s")])
        journal.close()
    result = call("status", run)
    assert result.exit_code == 0
    assert result.stdout.count("1 reply, 1,000 prompt tokens") == 2
    assert result.stderr.count("there is no module 'not_here'") == 2
    found = {s["name"]: s["usage"] for s in json.loads(call("status", run, "--json").stdout)["stages"]}
    assert [found[stage]["dollars"] for stage in ("generate", "judge")] == [None, None]


def test_status_of_what_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        for more in ((), ("--explain", "a")):
            result = call("status", path, *more)
            assert result.exit_code == 1
            what = " is no run directory: there is no chunk folder in it" if path == tmp_path else ": there is no such"
            assert result.stderr.startswith(f"error: {path}{what}")
            assert not (tmp_path / "none").exists()


def test_status_of_a_folder_of_runs_names_them(run):
    result = call("status", run.parent)
    assert result.exit_code == 1
    assert f"there is no chunk folder in it, but in {run}" in result.stderr


def test_why_a_document_gave_nothing(barren):
    said = call("status", barren, "--explain", "short.txt").stdout
    assert said.startswith("short.txt\ndocument that was set aside\n")
    assert "chunk     0 of 1 document\n          rejected: too short, 1 document\n" in said
    assert "5 tokens, chunk.min_document_tokens is 20" in said
    assert said.count("nothing of it came here") == 2  # where the run ended, since no cluster was left
    assert said.count("did not come to it yet") == len(STAGES) - 3
    assert said.endswith("It gave no row: chunk kept no chunk of it: too short (1).\n")
    said = call("status", barren, "--explain", "calls.txt").stdout
    assert "rejected: oversized, " in said
    assert "cluster.max_cluster_size is 4" in said
    assert "cluster   0 of 1 document; 0 of " in said
    assert "It gave no row: cluster kept no cluster of it: " in said


def test_why_a_document_gave_nothing_as_json(barren):
    told = json.loads(call("status", barren, "--explain", "calls", "--json").stdout)
    assert (told["id"], told["unit"], told["splits"]) == ("calls.txt", "document", {})
    by_stage = {stage["stage"]: stage for stage in told["stages"]}
    assert list(by_stage) == [s.name for s in STAGES]
    assert by_stage["chunk"]["rows"]["chunk"]["kept"] == told["n_chunks"] > 4
    assert by_stage["cluster"]["rows"]["document"] == {
        "in": 1,
        "kept": 0,
        "rejected": {"too few clusters": 1},
        "failed": {},
    }
    assert {d["reason"] for d in by_stage["cluster"]["left"]} >= {"too few clusters", "oversized"}
    assert by_stage["generate"] == {"stage": "generate", "done": False, "rows": {}, "left": []}


def test_clusters_and_questions_are_explained_as_by_select(barren, run):
    cluster_id = json.loads(call("status", run, "--explain", "calls.txt", "--json").stdout)["stages"][3]
    assert cluster_id["rows"]["cluster"]["in"] > 0
    for wanted in ("calls.txt/c0", "calls.txt", "execmodel"):
        by_status = call("status", run, "--explain", wanted)
        assert by_status.exit_code == 0
        assert by_status.stdout == call("select", "-o", run, "--explain", wanted).stdout


def test_an_unknown_document_is_an_error_with_near_matches(barren):
    result = call("status", barren, "--explain", "shrot.txt")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "error: --explain shrot.txt: no document, cluster or candidate of the run has that id"
    )
    assert "Such as: short.txt" in result.stderr


def test_a_document_that_was_set_aside_cannot_be_inspected(barren):
    result = call("cluster", "-o", barren, "--inspect", "short.txt")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: --inspect short.txt: short.txt has no chunks." in result.stderr
    assert "too short" in result.stderr


def stale(run: Path) -> dict[str, list[str]]:
    return {s["name"]: s["stale"] for s in json.loads(call("status", run, "--json").stdout)["stages"] if s["stale"]}


def test_what_is_stale_after_a_stage_was_made_again(run):
    """A stage that is made again as it was makes nothing stale; one made otherwise all that was made of it."""
    assert call("chunk", "-o", run, "--workers", "1", "--resume", "never").exit_code == 0
    assert stale(run) == {}
    given = ("--set", "generate.candidates=2", "--resume", "never")
    assert call("generate", "-o", run, "--workers", "1", *given).exit_code == 0
    assert stale(run) == {
        "judge": ["generate"],
        "select": ["generate", "judge"],
        "dataset": ["generate", "judge", "select"],
    }
    said = call("status", run).stdout
    assert said.count("stale: generate made again since") == 3
    *_, advice = said.splitlines()
    assert advice == f"  longrlvr-data judge -o {run} --resume never && longrlvr-data select -o {run} --resume never"
    for command in advice.split(" && "):
        assert call(*command.split()[1:], "--workers", "1").exit_code == 0
    assert stale(run) == {}
    assert "stale" not in call("status", run).stdout


def test_other_chunks_make_everything_stale_and_a_dataset_can_be_stale_alone(run):
    before = (run / "dataset" / "provenance.json").read_text(encoding="utf-8")
    given = ("--set", "chunk.max_tokens=48", "--resume", "never")
    assert call("chunk", "-o", run, "--workers", "1", *given).exit_code == 0
    assert set(stale(run)) == {*(s.name for s in STAGES[1:]), "dataset"}
    said = " ".join(call("status", run).stdout.split())
    assert said.count("stale: chunk made again since") == len(STAGES)
    assert f"longrlvr-data cluster -o {run} --resume never && longrlvr-data generate -o {run} --resume never" in said
    assert call("run", "-o", run, "--workers", "1", "--resume", "never").exit_code == 0
    assert stale(run) == {}
    (run / "dataset" / "provenance.json").write_text(before, encoding="utf-8")
    assert list(stale(run)) == ["dataset"]
    assert call("status", run).stdout.endswith(f"To make what is stale again:\n  longrlvr-data select -o {run}\n")
    assert call("select", "-o", run, "--workers", "1").exit_code == 0
    assert stale(run) == {}
