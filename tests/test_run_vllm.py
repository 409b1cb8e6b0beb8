"""From documents to a dataset with vLLM itself: its server, and in the process of the run."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from datagen import shards
from datagen.records import Candidate, Chunk, Cluster, Judgement
from datagen.text.quickstart import write_corpus
from tests.servers import tiny_model

if importlib.util.find_spec("vllm") is None:
    pytest.skip("vLLM is not installed", allow_module_level=True)

pytestmark = pytest.mark.vllm
WORDS = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 512}
SETTINGS: dict[str, Any] = {  # a random model rates at random: every rating will do
    "chunk": {"max_tokens": 64},
    "cluster": {"max_clusters": 4},
    "generate": {"method": "llm", "candidates": 3, "min_evidence": 1, "sampling": WORDS},
    "judge": {"method": "llm", "checks": ["quality"], "min_rating": 0, "sampling": WORDS},
    "select": {"min_rating": 0, "per_document": 4, "validation_fraction": 0.5},
}
IN_PROCESS = {"enforce_eager": True, "dtype": "float32", "structured_outputs_config": tiny_model.STRUCTURED}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny_model.build(tmp_path_factory.mktemp("tiny"), context=8192)


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    for file in write_corpus(folder)[4:]:
        file.unlink()
    return folder


@pytest.fixture(scope="module")
def url(model) -> Iterator[str]:
    with tiny_model.serve_vllm(model) as url:
        yield url


def run(place: Path, documents: Path, engine: dict[str, Any], *options: str) -> dict[str, Any]:
    """What `run --json` prints, and nothing else on standard output."""
    config = place / "config.yaml"
    config.write_text(yaml.safe_dump(SETTINGS | {"engine": engine}), encoding="utf-8")
    command = [sys.executable, "-m", "datagen", "run", "-c", str(config), "--input", str(documents), "--json"]
    done = subprocess.run(
        [*command, "-o", str(place / "run"), *options],
        capture_output=True,
        text=True,
        env=os.environ | tiny_model.ENVIRONMENT,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr  # 3: a random model may end a row with nothing that can be read
    return json.loads(done.stdout)


def rows(folder: Path, stage: str, record: type) -> list[Any]:
    names = shards.names(str(folder / stage))
    return [row for name in names for row in shards.read_rows(str(folder / stage / f"{name}.parquet"), record)]


def check(folder: Path) -> None:
    """Evidence is chunks of the document, out of the question's own cluster."""
    chunks = {(c.doc_id, c.chunk_index) for c in rows(folder, "chunk", Chunk)}
    clusters = {c.cluster_id: c for c in rows(folder, "cluster", Cluster)}
    candidates = rows(folder, "generate", Candidate)
    assert candidates
    assert any(min(clusters[c.cluster_id].chunk_indices) > 16 for c in candidates)  # no cluster has as many chunks
    for candidate in candidates:
        assert candidate.question
        assert candidate.answer
        assert set(candidate.ref_chunks) <= set(clusters[candidate.cluster_id].chunk_indices)
        assert {(candidate.doc_id, i) for i in candidate.ref_chunks} <= chunks
    assert all(0 <= row.rating <= 10 for row in rows(folder, "judge", Judgement))
    written = [shards.read_table(str(file)) for file in sorted((folder / "dataset" / "data").glob("*.parquet"))]
    assert sum(map(len, written)) >= 4


def test_through_its_server(tmp_path, documents, url):
    run(tmp_path, documents, {}, "--base-url", url, "--model", "tiny")
    check(tmp_path / "run")


def test_in_the_process_of_the_run(tmp_path, documents, model):
    run(tmp_path, documents, {"kind": "vllm", "model": str(model), "vllm": IN_PROCESS})
    check(tmp_path / "run")
    again = run(tmp_path, documents, {"kind": "vllm", "model": str(model)})
    assert again
