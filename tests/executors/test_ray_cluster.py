"""Runs on a Ray cluster of two nodes, which lose workers and a node on their way: the same to the byte as a local run.

`make test-ray` has all of them, in six minutes.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datagen.executors import ray as executors
from datagen.text.quickstart import write_corpus
from tests.killed import results, said

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

RAY = pytest.mark.ray
SETTINGS = """
chunk: {max_tokens: 60, documents_per_shard: 1}
embed: {device: cpu}
cluster: {min_cohesion: 0.3, min_cluster_size: 2, max_clusters: 4}
generate: {candidates: 4}
select: {per_document: 8, min_rating: 3, validation_fraction: 0.3}
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """The folder of a corpus of seven documents, and of what one process makes of it."""
    pytest.importorskip("pydoc_data.topics")
    root = tmp_path_factory.mktemp("ray")
    (root / "corpus").mkdir()
    for file in write_corpus(root / "whole"):
        (root / "corpus" / file.name).write_text(file.read_text(encoding="utf-8")[:6000], encoding="utf-8")
    (root / "config.yaml").write_text(SETTINGS)
    assert launch(root, root / "reference", "--workers", "1").wait(300) == 0, said(root / "reference")
    return root


@pytest.fixture
def two_nodes() -> Iterator:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1, num_gpus=1)
    cluster.wait_for_nodes()
    yield cluster, second
    ray.shutdown()
    cluster.shutdown()


def launch(root: Path, run: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "datagen", "run", "-c", str(root / "config.yaml"), "-o", str(run)]
    command += ["--input", str(root / "corpus"), *options]
    with open(f"{run}.err", "ab") as err:
        return subprocess.Popen(command, stdout=err, stderr=err)


def where(seconds: float) -> tuple[str, int]:
    import ray

    time.sleep(seconds)
    return ray.get_runtime_context().get_node_id(), os.getpid()


def workers() -> list[int]:
    """The processes of Ray that wait for work or do some."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if re.match(rb"ray::(IDLE|_worked)", place.read_bytes()):
                found.append(int(place.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize("n", [pytest.param(2, marks=pytest.mark.slow), *(pytest.param(n, marks=RAY) for n in (1, 4))])
def test_any_number_of_workers(reference: Path, tmp_path: Path, n: int):
    run = tmp_path / "run"
    assert launch(reference, run, "--executor", "ray", "--workers", str(n)).wait(300) == 0, said(run)
    assert results(run) == results(reference / "reference")


@pytest.mark.slow
def test_two_nodes_share_the_work_and_one_is_lost(two_nodes):
    nodes, second = two_nodes
    with executors.cluster(nodes.address, None, lambda n: None) as (on_cpus, on_gpus):
        found = list(on_cpus(where, [0.2] * 12))
        assert len({node for node, _ in found}) == 2
        assert {node for node, _ in on_gpus(where, [0.05] * 6)} == {second.node_id}
        assert len({pid for _, pid in on_gpus(where, [0.05] * 6)}) == 1  # it keeps what it loaded
        mapped = on_cpus(where, [0.3] * 20)
        first = [next(mapped) for _ in range(4)]
        nodes.remove_node(second, allow_graceful=False)
        assert len(first + list(mapped)) == 20


@RAY
def test_a_run_that_loses_a_worker_and_a_node(reference: Path, two_nodes, tmp_path: Path):
    run, (nodes, second) = tmp_path / "run", two_nodes
    process = launch(reference, run, "--executor", "ray", "--ray-address", nodes.address)
    until(process, run, "embed", 1)
    killed = workers()[0]
    os.kill(killed, signal.SIGKILL)
    until(process, run, "embed", 3)
    nodes.remove_node(second, allow_graceful=False)
    assert process.wait(300) == 0, said(run)
    assert results(run) == results(reference / "reference")


@RAY
def test_a_driver_that_is_killed(reference: Path, two_nodes, tmp_path: Path):
    run, (nodes, _) = tmp_path / "run", two_nodes
    process = launch(reference, run, "--executor", "ray", "--ray-address", nodes.address)
    until(process, run, "embed", 2)
    process.kill()
    process.wait()
    shutil.rmtree(run / "select", ignore_errors=True)
    again = launch(reference, run, "--executor", "ray", "--ray-address", nodes.address)
    assert again.wait(300) == 0, said(run)
    assert results(run) == results(reference / "reference")


def until(process: subprocess.Popen, run: Path, stage: str, shards: int) -> None:
    """Wait for so many shards of a stage."""
    end = time.monotonic() + 240
    while len(list((run / stage).glob("*.parquet"))) < shards:
        assert process.poll() is None, said(run)
        assert time.monotonic() < end
        time.sleep(0.02)
