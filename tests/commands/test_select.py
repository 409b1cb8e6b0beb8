import json
import os
import shutil

from datagen import shards
from datagen.run import lock
from tests.commands.calls import call, cli, contents, times, with_settings


def test_a_stage_after_one_that_is_not_finished(run):
    shutil.rmtree(run / "judge")
    result = call("select", "-o", run)
    assert result.exit_code == 1
    assert result.stderr == f"error: {run}/judge is not there yet: run `longrlvr-data judge -o {run}` first\n"
    next((run / "generate").glob("*.parquet")).unlink()
    result = call("judge", "-o", run)
    assert result.exit_code == 1
    assert result.stderr == f"error: {run}/generate is not finished: run `longrlvr-data generate -o {run}` first\n"


def test_resume_always_keeps_what_is_finished(place, run, tmp_path):
    changed = with_settings(tmp_path / "changed.yaml", select={"min_rating": 3.1})
    before = times(run / "select")
    result = call("select", "-c", changed, "-o", run, "--workers", "1", "--resume", "always")
    assert result.exit_code == 0
    assert "select.min_rating: 3.0 there, 3.1 now" in result.stderr
    assert times(run / "select") == before
    assert contents(run / "dataset", "*.parquet") == contents(place / "run" / "dataset", "*.parquet")


def test_resume_always_mixes_only_on_request_and_the_card_says_so(run, tmp_path):
    changed = with_settings(tmp_path / "changed.yaml", select={"per_document": 1})
    next((run / "select").glob("*.parquet")).unlink()
    result = call("select", "-c", changed, "-o", run, "--workers", "1", "--resume", "always")
    assert result.exit_code == 0
    assert "--resume always" in (run / "dataset" / "README.md").read_text()


def test_a_dataset_without_train_rows_is_said_with_what_to_do(run):
    """Rows of before are kept in the split they had: the train rows of the other shard are all left out now."""
    splits = {
        file.name: shards.read_table(str(file))["split"].to_pylist() for file in (run / "select").glob("*.parquet")
    }
    (train,) = [name for name, found in splits.items() if "train" in found]
    (run / "select" / train).unlink()
    given = ("-o", run, "--workers", "1", "--set", "select.min_rating=10", "--resume", "always")
    result = call("select", *given)
    assert result.exit_code == 0, result.stderr
    n = sum(map(len, splits.values())) - len(splits[train])
    assert f"warning: the dataset has no train rows, all {n} are for validation" in result.stderr
    assert result.stderr.endswith(f"\n  longrlvr-data select -o {run} --resume never\n")
    assert f"0 train rows, {n} validation rows" in result.stdout
    assert "no train rows" in call("select", *given).stderr  # and as long as it is so


def test_resume_never_starts_over(place, run, tmp_path):
    changed = with_settings(tmp_path / "changed.yaml", select={"per_document": 1})
    result = call("select", "-c", changed, "-o", run, "--workers", "1", "--resume", "never")
    assert result.exit_code == 0
    rows = json.loads(call("status", run, "--json").stdout)["stages"][-1]["ledger"]["candidate"]["kept"]
    assert 1 <= rows <= 2
    result = call("select", "-c", place / "settings.yaml", "-o", run, "--workers", "1", "--resume", "never")
    assert result.exit_code == 0
    assert contents(run / "dataset") == contents(place / "run" / "dataset")


def test_two_processes_on_one_run(run):
    with lock.locked(str(run)):
        done = cli("select", "-o", run)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {run} is in use by process {os.getpid()} on ")
    assert call("select", "-o", run, "--workers", "1").exit_code == 0
