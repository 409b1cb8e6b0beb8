"""A stage's status, from the footers of its shards."""

import os
import tracemalloc

from datagen import shards
from datagen.records import Cluster, Dropped
from datagen.run.paths import RunPaths
from datagen.run.status import stage_status
from datagen.run.tables import CHUNK, CLUSTER
from tests.run.rows import account, cluster, drop, entry


def put(run, stage: str, name: str, rows: list[Cluster], came_in: set[str], dropped: list[Dropped]) -> None:
    path = shards.join(str(run), stage, name + shards.SUFFIX)
    shards.write_rows(path, Cluster, rows, account(came_in, rows, dropped))


def test_status_counts_what_is_done_and_what_is_pending(tmp_path):
    run = str(tmp_path)
    assert stage_status(RunPaths(run), CHUNK).pending is None
    assert stage_status(RunPaths(run), CLUSTER).pending is None
    put(run, "chunk", "s0", [cluster("a"), cluster("b")], {"a", "b", "c"}, [drop("c")])
    put(run, "chunk", "s1", [cluster("d")], {"d"}, [])
    status = stage_status(RunPaths(run), CHUNK)
    assert (status.shards_done, status.shards_total, status.pending, status.rows) == (2, None, None, 3)
    shards.write_json(shards.join(run, "chunk", "shards.json"), ["s0", "s1"])
    assert stage_status(RunPaths(run), CHUNK).pending == 0
    assert stage_status(RunPaths(run), CLUSTER).pending == 3
    put(run, "cluster", "s0", [cluster("a")], {"a", "b"}, [drop("b", "odd", "failed")])
    status = stage_status(RunPaths(run), CLUSTER)
    assert (status.shards_done, status.shards_total, status.pending) == (1, 2, 1)
    assert status.ledger["document"] == entry(2, 1, None, {"odd": 1})
    assert (status.mixed, status.seconds) == (False, None)


def test_status_holds_one_footer_at_a_time(tmp_path):
    put(tmp_path, "chunk", "s", [cluster("a")], {"a", "b"}, [drop("b")])

    def peak(n: int) -> int:
        for i in range(n):
            (tmp_path / str(n) / "chunk").mkdir(parents=True, exist_ok=True)
            os.link(tmp_path / "chunk" / "s.parquet", tmp_path / str(n) / "chunk" / f"shard-{i:05d}.parquet")
        tracemalloc.start()
        status = stage_status(RunPaths(str(tmp_path / str(n))), CHUNK)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert status.ledger["document"]["in"] == 2 * n
        return most

    assert peak(1) > 0  # what is loaded once
    assert peak(600) - peak(200) < 400 * 600  # bytes for a name of a shard; its ledger alone takes twice as many
