import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from datagen import shards
from datagen.config import model as configs
from datagen.errors import InputError, LedgerError, StaleStage, UnfinishedStage
from datagen.executors import local as executors
from datagen.records import Cluster
from datagen.run import identity, lock
from datagen.run.ledger import Ledger
from datagen.run.run import Run
from datagen.stages import runner
from datagen.stages.stage import PerShard, Stage
from tests.toy import CHUNK, DELAY, THEMES, Said, go, in_the_main_process, set_up, with_ticks


def state(run: str, pattern: str = "*") -> dict[str, tuple[bytes, int]]:
    files = sorted(p for p in Path(run).rglob(pattern) if p.is_file() and not p.name.startswith("."))
    return {str(p.relative_to(run)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def data(run: str) -> dict[str, bytes]:
    return {name: content for name, (content, _) in state(run, "*.parquet").items()}


def shard(run: str, name: str, n: int) -> Path:
    return Path(run, name, f"shard-{n:05d}.parquet")


def units(run: str, name: str) -> Ledger:
    return (shards.read_json(f"{run}/{name}/ledger.json") or {})["units"]


def test_a_fresh_run(tmp_path):
    run, config = set_up(tmp_path)
    said = go(run, config)
    assert shards.listing(f"{run}/chunk") == [
        *("dropped", "ledger.json", "notes", "shard-00000.parquet", "shard-00001.parquet", "shard-00002.parquet"),
        *("shard-00003.parquet", "shards.json", "stage.json"),
    ]
    assert shards.read_json(f"{run}/chunk/shards.json") == [f"shard-{i:05d}" for i in range(4)]
    for folder in ("chunk/dropped", "chunk/notes", "cluster", "cluster/dropped"):
        assert shards.names(f"{run}/{folder}") == shards.names(f"{run}/chunk")
    assert units(run, "chunk") == {
        "document": {"in": 8, "kept": 6, "rejected": {"empty": 1}, "failed": {"odd": 1}},
        "chunk": {"in": 15, "kept": 15, "rejected": {}, "failed": {}},
    }
    assert units(run, "cluster") == {
        "document": {"in": 6, "kept": 5, "rejected": {"too few": 1}, "failed": {}},
        "cluster": {"in": 5, "kept": 5, "rejected": {}, "failed": {}},
    }
    assert {row.document_cohesion for row in shards.read_rows(str(shard(run, "cluster", 0)), Cluster)} == {15.0}
    assert said.calls == [
        ("start", "chunk", "document", None, 0),
        *[("advance", 2)] * 4,
        ("finish",),
        ("start", "cluster", "document", 6, 0),
        *(("advance", n) for n in (2, 1, 1, 2)),
        ("finish",),
    ]


def test_a_second_run_does_nothing(tmp_path):
    run, config = set_up(tmp_path)
    go(run, config)
    before = state(run)
    assert go(run, config).calls == []
    assert go(run, configs.merge(config, {"workers": 2, "input.strict": True}), "always", workers=2).calls == []
    assert state(run) == before


def test_shards_without_a_row_are_written_too(tmp_path):
    run, config = set_up(tmp_path, ["", "?", "a b", "c d", "", ""])
    go(run, config)
    for s in ("chunk", "cluster"):
        assert [shards.read_ledger(str(shard(run, s, n)))[0] > 0 for n in range(3)] == [False, True, False]


@pytest.mark.parametrize(
    "lost", [["chunk/shard-00001"], ["cluster/shard-00003", "chunk/shard-00000", "cluster/shard-00000"]]
)
def test_what_is_lost_comes_back_the_same(lost, tmp_path):
    run, config = set_up(tmp_path)
    go(run, config)
    before, times = data(run), state(run)
    for name in lost:
        Path(run, f"{name}.parquet").unlink()
    said = go(run, config)
    assert data(run) == before
    kept = [name for name in before if not any(name.endswith(Path(n).name + ".parquet") for n in lost)]
    assert all(state(run)[name] == times[name] for name in kept)
    assert said.count("start") == len({name.split("/")[0] for name in lost})


def test_the_bytes_do_not_depend_on_the_executor(tmp_path):
    run, config = set_up(tmp_path)
    go(run, config)
    (tmp_path / "other").mkdir()
    other = str(tmp_path / "other" / "run")
    go(other, config, workers=2)
    assert data(other) == data(run)


@pytest.mark.parametrize("kill_at", ["chunk/shard-00001", "cluster/shard-00001"])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(kill_at, tmp_path):
    run, config = set_up(tmp_path)
    code = f"from tests import toy; toy.go({run!r}, toy.Config.model_validate({config.model_dump()!r}))"
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {DELAY: "0.1", "PYTHONPATH": path})
    while not Path(run, f"{kill_at}.parquet").exists() and child.poll() is None:
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -9
    assert not Path(run, "cluster", "ledger.json").exists()
    done = state(run, "shard-*")
    go(run, config)
    assert {
        name: state(run)[name] for name in done if "/dropped" not in name and "/notes" not in name
    }.items() <= done.items()
    other = str(tmp_path / "other")
    go(other, config)
    assert data(run) == data(other)


def test_other_settings_are_refused_and_named(tmp_path):
    run, config = set_up(tmp_path)
    go(run, config)
    before = state(run)
    with pytest.raises(StaleStage, match=r"/chunk was .*\n  chunk\.max_tokens: 512 there, 16 now$"):
        go(run, configs.merge(config, {"chunk.max_tokens": 16}))
    with pytest.raises(
        StaleStage, match=r"/cluster was .*\n  cluster\.min_cluster_size: 2 there, 3 now\n  seed: 0 there, 1 now$"
    ):
        go(run, configs.merge(config, {"cluster.min_cluster_size": 3, "seed": 1}))
    (tmp_path / "input.txt").write_text("other\n")
    with pytest.raises(StaleStage, match=r"/chunk was .*\n  input content: [0-9a-f]{12} there, [0-9a-f]{12} now$"):
        go(run, config)
    assert state(run) == before


def test_always_keeps_what_is_finished(tmp_path):
    run, config = set_up(tmp_path)
    go(run, config)
    before = state(run)
    said = go(run, configs.merge(config, {"chunk.max_tokens": 16, "chunk.documents_per_shard": 3}), "always")
    changed = "chunk.documents_per_shard: 2 there, 3 now; chunk.max_tokens: 512 there, 16 now"
    assert said.calls == [("say", f"chunk: kept as it is, although {changed}")]
    assert state(run) == before


def test_never_starts_over(tmp_path):
    run, config = set_up(tmp_path)
    go(run, config)
    times = state(run)
    other = configs.merge(config, {"chunk.documents_per_shard": 3})
    go(run, other, "never")
    assert shards.names(f"{run}/chunk") == shards.names(f"{run}/cluster") == [f"shard-{i:05d}" for i in range(3)]
    assert all(state(run)[name] != times[name] for name in state(run))
    assert go(run, other).calls == []


def test_the_layout_of_an_unfinished_folder_cannot_change(tmp_path):
    run, config = set_up(tmp_path)
    go(run, config)
    shard(run, "chunk", 1).rename(Path(run, "aside"))
    with pytest.raises(StaleStage, match=r"/chunk is unfinished.* chunk\.documents_per_shard, input\.limit$"):
        go(run, configs.merge(config, {"chunk.documents_per_shard": 3, "input.limit": 5}), "always")


def test_a_mixed_folder_says_so_and_goes_on(tmp_path):
    run, config = set_up(tmp_path)
    go(run, config)
    plain = identity.load(f"{run}/chunk")
    assert plain is not None
    shard(run, "chunk", 1).rename(Path(run, "aside"))
    cut = configs.merge(config, {"chunk.max_tokens": 16})
    with executors.pool(1) as pool:
        runner.run(CHUNK, run, cut, "always", pool, Said())
        with pytest.raises(StaleStage, match=r"output of chunk: \w{12} there, \w{12} now"):
            runner.run(THEMES, run, cut, "if-possible", pool, Said())
    mixed = identity.load(f"{run}/chunk")
    assert mixed is not None
    assert mixed.settings["chunk.max_tokens"] == 16
    assert [earlier["settings"]["chunk.max_tokens"] for earlier in mixed.mixed] == [512]
    assert mixed.digest != plain.digest
    assert shards.names(f"{run}/chunk") == [f"shard-{i:05d}" for i in range(4)]
    shard(run, "chunk", 2).unlink()
    with executors.pool(1) as pool:
        runner.run(CHUNK, run, cut, "if-possible", pool, Said())
    again = identity.load(f"{run}/chunk")
    assert again is not None
    assert again.digest == mixed.digest


def test_settings_may_change_while_no_shard_is_finished(tmp_path):
    run, config = set_up(tmp_path, ["crash", "a b"])
    with pytest.raises(KeyError) as e:
        go(run, config)
    assert e.value.__notes__ == ["while chunk processed shard-00000"]
    assert identity.load(f"{run}/chunk") is not None
    run, config = set_up(tmp_path, ["fine now", "a b"], chunk__documents_per_shard=1)
    go(run, config)
    stored = identity.load(f"{run}/chunk")
    assert stored is not None
    assert stored.mixed == []
    assert shards.names(f"{run}/cluster") == ["shard-00000", "shard-00001"]


def test_rows_that_vanish_stop_the_stage_before_they_are_written(tmp_path):
    run, config = set_up(tmp_path, ["a b", ""], chunk__tokenizer="forgetful")
    with pytest.raises(LedgerError, match="chunk: 1 document rows gone without a reason, such as 'd1'"):
        go(run, config)
    assert shards.names(f"{run}/chunk") == []


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([], "it holds none"),
        (["?", "", "?"], r"odd \(2\), empty \(1\)"),
        ([""], r"empty \(1\)"),
    ],
)
def test_an_input_without_a_document_leaves_no_folder(texts, reason, tmp_path):
    run, config = set_up(tmp_path, texts)
    with pytest.raises(InputError, match=rf"input\.txt: no document could be used: {reason}$"):
        go(run, config)
    assert not Path(run, "chunk").exists()


