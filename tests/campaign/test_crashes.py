"""Runs that are ended by SIGKILL, SIGTERM, SIGINT or SIGHUP at any instant, in any stage, with any backend: the same
command brings them to the same bytes, and nothing that is on disk is asked again.

`make campaign` draws hundreds, prints a line for each and a line of JSON for all; CAMPAIGN says how many, CAMPAIGN_SEED
where they begin. A signal comes to the main process, to a worker or to all, sometimes twice: before an operation on a
file (see `hook/`), after some calls to the server, or after some time. Recovery takes the seconds by which the run that
goes on is slower than one that nothing happens to, from the same stage on; a busy machine counts as recovery, too.

Not killed here: vLLM in the process of a run, which is not installed beside the others (`make test-vllm`); its replies
go through the same journal. The encoder that runs in the workers is killed in `tests/test_crashes.py`.
"""

import os
import random
import shutil
import sys
import time
from pathlib import Path

import pytest

from datagen.text.quickstart import write_corpus
from tests.campaign import crash_checks as checks
from tests.campaign.crash_summary import PROPERTY
from tests.campaign.crashing import DOCUMENTS, FAILED_ROWS, SIGNALS, Draw, Place, drawn, environment, server_for, strike
from tests.killed import BOOKKEEPING, gone, said

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

FIRST, COUNT = int(os.environ.get("CAMPAIGN_SEED", "0")), int(os.environ.get("CAMPAIGN", "3"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    pytest.importorskip("pydoc_data.topics")
    root = tmp_path_factory.mktemp("crashes")
    (root / "corpus").mkdir()
    for file in write_corpus(root / "all")[:DOCUMENTS]:
        text = file.read_text(encoding="utf-8")[:5000]
        (root / "corpus" / file.name).write_text(text, encoding="utf-8")
    (root / "corpus" / "empty.txt").touch()
    return Place(root)


# What was found, kept: a signal to all processes took Python's own helper with it; files were left half-written.
PINNED = (
    Draw(-1, "HUP", None, "everyone", "judge", "none", 2, 1, "open judge/.ledger.json.longrlvr-tmp"),
    Draw(-2, "INT", None, "main", "dataset", "none", 1, 1, "rename .dataset/data/train-00000-of-00001.parquet"),
    Draw(-3, "HUP", None, "main", "chunk", "none", 1, 1, "rename chunk/stage.json"),
)


@pytest.mark.parametrize("seed", [*range(FIRST, FIRST + COUNT), *(draw.seed for draw in PINNED)])
def test_nothing_is_lost(place: Place, tmp_path: Path, record_property, seed: int):
    draw = drawn(seed, place) if seed >= 0 else PINNED[-seed - 1]
    place.known(draw.backend)
    reference, expected, run = place.reference(draw.backend), place.expected[draw.backend], tmp_path / "run"
    found = checks.Found()
    place.start(run, draw.backend, draw.stage)
    with server_for(draw.backend) as server:
        process = place.launch(run, draw.backend, server, draw.workers, **environment(draw))
        hit = strike(process, draw, run, server)
        if not gone(process.pid):
            found.wrong("processes are left", "leftovers")
        if hit:
            checks.check_end(found, draw, run, process.returncode)
        time.sleep(0.1)  # the server notices that nobody is there any more
        kept, before = checks.journalled(run).total(), checks.finished(run)
        in_flight = checks.lost(run, reference, draw, server)
        began = time.monotonic()
        process = place.launch(run, draw.backend, server, draw.again)
        if process.wait(300) != FAILED_ROWS or "error" in said(run) or not gone(process.pid):
            found.wrong(f"going on ended with {process.returncode}: {said(run)}")
        seconds = time.monotonic() - began - place.known(draw.backend, draw.again)[draw.stage].seconds
        checks.check_whole(found, run, reference, expected, before)
        twice = checks.check_asked(found, draw, run, reference, in_flight, server)
    line = {"signal": draw.signal, "stage": draw.stage, "backend": draw.backend, "target": draw.target, "hit": hit}
    line |= {"survived": not found.problems, "recovery_s": max(0.0, seconds), "in_flight_given_twice": twice}
    record_property(PROPERTY, line | dict(found.counts))
    how = "hit" if hit else "it had ended"
    print(f"{draw}: {how}, {len(before)} shards, {kept} answers, {twice} twice, {seconds:+.1f} s")
    assert found.problems == [], str(draw)
    shutil.rmtree(tmp_path)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(data, settings, the run that nothing happened to) of a training of six steps."""
    launch = pytest.importorskip("tests.train.test_launch", reason="needs torch")
    root = tmp_path_factory.mktemp("training")
    data, settings = launch.dataset(root / "data"), launch.config(root)
    launch.train(data, settings, root / "whole")
    return data, settings, root / "whole"


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT // 20))
def test_training_goes_on_to_the_bit(training, tmp_path: Path, record_property, seed: int):
    from tests.train import test_launch as launch

    data, settings, whole = training
    rng = random.Random(f"training {seed}")
    name = [*SIGNALS][seed % len(SIGNALS)]
    twice = rng.uniform(0.0, 0.3) if name != "KILL" and rng.random() < 0.25 else None
    lines, later = rng.randint(0, len(launch.rows(whole)) - 1), rng.uniform(0.0, 0.3)
    process = launch.start(data, settings, tmp_path)
    if not lines:
        later = rng.uniform(0.0, 8.0)  # before and while the model is made
    while process.poll() is None and len(launch.rows(tmp_path)) < lines:
        time.sleep(0.002)
    time.sleep(later)
    hit = process.poll() is None
    for pause in (0.0, *([twice] if twice is not None else [])):
        time.sleep(pause)
        if process.poll() is None:
            os.killpg(process.pid, SIGNALS[name])
    _, words = process.communicate(timeout=120)
    code = process.returncode
    assert gone(process.pid)
    assert "Traceback" not in words
    done = code == 0 and launch.rows(tmp_path)[-1]["step"] == launch.SETTINGS["steps"]
    assert done or checks.ends_as_asked(SIGNALS[name], twice is not None, code, words), words
    launch.train(data, settings, tmp_path)
    launch.same(tmp_path, whole)
    left = [str(p) for p in tmp_path.rglob(".*") if p.name not in BOOKKEEPING]
    line = {"signal": name, "stage": "train", "backend": "none", "target": "everyone", "hit": hit, "recovery_s": 0.0}
    record_property(PROPERTY, line | {"survived": not left, "leftovers": len(left)})
    how = f"{name}{f' twice ({twice:.2f} s apart)' if twice is not None else ''}"
    print(f"training {seed}: {how} after {lines} lines and {later:.2f} s: {code}")
    assert left == []
