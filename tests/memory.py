"""The peak memory of a command."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

# A process is charged with what the one it was forked from held, which for a test runner may be a lot: a small one
# stands between.
_LAUNCHER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@dataclass(frozen=True)
class Measured:
    code: int
    stderr: str
    peak: float  # MB, counted as Linux does


def python(*args: str) -> Measured:
    """What became of `python ARGS`, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", _LAUNCHER, sys.executable, *args], capture_output=True, text=True)
    return Measured(done.returncode, done.stderr, int(done.stdout.split()[-1]) / 1024)
