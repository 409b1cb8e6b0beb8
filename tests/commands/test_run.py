import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from datagen import shards
from datagen.commands import configuration
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.errors import ConfigError, EngineError, UserError
from datagen.run.run import Run
from datagen.stages import COMMANDS, STAGES
from tests.commands.calls import call, cli, contents, times, with_settings


def test_no_input_is_a_matter_of_configuration(tmp_path):
    for name in ("run", "chunk"):
        result = call(name, "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert result.stderr == (
            "error: no input: give --input (a file, a folder, '-' or hf://owner/name), or set input.path:\n"
            f"  longrlvr-data {name} -o {tmp_path}/run --input PATH\n"
        )
    assert not (tmp_path / "run").exists()


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
        f"error: {tmp_path}/run/chunk is not there yet: "
        f"run `longrlvr-data chunk -o {tmp_path}/run --input PATH` first\n"
    )


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
        assert re.search(rf"\b{s.name} \(\d+ {s.table.input_unit}s\)", redone)
    assert re.search(r", which took [\d.]+ s\.$", redone)
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
        assert "error: interrupted" in said
    kept = times(run)
    assert call("run", "-o", run, "--workers", "1").exit_code == 0
    after = times(run)
    assert all(after[name] == written for name, written in kept.items() if name.endswith(".parquet"))
    for folder in ("dataset", *(s.name for s in STAGES)):
        assert contents(run / folder, "*.parquet") == contents(place / "run" / folder, "*.parquet")


def test_a_file_overlays_the_settings_of_the_run(run, tmp_path):
    """A file with one key changes that one; the others stay as the run has them."""
    (tmp_path / "one.yaml").write_text("select: {min_rating: 3.5}")
    result = call("run", "-c", tmp_path / "one.yaml", "-o", run, "--workers", "1")
    assert result.exit_code == 2
    assert re.findall(r"^  (\S+): .* there", result.stderr, re.MULTILINE) == ["select.min_rating"]


def test_a_setting_by_its_name(run):
    result = call("run", "-o", run, "--set", "chunk.max_tokens=48")
    assert result.exit_code == 2
    advice = [line for line in result.stderr.splitlines() if "--resume never" in line]
    first, *others = [command.strip() for line in advice for command in line.split(" && ")]
    assert first == f"longrlvr-data chunk -o {run} --set chunk.max_tokens=48 --resume never"
    assert others == [f"longrlvr-data {name} -o {run} --resume never" for name in list(COMMANDS)[1:]]
    result = call("run", "-o", run, "--set", "chunk.max_tokns=48")
    assert result.exit_code == 2
    assert "did you mean chunk.max_tokens" in result.stderr


@pytest.mark.parametrize(
    "given",
    [
        ("--set", "generate.method=llm", "--set", "judge.method=llm"),  # names no model
        ("--set", "judge.method=llm", "--model", "m", "--set", "judge.prompts={quality: no-such-prompt}", "--offline"),
        ("--set", "select.decontaminate=[no-such-file]"),
    ],
)
def test_starting_over_removes_nothing_that_cannot_be_made_again(run, given):
    before = times(run)
    assert call("run", "-o", run, "--resume", "never", *given).exit_code != 0
    assert times(run) == before


NO_ENCODER = [
    ("--set", "embed.model=minilm", "--set", "embed.device=cuda:99"),
    ("--set", "embed.model=m", "--set", "embed.endpoints=[{base_url: 'http://nowhere/v1', api_key_env: NO_SUCH_KEY}]"),
]


@pytest.mark.parametrize("given", NO_ENCODER)
def test_a_missing_encoder_is_found_before_any_work(place, run, given, tmp_path):
    before = times(run)
    result = call("judge", "-o", run, "--resume", "never", *given)
    assert (result.exit_code, times(run)) == (2, before)
    assert call("run", "-o", run, "--resume", "never", *given).exit_code == 2
    assert times(run) == before
    new = tmp_path / "new"
    assert call("run", "--input", place / "documents", "-o", new, *given).exit_code == 2
    assert not new.exists()


def test_what_is_finished_needs_no_encoder(run):
    for name in ("run", "judge", "cluster"):
        assert call(name, "-o", run, "--set", "embed.device=cuda:99").exit_code == 0
    assert call("select", "-o", run, "--set", "embed.device=cuda:99", "--resume", "never").exit_code == 0


def test_an_old_name_is_said_where_a_person_wrote_it_and_once(run, tmp_path):
    """A run that an earlier version saved is read in silence, by every command."""
    own = (run / "config.yaml").read_text(encoding="utf-8")
    assert "max_parse_retries" in own
    (run / "config.yaml").write_text(own.replace("max_parse_retries", "max_rereads"), encoding="utf-8")
    for args in (("status", run), ("select", "-o", run, "--explain", "calls.txt"), ("cluster", "-o", run)):
        result = call(*args)
        assert (result.exit_code, result.stderr) == (0, ""), result.stderr
    mine = tmp_path / "mine.yaml"
    mine.write_text("judge: {max_rereads: 3}")
    result = call("cluster", "-o", run, "-c", mine)
    assert result.stderr == f"{mine}: judge.max_rereads is now called judge.max_parse_retries\n"
    assert "max_rereads" not in (run / "config.yaml").read_text(encoding="utf-8")


