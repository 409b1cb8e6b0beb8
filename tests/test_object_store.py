"""A whole run in an object store, S3's protocol over HTTP on this machine: killed at any instant, it goes on to the
bytes of a local run that nothing happened to, and asks nothing again that was stored.
"""

import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from datagen import stores
from datagen.dataset import read
from datagen.errors import InputError
from datagen.llm import journal
from datagen.run.run import Run
from tests.campaign.runs import STAGES, Reference, call, content, made, reply, settings
from tests.killed import gone
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")

SEED = int(os.environ.get("CRASH_SEED", "1"))
ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "anyone",
    "AWS_SECRET_ACCESS_KEY": "anything",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def store(port: int = 0) -> Iterator[Any]:
    """A server of what all servers in this process have stored."""
    server = moto.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of a bucket."""
    with store() as server, pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        for name, value in (ACCOUNT | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}).items():
            patch.setenv(name, value)
        stores.find("s3://runs")[0].mkdir("runs")
        yield "s3://runs"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    """A local run that nothing happened to."""
    pytest.importorskip("pydoc_data.topics")
    with made(tmp_path_factory.mktemp("reference")) as reference:
        yield reference


def uploaded(reference: Reference, run: str, *stages: str) -> str:
    """A run in the store, in which these stages are done."""
    fs, name = stores.find(run)
    fs.put_file(str(reference.run / "config.yaml"), f"{name}/config.yaml")
    for stage in stages:
        fs.put(str(reference.run / stage), f"{name}/{stage}", recursive=True)
    return run


def downloaded(run: str, to: Path) -> Path:
    fs, name = stores.find(run)
    fs.get(name, str(to), recursive=True)
    return to


def stored(run: str) -> Counter[tuple[str, str]]:
    """How often each reply is in the journals: once, if nothing was asked twice that was there."""
    paths = [path for stage in STAGES for path in Run(run).journal_files(stage)]
    return Counter((path, each.key) for path in paths for each in journal.read(path) if not each.error)


def launch(command: str, run: str, file: Path, err: Path, *options: str) -> subprocess.Popen:
    whole = [sys.executable, "-m", "datagen", command, "-c", str(file), "-o", run, "--workers", "1", *options]
    with open(err, "ab") as f:
        return subprocess.Popen(whole, stdout=f, stderr=f, start_new_session=True)


def killed(process: subprocess.Popen, server: Server, answers: int, moment: float) -> bool:
    """Kill a process so many seconds after the server has given so many answers in all. False: it had ended."""
    end = time.monotonic() + 60
    while server.stats.answered.total() < answers and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)
    time.sleep(moment)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert gone(process.pid)
    time.sleep(0.1)  # what was sent to the store before arrives
    return True


def test_a_whole_run_is_the_same_in_a_store(bucket, reference, tmp_path):
    run = f"{bucket}/whole"
    said = call("run", "-c", reference.root / "settings.yaml", "--input", reference.root / "documents", "-o", run)
    assert said.code == 0, said.all
    assert content(downloaded(run, tmp_path / "run")) == content(reference.run)
    assert not list((tmp_path / "run" / "journal").rglob("*.parts*"))
    assert set(stored(run).values()) == {1}
    for command in ("status", "doctor"):
        here, there = (json.loads(call(command, path, "--json").out) for path in (run, str(reference.run)))
        if command == "doctor":
            assert here["checked"] == there["checked"]
            assert here["problems"] == []
            continue
        for stage in ("generate", "judge"):
            usage, same = ({s["name"]: s["usage"] for s in told["stages"]}[stage] for told in (here, there))
            assert usage["requests"] == same["requests"] > 0
            assert usage["prompt_tokens"] == same["prompt_tokens"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["generate", "judge"])
def test_killed_at_any_instant(stage, bucket, reference, tmp_path):
    draw, kills, lost = random.Random(f"{SEED} {stage}"), 0, 0
    run = uploaded(reference, f"{bucket}/killed-{stage}", *STAGES[: STAGES.index(stage)])
    with serve(Settings(reply=reply, latency=0.05, spread=1.0)) as server:
        file = settings(tmp_path / "settings.yaml", server.url, encoder=reference.encoder.url)
        while kills < 3:
            before, known = server.stats.answered.total(), stored(run)
            process = launch(stage, run, file, tmp_path / "err")
            if not killed(process, server, before + draw.randint(1, 6), draw.uniform(0, 0.1)):
                break
            kills += 1
            now = stored(run)
            assert known.items() <= now.items()
            lost += server.stats.answered.total() - before - (len(now) - len(known))
            print(f"{len(now)} stored, {len(now) - len(known)} of them new; {lost} were not yet")
        assert kills, (tmp_path / "err").read_text()
        assert launch("run", run, file, tmp_path / "err").wait(120) == 0, (tmp_path / "err").read_text()
        found = stored(run)
        assert set(found.values()) == {1}  # what was stored was not asked for again
        assert server.stats.answered.total() == len(found) + lost
    assert content(downloaded(run, tmp_path / "run")) == content(reference.run)


@pytest.mark.slow
def test_jobs_of_an_array_at_once(bucket, reference, tmp_path):
    """One of two is killed on its way, and started again."""
    run, errs = uploaded(reference, f"{bucket}/jobs", "chunk"), [tmp_path / "err0", tmp_path / "err1"]
    jobs = [("--num-shards", "2", "--shard-index", str(index)) for index in range(2)]
    with serve(Settings(reply=reply, latency=0.05, spread=1.0)) as server:
        file = settings(tmp_path / "settings.yaml", server.url, encoder=reference.encoder.url)
        processes = [launch("run", run, file, err, *job) for job, err in zip(jobs, errs, strict=True)]
        assert killed(processes[0], server, 6, 0.05)
        processes[0] = launch("run", run, file, errs[0], *jobs[0])
        for process, err in zip(processes, errs, strict=True):
            assert process.wait(200) == 0, err.read_text()
    assert set(stored(run).values()) == {1}
    said = call("finish", run)
    assert said.code == 0, said.all
    assert content(downloaded(run, tmp_path / "run")) == content(reference.run)


@pytest.mark.slow
def test_a_batch_is_found_again(bucket, reference, tmp_path, monkeypatch):
    """What is in it is noted in the store before it is created."""
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    run = uploaded(reference, f"{bucket}/batch", "chunk", "embed", "cluster")
    with serve(Settings(reply=reply, batch_polls=2)) as server:
        engine = {"kind": "openai-batch"}
        file = settings(tmp_path / "settings.yaml", server.url, encoder=reference.encoder.url, engine=engine)
        process = launch("generate", run, file, tmp_path / "err")
        while not server.stats.batches and process.poll() is None:
            time.sleep(0.01)
        time.sleep(1)  # it waits for the batch
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert server.stats.batches == 1
        assert launch("generate", run, file, tmp_path / "err").wait(120) == 0, (tmp_path / "err").read_text()
        assert server.stats.batches == 1
    made_here = content(downloaded(run, tmp_path / "run"))
    assert made_here == {name: data for name, data in content(reference.run).items() if name in made_here}
    assert "generate/shard-00000.parquet" in made_here


def test_a_dataset_in_a_store_is_read_as_one_on_disk(bucket, reference):
    run = uploaded(reference, f"{bucket}/dataset", "dataset")
    here, there = (read.find(path) for path in (str(reference.run), run))
    names = {split: [file.name for file in files] for split, files in here.items()}
    assert names == {split: [file.name for file in files] for split, files in there.items()}
    for split in names:
        assert [row for _, row in read.whole_rows(here[split])] == [row for _, row in read.whole_rows(there[split])]
    (train,) = here["train"]
    assert read.find(f"{run}/dataset/data/{train.name}")["train"][0].read_bytes() == train.read_bytes()
    with pytest.raises(InputError, match="s3://runs/nothing: no dataset is there: give a finished run"):
        read.find(f"{bucket}/nothing")


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["generate", "judge"])
def test_a_store_that_fails_is_a_sentence_and_the_run_goes_on(stage, bucket, reference, tmp_path, monkeypatch):
    """The server is gone from one moment to the next, and comes back with what it had stored."""
    with store() as first, serve(Settings(reply=reply, latency=0.05)) as server:
        host, port = first.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        run = uploaded(reference, f"{bucket}/gone-{stage}", *STAGES[: STAGES.index(stage)])
        file = settings(tmp_path / "settings.yaml", server.url, encoder=reference.encoder.url)
        process = launch(stage, run, file, tmp_path / "err")
        while server.stats.answered.total() < 3 and process.poll() is None:
            time.sleep(0.002)
        first.stop()
        assert process.wait(120) == 1
        said = (tmp_path / "err").read_text()
        assert "Traceback" not in said
        assert f"error: {run}/" in said
        assert "the store does not do as asked: Could not connect to the endpoint URL" in said
        assert "run the same command again: what is finished is kept" in said
        with store(port):
            before = stored(run)
            lost = server.stats.answered.total() - len(before)
            assert launch("run", run, file, tmp_path / "err").wait(120) == 0, (tmp_path / "err").read_text()
            found = stored(run)
            assert before.items() <= found.items()
            assert set(found.values()) == {1}
            assert server.stats.answered.total() == len(found) + lost
            assert content(downloaded(run, tmp_path / "run")) == content(reference.run)


def test_training_writes_to_a_disk(reference):
    pytest.importorskip("torch")
    said = call("train", reference.run, "--model", "tiny", "-o", "s3://runs/trained", "--device", "cpu")
    assert said.code == 2
    assert "-o s3://runs/trained: checkpoints are written to a local folder: name one" in said.err


class Denying(BaseHTTPRequestHandler):
    """A store that lets nobody in."""

    def refuse(self) -> None:
        self.send_response(403)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = refuse  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_store_that_denies_access_is_a_sentence(bucket, reference, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Denying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        words = [sys.executable, "-m", "datagen", "status", f"{bucket}/closed"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        read = "from datagen import shards; shards.read_table('s3://runs/closed/chunk/shard-00000.parquet')"
        table = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, timeout=120, check=False)
        server.shutdown()
    assert done.returncode == 1
    assert re.match(
        rf"error: {bucket}/closed\S*: the store denies access: .+\. Give these credentials the right to", done.stderr
    )
    assert "UserError: s3://runs/closed/chunk/shard-00000.parquet: the store denies access" in table.stderr  # no damage


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {},
            "cannot be written: The specified bucket does not exist. Check the name, or make s3://absent: aws s3 mb ",
        ),
        (
            {"AWS_ACCESS_KEY_ID": None},
            "no credentials for the store (Unable to locate credentials). Set them, such as\n",
        ),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "the store does not do as asked: Could not connect to the "),
    ],
)
def test_what_is_wrong_with_an_address_is_a_sentence(change, said, bucket, reference, monkeypatch, tmp_path):
    for name, value in ({"AWS_MAX_ATTEMPTS": "1", "HOME": str(tmp_path)} | change).items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    whole = ("chunk", "-c", reference.root / "settings.yaml", "--input", reference.root / "documents", "-o")
    words = [sys.executable, "-m", "datagen", *map(str, whole), "s3://absent/run"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: s3://absent/run")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
