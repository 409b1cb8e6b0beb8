"""The pipeline with a real language model, on two chapters: `make test-real`.

REAL_URL       a server that is there already; else one is started, which takes
REAL_GGUF      the model's file, and
REAL_PYTHON    an interpreter with xllamacpp
REAL_MODEL     the model's name on the server
REAL_CHAPTERS  text files of one's own, in a folder; default: the chapters of benchmarks/labels_real
REAL_RUN       where the run is, and goes on from if it was interrupted; default: a temporary folder
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.labels_real.data import CHAPTERS
from datagen import shards
from datagen.records import Candidate, Dropped, Judgement
from tests.test_crashes import results

pytestmark = pytest.mark.real

HERE = Path(__file__).parent
MODEL = os.environ.get("REAL_MODEL", "qwen2.5-coder-1.5b-instruct")
CONTEXT = 8192  # tokens; chunks and clusters are small, so that no prompt comes near it
PER_CLUSTER, AT_LEAST = 4, 24  # candidates
BEFORE_A_KILL = 5  # replies on disk
CACHED = 0.7  # share of prompt tokens that a server with one slot finds in its cache
CONFIG = """
chunk: {max_tokens: 200, documents_per_shard: 1}
embed: {device: cpu}
cluster: {min_cohesion: 0.3, min_cluster_size: 3, max_cluster_size: 6, max_clusters: 6}
engine: {model: MODEL, timeout: 1800, patience: 1800, endpoints: [{base_url: "URL", max_concurrency: 1}]}
generate: {method: llm, candidates: PER_CLUSTER, max_evidence: 3, sampling: {temperature: 0.8, max_tokens: 400}}
judge: {method: llm, min_rating: 0, neighbours: 4, sampling: {max_tokens: 400}}
select: {min_rating: 0, per_cluster: 4, per_document: 16}
dataset: {name: real, license: cc0-1.0}
"""


@dataclass
class Real:
    """A run that was killed while it generated, and while it judged, and then brought to its end."""

    folder: Path
    kept: dict[Path, bytes] = field(default_factory=dict)  # the journals as a kill left them

    def command(self, name: str, *options: str) -> list[str]:
        return [sys.executable, "-m", "datagen", name, *options]

    def run(self, *options: str) -> list[str]:
        corpus = str(self.folder / "corpus")
        run = ["-c", str(self.folder / "config.yaml"), "--input", corpus, "-o", str(self.folder / "run")]
        return self.command("run", *run, "--workers", "1", *options)

    def status(self) -> dict[str, dict]:
        """The stages by name, as `status --json` has them."""
        done = subprocess.run(
            self.command("status", str(self.folder / "run"), "--json"), capture_output=True, check=True
        )
        return {stage["name"]: stage for stage in json.loads(done.stdout)["stages"]}

    def journals(self, stage: str) -> list[Path]:
        return sorted((self.folder / "run" / "journal" / stage).rglob("*.jsonl"))

    def rows(self, stage: str, record: type, table: str = "") -> list:
        folder = shards.join(str(self.folder / "run"), stage, table) if table else str(self.folder / "run" / stage)
        return [row for name in shards.names(folder) for row in shards.read_rows(f"{folder}/{name}.parquet", record)]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a server with the model."""
    if given := os.environ.get("REAL_URL"):
        yield given
        return
    command = [os.environ["REAL_PYTHON"], str(HERE / "serve_model.py"), os.environ["REAL_GGUF"]]
    with open(tmp_path_factory.mktemp("server") / "log", "wb") as log:
        server = subprocess.Popen(
            [*command, "--name", MODEL, "--context", str(CONTEXT)], stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert server.stdout
        address = next((line.strip() for line in server.stdout if line.startswith("http")), None)
        assert address, f"the server ended before it listened: see {log.name}"
        yield address
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def real(url: str, tmp_path_factory: pytest.TempPathFactory) -> Real:
    made = Real(Path(os.environ.get("REAL_RUN") or tmp_path_factory.mktemp("real")))
    corpus = made.folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    given = os.environ.get("REAL_CHAPTERS")
    for file in sorted(Path(given).iterdir()) if given else (CHAPTERS / "en.txt", CHAPTERS / "fr.txt"):
        shutil.copy(file, corpus)
    config = CONFIG.replace("MODEL", MODEL).replace("URL", url).replace("PER_CLUSTER", str(PER_CLUSTER))
    (made.folder / "config.yaml").write_text(config)
    for stage in ("generate", "judge"):
        kill_during(made, stage)
    with open(made.folder / "said.txt", "ab") as said:
        code = subprocess.run(made.run(), stderr=said).returncode
    # 3: some rows failed; 1: a weak model may write no question that passes, and then there is no dataset
    ended = code in (0, 3) or (code == 1 and "no row is left for a dataset" in (made.folder / "said.txt").read_text())
    assert ended, (made.folder / "said.txt").read_text()
    return made


def kill_during(real: Real, stage: str) -> None:
    """Kill the run once a stage has some replies on disk, or let it end if it never has so many."""
    if real.journals(stage):  # it was killed, or went further, when this was last tried
        return
    with open(real.folder / "said.txt", "ab") as said:
        process = subprocess.Popen(real.run(), stderr=said, start_new_session=True)
    while process.poll() is None:
        if sum(file.read_bytes().count(b"\n") for file in real.journals(stage)) >= BEFORE_A_KILL:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            real.kept |= {file: file.read_bytes() for file in real.journals(stage)}
        time.sleep(0.1)
    assert process.returncode in (0, -signal.SIGKILL), (real.folder / "said.txt").read_text()


def test_candidates_are_written_and_every_one_is_accounted_for(real: Real):
    stages = real.status()
    wanted = PER_CLUSTER * stages["cluster"]["rows"]
    assert wanted >= AT_LEAST
    made, left = real.rows("generate", Candidate), real.rows("generate", Dropped, "dropped")
    assert len(made) + sum(row.unit == "candidate" for row in left) == wanted
    assert made
    for row in made:
        assert row.question.strip(), row
        assert row.answer.strip(), row
        assert len(set(row.ref_chunks)) >= 2, row


def test_the_ledger_adds_up(real: Real):
    for stage in real.status().values():
        assert stage["pending"] == 0, stage["name"]
        for entry in stage["ledger"].values():
            left = sum(entry["rejected"].values()) + sum(entry["failed"].values())
            assert entry["in"] == entry["kept"] + left, stage["name"]
    judged = real.rows("judge", Judgement), real.rows("judge", Dropped, "dropped")
    assert sum(map(len, judged)) == len(real.rows("generate", Candidate))


def test_what_was_on_disk_at_a_kill_is_not_asked_again(real: Real):
    if not real.kept:
        pytest.skip("this run was finished before: give another REAL_RUN")
    for file, before in real.kept.items():
        whole = before[: before.rfind(b"\n") + 1]
        assert file.read_bytes().startswith(whole), file
    for stage in ("generate", "judge"):
        answered = [json.loads(line) for file in real.journals(stage) for line in file.read_bytes().splitlines()]
        keys = [reply["key"] for reply in answered if not reply.get("error")]
        assert len(keys) == len(set(keys)), stage


def test_the_journal_gives_the_same_rows_without_a_model(real: Real, tmp_path: Path):
    again = Real(tmp_path / "again")
    shutil.copytree(real.folder, again.folder)
    for stage in ("generate", "judge", "select", "dataset"):
        shutil.rmtree(again.folder / "run" / stage, ignore_errors=True)
    subprocess.run(again.run("--offline"))
    assert results(again.folder / "run") == results(real.folder / "run")


def test_a_server_with_one_slot_finds_most_of_a_prompt_in_its_cache(real: Real):
    if os.environ.get("REAL_URL"):
        pytest.skip("whether that server has a prefix cache, and others ask it too, is not known")
    for stage in ("generate", "judge"):
        usage = real.status()[stage]["usage"]
        assert usage["cached_tokens"] / usage["prompt_tokens"] >= CACHED, stage


def test_status_shows_what_it_took_and_what_came_of_it(real: Real):
    """The figures are there, for a program and for a person, who reads the rows with `-rP`."""
    for stage in ("generate", "judge"):
        usage = real.status()[stage]["usage"]
        assert usage["requests"] > 0, stage
        assert usage["prompt_tokens"] > usage["completion_tokens"] > 0, stage
    shown = subprocess.run(real.command("status", str(real.folder / "run")), capture_output=True, text=True, check=True)
    assert "prompt tokens" in shown.stderr + shown.stdout
    print(shown.stdout, shown.stderr)
    kept = {row.qa_id for row in real.rows("judge", Judgement)}
    why = {row.row_id: f"{row.reason}: {row.detail}" for row in real.rows("judge", Dropped, "dropped")}
    for row in real.rows("generate", Candidate):
        fate = "kept" if row.qa_id in kept else why[row.qa_id]
        print(f"\n{row.qa_id}  {fate}\n  {row.question}\n  {row.answer}   {row.ref_chunks}")