ASKING = ("--set", "generate.method=llm", "--set", "judge.method=llm", "--model", "m")


def test_a_dry_run_leaves_the_settings_of_a_run_alone(run):
    before = (run / "config.yaml").read_bytes()
    for name in ("generate", "run"):
        result = call(name, "-o", run, *ASKING, "--dry-run", "--base-url", "http://nowhere/v1")
        assert (result.exit_code, (run / "config.yaml").read_bytes()) == (0, before), result.stderr
    assert call("run", "-o", run).exit_code == 0


def test_a_dry_run_of_a_new_run_keeps_the_settings_that_its_chunks_were_made_with(place, tmp_path):
    given = ("-c", place / "settings.yaml", "--input", place / "documents", "-o", tmp_path / "run", "--workers", "1")
    assert call("run", *given, *ASKING, "--dry-run", "--base-url", "http://nowhere/v1").exit_code == 0
    assert call("chunk", "-o", tmp_path / "run").exit_code == 0


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), ConfigError("wrong"), ZeroDivisionError()])
def test_settings_by_which_nothing_was_made_are_not_kept(tmp_path, stopped):
    with suppress(type(stopped)), configuration.kept(str(tmp_path / "run"), Config(), "chunk"):
        assert (tmp_path / "run" / "config.yaml").exists()
        raise stopped
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_settings_by_which_something_was_made_are_kept_though_its_first_part_was_taken_away(tmp_path):
    """A person removed the chunks while they were embedded: what was made of them stays, and so does what it is of."""
    with suppress(UserError), configuration.kept(str(tmp_path / "run"), Config(), "chunk"):
        shards.write_bytes(str(tmp_path / "run" / "embed" / "shard-00000.parquet"), b"")
        raise UserError("chunk/shard-00000.parquet is missing")
    assert (tmp_path / "run" / "config.yaml").exists()


def test_settings_that_are_kept_already_are_not_written_again(tmp_path):
    """On a full disk that would hide what stopped the work."""
    run = Run(str(tmp_path))
    run.save_config(Config())
    before = Path(run.settings).stat().st_mtime_ns
    run.save_config(Config())
    assert Path(run.settings).stat().st_mtime_ns == before
    run.save_config(Config(seed=5))
    assert run.config.seed == 5


def test_the_seed_counts_for_clusters_that_are_drawn_at_random(run):
    assert call("cluster", "-o", run, "--seed", "7").exit_code == 0
    published = ("--set", "cluster.published=true", "--workers", "1")
    assert call("cluster", "-o", run, *published, "--resume", "never").exit_code == 0
    result = call("cluster", "-o", run, *published, "--seed", "8")
    assert result.exit_code == 2
    assert "seed: 7 there, 8 now" in result.stderr


def test_the_published_rule_on_a_run_brings_its_own_similarity(run):
    result = call("cluster", "-o", run, "--set", "cluster.published=true")
    assert result.exit_code == 2
    assert "cluster.min_similarity: not set there, 0.7 now" in result.stderr
    result = call("cluster", "-o", run, "--set", "cluster.published=true", "--set", "cluster.min_similarity=0.6")
    assert result.exit_code == 2
    assert "cluster.min_similarity: not set there, 0.6 now" in result.stderr


def test_settings_by_which_something_was_paid_for_are_kept_though_the_work_stopped(run):
    """So that the same command can be given again, without all that was given with it."""
    given = {"max_cost": 3.0, "engine.price.prompt": 1.0}
    journal = Path(Run(str(run)).journal("generate", "shard-00000"))
    journal.parent.mkdir(parents=True)
    for reply, kept in (("a reply\n", 3.0), ("", 3.0), ("another\n", 4.0)):
        config = configs.merge(Run(str(run)).config, given)
        with suppress(EngineError), configuration.kept(str(run), config, "generate"):
            journal.open("a").write(reply)
            raise EngineError("the server is gone")
        assert Run(str(run)).config.max_cost == kept
        given["max_cost"] = 4.0


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("mkdir gone; cd gone; rmdir ../gone", "error: the working directory is no longer there: `cd` to one that is"),
        ("ulimit -n 12", "error: 12 open files at once are too few: allow more, `ulimit -n 1024`, and"),
    ],
)
def test_what_the_machine_lacks_is_a_sentence(tmp_path, before, said):
    (tmp_path / "a.txt").write_text("The mill stood by the river.")
    command = f"{before}; {sys.executable} -m datagen run -c quickstart --input {tmp_path}/a.txt -o run"
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, env=env)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert said in " ".join(done.stderr.split())
