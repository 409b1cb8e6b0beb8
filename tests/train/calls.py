"""`longrlvr-data train` in this process, on the CPU, and what it prints."""

from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from datagen.cli import app


def config(folder: Path, **train: Any) -> Path:
    """A file with these settings of `train`."""
    (folder / "c.yaml").write_text(yaml.safe_dump({"train": train}))
    return folder / "c.yaml"


def train(data: Path, *words: Any, code: int = 0) -> str:
    """What the command prints, on one line; it must end with this exit code, and no error of its own."""
    done = CliRunner().invoke(app, ["train", str(data), "--device", "cpu", *map(str, words)])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return " ".join(done.output.split())
