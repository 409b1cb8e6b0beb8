"""Documents that give no row are named, and a run that can give none ends before what costs time or money."""

import json
import re
from pathlib import Path

import pytest

from datagen.run.run import Run
from tests.commands.calls import call, with_settings

TEXTS: dict[str, str] = {}
PARAGRAPHS = Path(__file__).parents[1] / "text" / "paragraphs.txt"
for part in re.split(r"(?m)^= ", PARAGRAPHS.read_text(encoding="utf-8"))[1:]:
    name, _, text = part.partition("\n")
    TEXTS[name] = text.strip("\n")
SCRIPTS = {"english": "Latin", "russian": "Cyrillic", "greek": "Greek", "thai": "Thai", "japanese": "Japanese"}
SCRIPTS |= {"simplified": "Han", "korean": "Hangul", "arabic": "Arabic", "hebrew": "Hebrew"}


@pytest.fixture
def documents(tmp_path) -> Path:
    """A short document of each script, and one that is not text."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in SCRIPTS:
        (folder / f"{name}.txt").write_text(TEXTS[name], encoding="utf-8")
    (folder / "broken.txt").write_bytes(bytes(range(128, 256)) * 3)
    return folder


def test_a_run_whose_documents_are_too_short_ends_before_anything_is_embedded(documents, tmp_path):
    run = tmp_path / "run"
    result = call("run", "--input", documents, "-o", run, "--workers", "1")
    assert result.exit_code == 1
    assert (
        "no row is left for a dataset: no document has enough chunks for a cluster, and nothing more" in result.stderr
    )
    assert re.search(
        r"\n  arabic\.txt: cluster: too few chunks \(\d chunks, cluster.min_cluster_size is 4\)\n", result.stderr
    )
    assert not (run / "embed").exists()
    advised = re.search(rf"longrlvr-data run -o {run} --set chunk.max_tokens=(\d+)\n", result.stderr)
    assert advised
    shorter = call("chunk", "--input", documents, "-o", tmp_path / "shorter", "--set", f"chunk.max_tokens={advised[1]}")
    assert shorter.exit_code == 3  # for the one that is not text
    chunks = Run(str(tmp_path / "shorter")).frame("chunk")
    assert chunks.groupby("doc_id").size().loc["arabic.txt"] >= 4


def test_every_document_without_a_row_is_named_with_its_script(documents, tmp_path):
    run = tmp_path / "run"
    settings = with_settings(tmp_path / "settings.yaml", cluster={"min_similarity": 1.0, "min_cluster_size": 4})
    result = call("run", "-c", settings, "--input", documents, "-o", run, "--workers", "1")
    assert result.exit_code == 1
    assert "no row is left for a dataset: cluster kept no cluster, and nothing more was begun" in result.stderr
    assert not (run / "generate").exists()

    found = json.loads(call("status", run, "--documents", "--json").stdout)
    told = {each["doc_id"]: each for each in found["documents"]}
    assert {name: told[f"{name}.txt"]["script"] for name in SCRIPTS} == SCRIPTS
    assert {told[f"{name}.txt"]["stage"] for name in SCRIPTS} == {"cluster"}
    unlike = next(each for each in told.values() if each["stage"] == "cluster" and each["reason"] != "too few chunks")
    assert (unlike["setting"], unlike["value"]) == ("cluster.min_similarity", 0.9)
    assert unlike["command"] == [f"longrlvr-data run -o {run} --set cluster.min_similarity=0.9"]
    broken = told["broken.txt"]
    assert (broken["stage"], broken["reason"], broken["script"]) == ("chunk", "undecodable", "")
    assert "byte 0 of the file" in broken["detail"]
    lines = call("status", run, "--documents").stdout.splitlines()
    assert len([line for line in lines if not line.startswith("to let more pass: ")]) == len(SCRIPTS) + 1
    said = call("status", run).stdout
    n = sum(each["stage"] in ("chunk", "cluster") for each in told.values())
    assert f"  {n} documents gave no row: `longrlvr-data status {run} --documents` says why\n" in said


def test_a_run_without_a_cluster_ends_before_a_model_is_asked(place, tmp_path):
    run = tmp_path / "run"
    settings = with_settings(tmp_path / "settings.yaml", cluster={"min_similarity": 1.0})
    result = call("run", "-c", settings, "--input", place / "documents", "-o", run, "--workers", "1")
    assert result.exit_code == 1
    assert "no row is left for a dataset: cluster kept no cluster, and nothing more was begun" in result.stderr
    assert f"longrlvr-data run -o {run} --set cluster.min_similarity=0.9\n" in result.stderr
    assert not (run / "generate").exists()


def test_a_run_says_which_documents_gave_no_row(place, tmp_path):
    documents = tmp_path / "documents"
    documents.mkdir()
    for file in (place / "documents").iterdir():
        (documents / file.name).write_bytes(file.read_bytes())
    for name in ("russian", "thai", "korean", "greek"):
        (documents / f"z-{name}.txt").write_text(TEXTS[name][:200], encoding="utf-8")
    result = call("run", "-c", place / "settings.yaml", "--input", documents, "-o", tmp_path / "run", "--workers", "1")
    assert result.exit_code == 0
    told = result.stderr[result.stderr.index("documents gave no row:") - 2 :].splitlines()
    missing = json.loads(call("status", tmp_path / "run", "--documents", "--json").stdout)["documents"]
    assert told[0] == f"{len(missing)} documents gave no row:"
    assert len(missing) >= 4
    assert told[4] == f"  … and {len(missing) - 3} more: longrlvr-data status {tmp_path}/run --documents"
    assert all(each["setting"] and each["command"] for each in missing)
    have = set(Run(str(tmp_path / "run")).frame("select")["doc_id"])
    assert have.isdisjoint(each["doc_id"] for each in missing)
    assert have | {each["doc_id"] for each in missing} == {file.name for file in documents.iterdir()}


def test_a_run_without_a_candidate_ends_before_the_judge(place, tmp_path):
    run = tmp_path / "run"
    settings = with_settings(
        tmp_path / "settings.yaml", generate={"min_evidence": 4, "max_evidence": 4, "candidates": 1}
    )
    documents = tmp_path / "documents"
    documents.mkdir()
    source = (place / "documents" / "calls.txt").read_text(encoding="utf-8")
    (documents / "lists.txt").write_text(re.sub(r"[.!?]", ",", source), encoding="utf-8")
    result = call("run", "-c", settings, "--input", documents, "-o", run, "--workers", "1")
    assert result.exit_code == 1
    assert "no row is left for a dataset: generate kept no candidate, and nothing more was begun" in result.stderr
    assert "--set generate.m" in result.stderr
    assert not (run / "judge").exists()
