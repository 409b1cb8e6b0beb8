"""Ranks and the process that started them."""

import signal
import subprocess
import sys

CHILD = """
import time
from datagen.train import parallel

parallel.end_with_launcher()
print("watching", flush=True)
time.sleep(3600)
"""
PARENT = f"""
import os, subprocess, sys

os.environ["LONGRLVR_LAUNCHER"] = str(os.getpid())
subprocess.run([sys.executable, "-c", {CHILD!r}])
"""


def test_a_rank_ends_when_its_launcher_was_killed():
    launcher = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout
    assert launcher.stdout.readline() == "watching\n"
    launcher.send_signal(signal.SIGKILL)
    assert launcher.stdout.read() == ""  # at its end only when the rank, too, has closed it
    assert launcher.wait() == -signal.SIGKILL
