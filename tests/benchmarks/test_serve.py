"""The benchmark of `serve` runs, and its last line is what it found."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_it_says_what_serve_adds():
    command = [sys.executable, "-m", "benchmarks.serve", "--requests", "8", "--chars", "4000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["clients_1"]["serve_ms"] > 0
    assert found["rss_late_mb"] > 10
