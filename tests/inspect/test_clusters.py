import io
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner, Result

from datagen import shards
from datagen.cli import app
from datagen.inspect import clusters
from datagen.inspect.clusters import shared_words
from datagen.records import Chunk, Cluster

SETTINGS = {"chunk": {"max_tokens": 64}, "cluster": {"max_clusters": 1, "min_cohesion": 0.6}}
CALLS = "python/calls.txt"  # document ids, which have something in common
MODEL = "python/execmodel.txt"


def call(*args: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def settings(file: Path, **given: dict) -> Path:
    file.write_text(yaml.safe_dump({k: v | given.get(k, {}) for k, v in SETTINGS.items()}), encoding="utf-8")
    return file


def listing(run: Path) -> dict[str, int]:
    return {str(p.relative_to(run)): p.stat().st_mtime_ns for p in sorted(run.rglob("*"))}


@pytest.fixture(scope="module")
def chunked(tmp_path_factory) -> Path:
    """A run of `chunk` alone, over three documents, one of them too short to have a cluster."""
    topics = pytest.importorskip("pydoc_data.topics").topics
    folder = tmp_path_factory.mktemp("inspect")
    (folder / "in").mkdir()
    rows = [{"id": CALLS, "text": topics["calls"]}, {"id": MODEL, "text": topics["execmodel"]}]
    rows.append({"id": "note", "text": "Just\x1b[31m a line."})
    (folder / "in" / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ("-c", settings(folder / "settings.yaml"), "--input", folder / "in", "-o", folder / "run", "--workers", "1")
    assert call("chunk", *given).exit_code == 0
    return folder / "run"


@pytest.fixture(scope="module")
def clustered(chunked, tmp_path_factory) -> Path:
    run = shutil.copytree(chunked, tmp_path_factory.mktemp("clustered") / "run")
    assert call("cluster", "-o", run, "--workers", "1").exit_code == 0
    return run


def test_before_embedding_a_document_is_embedded_and_nothing_is_written(chunked, clustered):
    before = listing(chunked)
    result = call("cluster", "-o", chunked, "--inspect", CALLS)
    assert result.exit_code == 0
    assert listing(chunked) == before
    assert result.stdout == call("cluster", "-o", clustered, "--inspect", CALLS).stdout


def test_after_clustering_it_shows_what_the_stage_keeps_and_drops(clustered):
    before = listing(clustered)
    result = call("cluster", "-o", clustered, "--inspect", CALLS, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert listing(clustered) == before
    found = json.loads(result.stdout)
    assert list(found) == [
        "schema_version",
        "doc_id",
        "n_chunks",
        "cohesion",
        "told_apart",
        "min_cohesion",
        "clusters",
        "thresholds",
    ]
    kept = [c for c in shards.read_rows(f"{clustered}/cluster/shard-00000.parquet", Cluster) if c.doc_id == CALLS]
    shown = {c["cluster_id"]: c["chunk_indices"] for c in found["clusters"] if c["decision"] == "kept"}
    assert shown == {c.cluster_id: c.chunk_indices for c in kept}
    left = shards.read_table(f"{clustered}/cluster/dropped/shard-00000.parquet").to_pylist()
    reasons = {row["row_id"]: row["reason"] for row in left if row["doc_id"] == CALLS}
    assert {c["cluster_id"]: c["decision"] for c in found["clusters"] if c["decision"] != "kept"} == reasons
    assert len(kept) == 1
    assert reasons
    chunks = [c for c in shards.read_rows(f"{clustered}/chunk/shard-00000.parquet", Chunk) if c.doc_id == CALLS]
    assert found["n_chunks"] == len(chunks)
    for c in found["clusters"]:
        words = Counter(word for i in c["chunk_indices"] for word in set(chunks[i].text.lower().split()))
        assert c["words"]
        assert all(any(word in of_text for of_text in words) for word in c["words"])


def test_other_thresholds_are_what_they_would_give(clustered, tmp_path):
    found = json.loads(call("cluster", "-o", clustered, "--inspect", CALLS, "--json").stdout)
    values = [t["min_cohesion"] for t in found["thresholds"]]
    assert values == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    similarities = [t["similarity"] for t in found["thresholds"]]
    assert similarities == sorted(similarities)
    assert found["min_cohesion"] == 0.6
    higher = settings(tmp_path / "higher.yaml", cluster={"min_cohesion": 0.7})
    other = json.loads(call("cluster", "-o", clustered, "-c", higher, "--inspect", CALLS, "--json").stdout)
    assert other["min_cohesion"] == 0.7
    there, now = found["thresholds"][5], other["thresholds"][5]
    assert there == now
    assert now["clusters"] == len(other["clusters"])
    assert now["chunks_used"] == sum(len(c["chunk_indices"]) for c in other["clusters"]) / other["n_chunks"]
    assert now["chunks_used"] != found["thresholds"][4]["chunks_used"]


def test_vectors_that_do_not_fit_the_settings_are_made_again(clustered, tmp_path):
    other = settings(tmp_path / "other.yaml", embed={"revision": "another"})
    before = listing(clustered)
    result = call("cluster", "-o", clustered, "-c", other, "--inspect", CALLS, "--json")
    assert result.exit_code == 0
    assert listing(clustered) == before
    found = json.loads(call("cluster", "-o", clustered, "--inspect", CALLS, "--json").stdout)
    assert json.loads(result.stdout)["cohesion"] == pytest.approx(found["cohesion"], abs=1e-3)


def test_a_threshold_between_two_steps_is_a_line_of_its_own(clustered, tmp_path):
    odd = settings(tmp_path / "odd.yaml", cluster={"min_cohesion": 0.623})
    result = call("cluster", "-o", clustered, "-c", odd, "--inspect", CALLS)
    table = result.stdout.rpartition("min_cohesion ")[2].splitlines()[1:]
    assert [line.split()[0] for line in table] == ["0.20", "0.30", "0.40", "0.50", "0.60", "0.623", "0.70", "0.80"]
    assert [line.split()[-1] == "now" for line in table] == [False, False, False, False, False, True, False, False]


def test_the_published_rule_says_what_is_oversized(clustered, tmp_path):
    given = {"published": True, "min_similarity": 0.0, "max_cluster_size": 4}
    published = settings(tmp_path / "published.yaml", cluster=given)
    result = call("cluster", "-o", clustered, "-c", published, "--inspect", CALLS)
    assert re.search(r"^c\d+: \d+ chunks, .*, oversized$", result.stdout, re.MULTILINE)
    assert re.search(r"^min_similarity  similarity  clusters  oversized  chunks used", result.stdout, re.MULTILINE)
    assert "oversized" not in call("cluster", "-o", clustered, "--inspect", CALLS).stdout


def test_a_document_that_is_left_out_says_why(clustered, tmp_path):
    many = settings(tmp_path / "many.yaml", cluster={"min_clusters": 99})
    second = call("cluster", "-o", clustered, "-c", many, "--inspect", CALLS).stdout.splitlines()[1]
    assert re.search(r"; kept: none \(\d+ usable of \d+ clusters in \d+ chunks, at least 99 wanted\)$", second)
    short = call("cluster", "-o", clustered, "--inspect", "note")
    assert short.exit_code == 0
    assert short.stdout.startswith("note: 1 chunks, cohesion 1.00\n0 clusters at min_cohesion 0.6; kept: none (")


def test_a_document_by_a_part_of_its_id_or_one_of_its_clusters(clustered):
    whole = call("cluster", "-o", clustered, "--inspect", CALLS).stdout
    assert whole.startswith(f"{CALLS}: ")
    assert call("cluster", "-o", clustered, "--inspect", "calls").stdout == whole
    assert call("cluster", "-o", clustered, "--inspect", f"{CALLS}/c0").stdout == whole


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("python/", "2 documents have it in their id. Such as: "),
        ("", "3 documents have it in their id. Such as: "),
        ("none of them", "no document, cluster or candidate of the run has that id. Such as: "),
    ],
)
def test_no_document_or_several(clustered, wanted, said):
    before = listing(clustered)
    result = call("cluster", "-o", clustered, "--inspect", wanted)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: --inspect {wanted}: {said}")
    assert CALLS in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert listing(clustered) == before


def test_a_run_that_is_not_there(tmp_path):
    result = call("cluster", "-o", tmp_path / "none", "--inspect", "a")
    assert (result.exit_code, result.stdout) == (1, "")
    there = f"{tmp_path}/none"
    first = f"run `longrlvr-data chunk -o {there} --input PATH` first"
    assert result.stderr == f"error: {there}/chunk is not there yet: {first}\n"
    assert not (tmp_path / "none").exists()


def test_settings_of_chunk_that_are_not_the_run_s(clustered, tmp_path):
    other = settings(tmp_path / "other.yaml", chunk={"max_tokens": 48})
    result = call("cluster", "-o", clustered, "-c", other, "--inspect", CALLS)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "chunk.max_tokens: 64 there, 48 now" in result.stderr
    assert "other settings of `cluster` and `embed`" in result.stderr


def page(console: Console, texts: list[str], doc_id: str = "a") -> list[str]:
    chunks = [Chunk(doc_id, i, 0, len(text), 1, text) for i, text in enumerate(texts)]
    found = Cluster(f"{doc_id}/c0", doc_id, list(range(len(texts))), 0.7, 0.3, 1.0)
    row = clusters.Threshold(0.95, 0.6, 1, 0, 1.0, 0.7, 1.0)
    decided = [["w" * 99]], ["kept"], "", 0.9, "min_cohesion", 0.95
    clusters.show(clusters.Inspection(doc_id, chunks, 0.3, [found], *decided, [row, row]), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [50, 120])
def test_no_line_is_wider_than_the_terminal(width):
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, highlight=False)
    lines = page(console, ["word " * 99, "中文" * 99, "short"], doc_id="long/" * 40)
    assert len(lines) == 2 + 2 + 3 + 1 + 3 + 1  # a chunk is one line
    assert all(sum(2 if ord(c) > 0x2FFF else 1 for c in line) <= width for line in lines)
    assert lines[5].endswith("…")


