"""What import-linter does not see; it checks the direction of imports from `make lint`."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_LINES = 400


def test_no_file_is_too_long():
    long = {
        str(file.relative_to(ROOT)): lines
        for file in (ROOT / "datagen").rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_no_group_is_repeated_possessively():
    """Python 3.11.0 to 3.11.4 match `(?:ab?c)++` wrongly (https://github.com/python/cpython/issues/106052)."""
    possessive = re.compile(r"\)(?:[*+?]|\{+\d*,?\d*\}+)\+")
    assert not [file.name for file in (ROOT / "datagen").rglob("*.py") if possessive.search(file.read_text("utf-8"))]


def test_a_worker_that_cuts_chunks_loads_no_torch():
    """Only the stages that embed pay for it."""
    code = "import sys, datagen.commands.running, datagen.stages, datagen.dataset.write; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
