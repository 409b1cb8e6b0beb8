import shutil
from pathlib import Path

import pytest
from typer.testing import Result

from tests.chronicle import chronicle
from tests.commands.calls import call, with_settings


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two documents, each with a chronicle, and a configuration; then the run over them, in `run`."""
    topics = pytest.importorskip("pydoc_data.topics").topics
    folder = tmp_path_factory.mktemp("cli")
    (folder / "documents").mkdir()
    for name in ("execmodel", "calls"):
        text = f"{topics[name]}\n\n{chronicle(24, seed=name == 'calls')}"
        (folder / "documents" / f"{name}.txt").write_text(text, encoding="utf-8")
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