def test_piped_lines_have_room():
    lines = page(Console(file=io.StringIO(), width=80), ["word " * 99])
    assert 150 < len(lines[5]) <= clusters.WIDTH


def test_a_document_cannot_give_orders_to_the_terminal():
    lines = page(
        Console(file=io.StringIO(), width=80), ["red \x1b[31m alert\x07 [bold]as it is[/bold] :smile:"], "a\nb"
    )
    assert lines[5] == "     0  red  [31m alert  [bold]as it is[/bold] :smile:"
    assert lines[0].startswith("a b: ")


def test_only_the_first_chunks_of_a_large_cluster_are_shown():
    lines = page(Console(file=io.StringIO(), width=80), [f"chunk {i}" for i in range(clusters.LINES + 5)])
    assert "        … and 5 more" in lines
    assert sum("  chunk " in line for line in lines) == clusters.LINES


def test_shared_words_tell_a_cluster_from_its_document():
    fire = ["The crowd saw the fire.", "Fire in the square, a crowd.", "A crowd."]
    river = ["The river was wide.", "Near the river they sat.", "They sat there, the river below."]
    found = shared_words([*fire, *river, "They saw the end."], [[0, 1, 2], [3, 4, 5], [6]])
    assert found == [["crowd", "fire"], ["river", "they"], []]
