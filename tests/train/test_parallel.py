"""Ranks and the process that started them."""

import signal
import subprocess
import sys

import torch

from datagen.train.parallel import World
from tests.train import ranks

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


def adds_up(world: World) -> None:
    apart = World(world.rank, world.size, torch.device("meta"))  # which keeps no numbers
    apart.wait()
    assert apart.sum({"a": world.rank + 1.0, "b": 0.5}) == {"a": 3.0, "b": 1.0}
    assert apart.any(world.rank == 1)
    assert apart.gather(apart.share(["a", "b", "c"])) == ["a", "b", "c"]


def test_what_ranks_tell_each_other_does_not_go_by_way_of_their_devices():
    """A GPU that waits for another by itself is busy, and gives up after minutes."""
    ranks.run(f"{__name__}:adds_up", 2, "cpu")
