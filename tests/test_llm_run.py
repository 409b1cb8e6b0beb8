"""Runs that ask a language model, killed again and again: what was answered is not asked again, no row is lost.

`tests/campaign/test_crashes.py` has the other signals, stages and backends.

`pytest -m slow tests/test_llm_run.py -rP` prints the instants; CRASH_SEED draws others.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datagen.run import paths
from datagen.text.quickstart import write_corpus
from tests.killed import gone, leftovers, results, said
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

SEED = int(os.environ.get("CRASH_SEED", "1"))
CONCURRENCY = 8
KILLS = 25
CONFIG = """
chunk: {max_tokens: 60, documents_per_shard: 1}
embed: {device: cpu}
cluster: {min_cohesion: 0.3, min_cluster_size: 2, max_clusters: 4}
engine: {model: scripted, endpoints: [{base_url: "URL", max_concurrency: 8}]}
generate: {method: llm}
judge: {method: llm}
select: {per_document: 8, min_rating: 5, validation_fraction: 0.3}
"""


def faults(body: dict, asked: int) -> str | None:
    """Replies to be asked for again, whatever instant the client is killed at, and requests to be sent again."""
    text = body["messages"][0]["content"]
    if len(body["messages"]) == 1 and len(text) % 7 == 0:
        return "length"
    return "500" if asked == 0 and len(text) % 5 == 0 else None


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus, a run that is finished up to the clusters, and one that nothing happened to."""
    pytest.importorskip("pydoc_data.topics")
    root = tmp_path_factory.mktemp("llm")
    (root / "corpus").mkdir()
    for file in write_corpus(root / "whole")[:5]:
        (root / "corpus" / file.name).write_text(file.read_text(encoding="utf-8")[:8000], encoding="utf-8")
    with serve(Settings(faults=faults)) as server:
        for command, run in (("chunk", "clusters"), ("cluster", "clusters"), ("run", "reference")):
            if command == "run":
                shutil.copytree(root / "clusters", root / "reference")
            process = launch(root, root / run, command, server)
            assert process.wait(300) == 0, said(root / run)
    return root


def launch(root: Path, run: Path, command: str, server: Server | None, *options: str) -> subprocess.Popen:
    """A command in a session of its own, what it says in RUN.err."""
    (run.parent / f"{run.name}.yaml").write_text(CONFIG.replace("URL", server.url if server else "http://nowhere/v1"))
    whole = [sys.executable, "-m", "datagen", command, "-c", f"{run}.yaml"]
    whole += ["--input", str(root / "corpus")] if command in ("run", "chunk") else []
    whole += ["-o", str(run), "--workers", "1", *options]
    with open(f"{run}.err", "ab") as err:
        return subprocess.Popen(whole, stdout=err, stderr=err, start_new_session=True)


def journalled(run: Path) -> int:
    """Whole lines on disk."""
    return sum(file.read_bytes().count(b"\n") for file in (run / "journal").rglob(f"*{paths.JOURNAL}"))


def kill_at(instant: float, process: subprocess.Popen, server: Server, asked_before: int) -> bool:
    """Kill a process so many seconds after its first request, or, if negative, after its start. False: it had ended."""
    end = time.monotonic() + 120
    while instant >= 0 and server.stats.requests == asked_before and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    time.sleep(abs(instant))
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(process.pid)
    return True