def test_a_stage_needs_what_it_reads(tmp_path):
    run, config = set_up(tmp_path)

    def alone(s: Stage) -> None:
        with executors.pool(1) as pool:
            runner.run(s, run, config, "if-possible", pool, Said())

    with pytest.raises(UnfinishedStage, match=r"cluster needs the output of chunk, which is not in .*/run$"):
        alone(THEMES)
    with pytest.raises(UnfinishedStage, match=r"/run/chunk is not there yet$"):
        runner.check_upstream((CHUNK,), run, config, "if-possible")
    alone(CHUNK)
    runner.check_upstream((CHUNK,), run, config, "if-possible")
    with pytest.raises(StaleStage, match=r"/chunk was .*\n  chunk\.max_tokens: 512 there, 99 now"):
        runner.check_upstream((CHUNK,), run, configs.merge(config, {"chunk.max_tokens": 99}), "if-possible")
    shard(run, "chunk", 1).rename(Path(run, "aside"))
    assert not Run(run).is_complete(CHUNK.name)
    with pytest.raises(UnfinishedStage, match=r"/run/chunk is not finished$") as e:
        runner.check_upstream((CHUNK,), run, config, "if-possible")
    assert e.value.stage == "chunk"
    unfinished = r"cluster needs the output of chunk, which is not finished in .*/run$"
    with pytest.raises(UnfinishedStage, match=unfinished):
        alone(THEMES)
    Path(run, "aside").rename(shard(run, "chunk", 1))
    Path(run, "chunk", "shards.json").unlink()
    with pytest.raises(UnfinishedStage, match=unfinished):
        alone(THEMES)


def test_a_stage_that_ticks_advances_by_its_ticks_alone(tmp_path):
    run, config = set_up(tmp_path)
    said = Said()
    with executors.pool(1, said.advance) as pool:
        runner.run(CHUNK, run, config, "if-possible", pool, Said())
        runner.run(
            replace(THEMES, work=PerShard(with_ticks, reports_progress=True)), run, config, "if-possible", pool, said
        )
    assert [call for call in said.calls if call[0] == "advance"] == [("advance", 1)] * 6


def test_a_stage_that_owns_the_accelerator_stays_in_one_process(tmp_path):
    run, config = set_up(tmp_path)
    alone = replace(CHUNK, main_process_only=lambda config: True, work=replace(CHUNK.work, process=in_the_main_process))
    with executors.pool(2) as pool:
        runner.run(alone, run, config, "if-possible", pool, Said())
    assert len(shards.names(f"{run}/chunk")) == 4


def test_a_run_in_an_object_store(tmp_path):
    _, config = set_up(tmp_path)
    run = f"memory://{tmp_path.name}-{os.getpid()}"
    with lock.locked(run):
        go(run, config)
    assert go(run, config).calls == []
    assert len(shards.names(f"{run}/cluster")) == 4
