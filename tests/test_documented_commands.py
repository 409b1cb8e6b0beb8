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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the quickstart's run and documents of one's own."""
    here = tmp_path_factory.mktemp("reader")
    corpus = write_corpus(here / "corpus")
    run(here, ["longrlvr-data", "run", "-c", "quickstart", "--input", "corpus", "-o", "runs/quickstart"])
    (here / "my-documents").mkdir()
    for file in sorted(corpus)[:2]:
        file.rename(here / "my-documents" / file.name)
    return here


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serve() as running:
        yield running.url


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
    words = [server if word == SERVER else word for word in words]
    if words[1] == "train":  # nobody's tests download a model of 7 billion parameters: all but its steps is run
        words[words.index("--model") + 1] = "tiny"
        words += ["--steps", "0", "--set", "train.rollout.max_tokens=4", "-o", "trained"]
    run(folder, words)


def test_a_script_is_there_and_named_by_a_page():
    pages = "".join((ROOT / page).read_text(encoding="utf-8") for page in ROOT.glob("docs/*.md"))
    for script in (ROOT / "examples").glob("*.py"):
        assert f"examples/{script.name}" in pages


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
