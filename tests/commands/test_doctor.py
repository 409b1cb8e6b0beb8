"""`doctor`, on a finished run that this and that happened to."""

import json
import random
import shutil
from pathlib import Path

import pytest

from datagen import shards
from datagen.run import hashes
from datagen.run.run import Run
from tests.commands.calls import call, contents

SHARD = "shard-00000.parquet"


def flipped(path: Path, at: float = 0.4) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 4
    path.write_bytes(data)


def problems(run: Path) -> dict[str, str]:
    result = call("doctor", run, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == bool(found["problems"])
    assert found["schema_version"] == 1
    return {str(Path(p["path"]).relative_to(run)): p["problem"] for p in found["problems"]}


def of_the_run(run: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(run).items() if name.endswith((".parquet", "shards.json"))}


def test_a_sound_run(run):
    assert problems(run) == {}
    result = call("doctor", run)
    assert (result.exit_code, "damaged" in result.stdout) == (0, True)
    assert "select" in result.stdout


DAMAGE = {
    f"chunk/{SHARD}": lambda path: flipped(path),
    f"embed/{SHARD}": lambda path: flipped(path, 0.98),
    f"cluster/dropped/{SHARD}": lambda path: path.write_bytes(path.read_bytes()[:100]),
    f"generate/{SHARD}": lambda path: shutil.copy(path.with_name("shard-00001.parquet"), path),
    f"judge/{SHARD}": lambda path: path.write_bytes(b""),
    "select/ledger.json": lambda path: path.write_text('{"units": {}}'),
    "chunk/shards.json": lambda path: path.write_text('["shard-00000"]'),
    "cluster/stage.json": lambda path: path.write_text("[]"),
    "judge/stage.json": lambda path: path.write_text(path.read_text().replace('"version": ', '"version": 1')),
    ".fingerprints.json": lambda path: path.write_text(path.read_text().replace('"size": ', '"size": 1')),
    "dataset/provenance.json": lambda path: path.write_text("{"),
    "dataset/data/train-00000-of-00001.parquet": lambda path: flipped(path),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_repaired_and_made_again_to_the_byte(run, name):
    before = of_the_run(run)
    DAMAGE[name](run / name)
    assert list(problems(run)) == [name]
    assert "To make again what was taken out:\n  longrlvr-data run -o" in call("doctor", run, "--repair").stdout
    assert not (run / name).exists()
    result = call("run", "-o", run, "--workers", "1")
    assert result.exit_code == 0, result.stderr
    assert of_the_run(run) == before
    assert problems(run) == {}


def test_a_shard_of_another_run_with_the_same_name(place, run, tmp_path):
    settings = ("-c", place / "settings.yaml", "--input", place / "documents", "-o", tmp_path / "other")
    assert call("chunk", *settings, "--set", "chunk.max_tokens=100", "--workers", "1").exit_code == 0
    shutil.copy(tmp_path / "other" / "chunk" / SHARD, run / "chunk" / SHARD)
    assert problems(run) == {f"chunk/{SHARD}": "it was written by another run, or under other settings"}
    for command in (("status", run), ("generate", "-o", run), ("run", "-o", run)):
        result = call(*command)
        assert result.exit_code == 1
        assert f"{run}/chunk/{SHARD} is damaged (it was written by another run" in result.stderr
        assert f"longrlvr-data doctor {run} --repair" in result.stderr


def test_rows_that_do_not_follow_from_those_before(run):
    """A shard that is sound in itself, of a run with the same settings."""
    path = str(run / "judge" / SHARD)
    table, footer = shards.read_table(path), shards.read_footer(path)
    said = {"longrlvr.ledger": json.dumps(footer.ledger), "longrlvr.origin": json.dumps(footer.origin)}
    shards.write_table(path, table.slice(1), said)
    (problem,) = problems(run).values()
    assert "gone without a reason" in problem


def test_what_cannot_be_made_again_is_left_alone(run):
    (run / "config.yaml").write_text("chunk: [")
    journal = run / "journal" / "generate" / "shard-00000.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("not a reply\n")
    assert list(problems(run)) == ["config.yaml", "journal/generate/shard-00000.jsonl"]
    result = call("doctor", run, "--repair")
    assert result.exit_code == 1
    assert journal.exists()
    assert "put it back from a copy" in result.stdout


def test_a_run_that_ended_before_it_made_anything_is_not_damaged(tmp_path, small_disk):
    """Its settings are not kept, and there is none of them to be put back."""
    (tmp_path / "in.txt").write_text(random.Random(0).randbytes(60_000).hex(" ", 4))
    result = call("chunk", "--input", tmp_path / "in.txt", "-o", small_disk / "run", "--workers", "1")
    assert result.exit_code == 1
    assert "/chunk/documents/shard-00000.parquet: no space left" in result.stderr
    assert (small_disk / "run" / "chunk" / "stage.json").exists()
    assert not (small_disk / "run" / "config.yaml").exists()
    assert problems(small_disk / "run") == {}


def test_a_folder_that_is_not_there(tmp_path):
    for command in ("doctor", "status"):
        result = call(command, tmp_path / "none")
        assert result.exit_code == 1
        assert f"{tmp_path / 'none'}: there is no such folder" in result.stderr


def test_a_folder_that_is_no_run(tmp_path):
    result = call("doctor", tmp_path)
    assert result.exit_code == 1
    assert "is no run directory" in result.stderr


@pytest.mark.parametrize("content", ["5", "[]", "[1]", '"a"', "{", "[" * 100_000, '{"stages": 5}', '{"settings": 5}'])
@pytest.mark.parametrize(
    "name", ["chunk/shards.json", "chunk/stage.json", "embed/ledger.json", "dataset/provenance.json"]
)
def test_bookkeeping_of_another_kind_is_a_sentence(run, name, content):
    (run / name).write_text(content)
    for command in (("status", run), ("select", "-o", run), ("doctor", run)):
        result = call(*command)
        assert result.exit_code in (0, 1)
        if result.exit_code and command[0] != "doctor":
            assert f"{run / name} " in result.stderr or f"{(run / name).parent} is of another" in result.stderr


def test_a_note_of_hashes_that_holds_something_else_is_not_believed(run):
    kept = hashes.load(Run(str(run)))
    assert kept
    hashes.save(Run(str(run)), dict.fromkeys(kept, 5) | {"other": {"size": 1}})
    assert call("chunk", "-o", run, "--workers", "1").exit_code == 0
