"""Jobs of an array, as they are given: what fits together, and what is refused before it does harm."""

from pathlib import Path

import pytest

from datagen import shards
from tests.commands.calls import call

JOB = ("--num-shards", "2", "--shard-index")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three documents, each of some chunks."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.txt").write_text("\n\n".join(f"Paragraph {i} of {name} says its piece." for i in range(40)))
    return folder


def chunk(corpus: Path, *options: str | Path, code: int = 0) -> str:
    """What a job of `chunk` on RUN says."""
    run = corpus.parent / "run"
    settings = ("--set", "chunk.documents_per_shard=1", "--set", "chunk.max_tokens=64", "--workers", "1")
    result = call("chunk", "--input", corpus, "-o", run, *settings, *options)
    assert result.exit_code == code, result.stderr
    return result.stderr


def names(corpus: Path) -> list[str]:
    return shards.names(str(corpus.parent / "run" / "chunk"))


def test_each_makes_its_own(corpus):
    chunk(corpus, *JOB, "1")
    assert names(corpus) == ["shard-00001"]
    chunk(corpus, *JOB, "0")
    assert names(corpus) == ["shard-00000", "shard-00001", "shard-00002"]
    said = chunk(corpus)  # the whole: nothing is left to do, but for the stage's ledger
    assert "chunks (" not in said
    assert (corpus.parent / "run" / "chunk" / "ledger.json").exists()


def test_jobs_have_the_same_settings(corpus):
    chunk(corpus, *JOB, "0", "--set", "select.min_rating=6")
    settings = corpus.parent / "run" / "config.yaml"
    before = settings.read_bytes()
    for more in (("--set", "chunk.max_tokens=32"), ("--set", "select.min_rating=9"), ("--set", "dataset.license=mit")):
        said = chunk(corpus, *JOB, "1", *more, code=2)
        setting, _, value = more[1].partition("=")
        assert "all jobs of a run have the same settings, and this one has others" in said
        assert f"{setting}: " in said
        assert f"{value}" in said
        assert f"rm {settings}" in said
        assert settings.read_bytes() == before
        assert names(corpus) == ["shard-00000", "shard-00002"]
    chunk(corpus, *JOB, "1", "--set", "engine.concurrency=3")  # how the work is done may differ
    assert settings.read_bytes() == before


def test_what_a_job_cannot_do(corpus):
    assert "the index counts from 0" in chunk(corpus, "--num-shards", "2", "--shard-index", "2", code=2)
    assert "--num-shards and --shard-index go together" in chunk(corpus, "--num-shards", "2", code=2)
    never = chunk(corpus, *JOB, "0", "--resume", "never", code=2)
    assert f"rm -r {corpus.parent}/run/chunk" in never
    assert "cannot each read standard input" in chunk(corpus, *JOB, "0", "--input", "-", code=1)
    batches = ("--set", "engine.kind=openai-batch", "--model", "any")
    result = call("run", "-c", "openai", "--input", corpus, "-o", corpus.parent / "run", *JOB, "0", *batches)
    assert result.exit_code == 2
    assert "jobs of an array cannot send batches" in result.stderr
    assert names(corpus) == []


def test_an_address_of_ray_is_for_ray(corpus):
    assert "--executor ray: give both" in chunk(corpus, "--ray-address", "node1:6379", code=2)
    for address in ("node1", "node1:", "", "http://node1:6379/x"):
        said = chunk(corpus, "--executor", "ray", "--ray-address", address, code=2)
        assert f"--ray-address {address!r}: it is HOST:PORT" in said


def test_finish_of_what_is_no_run(tmp_path):
    result = call("finish", tmp_path / "none")
    assert result.exit_code == 1
    assert "there is no such folder" in result.stderr