def test_killed_at_any_instant(base: Path, tmp_path: Path):
    """What is on disk is never asked again; what was answered and was not yet on disk was in flight at a kill."""
    draw, kills, repeated, rounds = random.Random(SEED), 0, 0, 0
    while kills < KILLS:
        rounds += 1
        run = tmp_path / f"run{rounds}"
        shutil.copytree(base / "clusters", run)
        with serve(Settings(latency=0.4, spread=0.8, faults=faults)) as server:
            lost, ended = 0, False
            while not ended:
                asked = server.stats.requests
                instant = draw.uniform(0.0, 0.8) if draw.random() < 0.8 else -draw.uniform(0.1, 2.0)
                command = "run" if draw.random() < 0.5 else "generate"
                process = launch(base, run, command, server)
                if kills >= KILLS or not kill_at(instant, process, server, asked):
                    assert process.wait(300) == 0, said(run)
                    ended = command == "run"
                    continue
                kills += 1
                time.sleep(0.1)  # the server notices that nobody is there any more
                now_lost = server.stats.answered.total() - journalled(run)
                print(f"{command}, {instant:+.2f} s: {journalled(run)} on disk, {now_lost - lost} answers were not yet")
                assert now_lost - lost <= CONCURRENCY
                lost = now_lost
            repeated += lost
            assert server.stats.answered.total() == journalled(run) + lost
        assert journalled(run) == journalled(base / "reference")
        same_as_the_reference(base, run)
    print(f"{kills} kills in {rounds} runs; {repeated} answers in flight at a kill were given twice")
    assert repeated > 0, "no kill hit an answer in flight: the test tells nothing"


def test_offline_from_the_journal(base: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(base / "reference", run)
    for stage in ("generate", "judge", "select", "dataset"):
        shutil.rmtree(run / stage)
    assert launch(base, run, "run", None, "--offline").wait(300) == 0, said(run)
    same_as_the_reference(base, run)


def same_as_the_reference(base: Path, run: Path) -> None:
    assert leftovers(run) == []
    found, wanted = results(run), results(base / "reference")
    assert found.keys() == wanted.keys()
    assert [name for name in found if found[name] != wanted[name]] == []
    assert any(name.startswith("dataset/data/train") for name in found)


def test_jobs_of_an_array_at_once(base: Path, tmp_path: Path):
    """Two jobs on one run directory, one of them killed twice on its way: no question is asked twice that was answered
    and stored, and what they made is as if one process had made it.
    """
    run = tmp_path / "run"
    jobs = [("--num-shards", "2", "--shard-index", str(index)) for index in range(2)]
    with serve(Settings(latency=0.2, spread=0.4, faults=faults)) as server:
        processes = [launch(base, run, "run", server, *job) for job in jobs]
        for _ in range(2):
            before = journalled(run)
            while journalled(run) < before + 5:
                assert processes[1].poll() is None, said(run)
                time.sleep(0.02)
            os.killpg(processes[1].pid, signal.SIGKILL)
            processes[1].wait()
            processes[1] = launch(base, run, "run", server, *jobs[1])
        assert launch(base, run, "run", server).wait(60) == 1  # a whole run, beside them
        assert re.search(r"run is in use by process \d+ on \S+, as job [01] of 2", said(run))
        assert launch(base, run, "run", server, "--num-shards", "3", "--shard-index", "0").wait(60) == 1
        assert [process.wait(300) for process in processes] == [0, 0], said(run)
        assert "when all 2 are, `longrlvr-data finish" in said(run)
        lost = server.stats.answered.total() - journalled(run)
        assert 0 <= lost <= 2 * CONCURRENCY
    finishing = [sys.executable, "-m", "datagen", "finish", str(run)]
    assert subprocess.run(finishing, stdout=subprocess.DEVNULL, timeout=120).returncode == 0
    same_as_the_reference(base, run)


def test_a_job_that_never_ran_is_missed(base: Path, tmp_path: Path):
    run = tmp_path / "run"
    with serve(Settings(faults=faults)) as server:
        assert launch(base, run, "run", server, "--num-shards", "2", "--shard-index", "1").wait(300) == 0, said(run)
    ended = subprocess.run([sys.executable, "-m", "datagen", "finish", str(run)], capture_output=True, text=True)
    assert ended.returncode == 1
    assert (
        "chunk lacks 3 of its 5 shards, such as shard-00000. Start the jobs that have not ended again" in ended.stderr
    )
    assert f"longrlvr-data run -o {run}" in ended.stderr
    assert not (run / "dataset").exists()
