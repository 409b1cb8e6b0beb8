"""What import-linter does not see; it checks the direction of imports from `make lint`."""

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


def test_a_worker_that_cuts_chunks_loads_no_torch():
    """Only the stages that embed pay for it."""
    code = "import sys, datagen.commands.running, datagen.stages, datagen.dataset.write; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
