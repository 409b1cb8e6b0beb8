"""Every command and Python block of the README and the tutorial is run, in a folder such as they speak of."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from datagen.run.run import Run
from datagen.text.quickstart import write_corpus
from tests.servers.openai_server import serve

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/tutorial.md")
SERVER = "http://localhost:8000/v1"  # as the pages write it
ELSEWHERE = ("git", "cd", "source", "python")  # what a person does before: nothing of this project


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The commands of a page's shell blocks, as lists of words."""
    found = []
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("&&"):
                if words := shlex.split(part, comments=True):
                    found.append(words)
    return found


ALL = [(page, words) for page in PAGES for words in commands(page)]
OURS = [(page, words) for page, words in ALL if words[0] == "longrlvr-data"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serve() as running:
        yield running.url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, server: str) -> Path:
    """A folder with the quickstart's run, documents of one's own, and the runs that the pages make of them."""
    here = tmp_path_factory.mktemp("reader")
    corpus = write_corpus(here / "corpus")
    run(here, ["longrlvr-data", "run", "-c", "quickstart", "--input", "corpus", "-o", "runs/quickstart"])
    (here / "my-documents").mkdir()
    for file in sorted(corpus)[:2]:
        file.rename(here / "my-documents" / file.name)
    for _, words in OURS:
        if words[1] == "run":
            run(here, at(server, words))
    return here


def at(server: str, words: list[str]) -> list[str]:
    return [server if word == SERVER else word for word in words]


def run(here: Path, words: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "datagen", *words[1:]],
        cwd=here,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_a_command_is_one_that_is_checked():
    for page, words in ALL:
        assert words[0] in ("longrlvr-data", "make", "pip", *ELSEWHERE), f"{page}: {shlex.join(words)}"


@pytest.mark.parametrize(("page", "words"), OURS, ids=[shlex.join(words)[:70] for _, words in OURS])
def test_a_command_runs(page: str, words: list[str], folder: Path, server: str):
    words = at(server, words)
    if words[1] == "train":  # nobody's tests download a model of 7 billion parameters: all but its steps is run
        words[words.index("--model") + 1] = "tiny"
        words += [
            "--set",
            "train.epochs=null",
            "--steps",
            "0",
            "--set",
            "train.rollout.max_tokens=4",
            "-o",
            f"trained/{words[2]}",
        ]
    run(folder, words)


def test_an_example_is_named_by_a_page():
    pages = "".join(page.read_text(encoding="utf-8") for page in ROOT.glob("docs/*.md"))
    for script in (ROOT / "examples").glob("*.py"):
        assert f"examples/{script.name}" in pages


def example(folder: Path, name: str, *words: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / name), *words]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env, check=True).stdout


def test_an_example_scores_a_response(folder: Path):
    told = example(folder, "reward.py")
    assert "precision=0.5, recall=0.5" in told


def test_an_example_rewards_a_response(folder: Path):
    assert example(folder, "custom_reward.py") == "0.5\n"


def test_an_example_shows_where_the_evidence_is(folder: Path):
    lines = example(folder, "evidence_positions.py", "runs/quickstart").splitlines()
    labelled = sum(
        len(extra["ref_chunks"]) for extra in Run(str(folder / "runs/quickstart")).dataset("train").extra_info
    )
    assert len(lines) == 10
    assert sum(int(line.split()[-1]) for line in lines) == labelled


@pytest.mark.parametrize("target", sorted({words[1] for _, words in ALL if words[0] == "make" and len(words) > 1}))
def test_a_make_target_is_there(target: str):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_extra_that_is_installed_is_there():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for page, words in ALL:
        for names in re.findall(r"\[([\w,]+)\]", " ".join(words) if words[0] == "pip" else ""):
            assert set(names.split(",")) <= set(extras), f"{page}: {shlex.join(words)}"


@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_run(page: str, folder: Path):
    code = "\n".join(blocks(page, "python"))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
