"""The trainer learns: `make train` teaches a small model, which can do all but find its evidence, to find it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_make_train_shows_learning(tmp_path):
    """Six topics of sixteen chunks, of which a third are cited by luck; an answer needs all six, in order."""
    installed = ["-o", f"{sys.prefix}/.run-installed", f"VENV={sys.prefix}"]  # nothing is installed by the test
    done = subprocess.run(
        ["make", *installed, f"WORLD={tmp_path}", "train"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = [json.loads(line) for line in (tmp_path / "longrlvr" / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "reward" in row]
    assert steps[0]["recall"] < 0.5
    assert steps[0]["answer"] == 0
    last = {name: sum(row[name] for row in steps[-10:]) / 10 for name in ("recall", "answer", "format")}
    assert last["recall"] > 0.9
    assert last["answer"] > 0.5
    assert last["format"] > 0.9
    assert "● labelled chunks that are cited: " in done.stdout
    assert str(tmp_path / "longrlvr" / "metrics.jsonl") in done.stdout
