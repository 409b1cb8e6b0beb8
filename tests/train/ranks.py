"""Several ranks that run a function of the tests, as the trainer's launcher starts them."""

import importlib
import os
import socket
import subprocess
import sys

from datagen.train import parallel


def run(function: str, ranks: int, device: str, *arguments: str) -> str:
    """What rank 0 prints when every rank calls `module:name` with its world and the arguments. All must succeed."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    shared = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    shared |= {"OMP_NUM_THREADS": "1", parallel.LAUNCHER: str(os.getpid())}
    command = [sys.executable, "-m", "tests.train.ranks", function, device, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [
        subprocess.Popen(command, env=shared | {"RANK": str(i), "LOCAL_RANK": str(i)}, **pipes) for i in range(ranks)
    ]
    try:
        told = [process.communicate(timeout=600)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0] * ranks, "\n".join(told)
    return told[0]


if __name__ == "__main__":
    module, _, name = sys.argv[1].partition(":")
    with parallel.process_group(sys.argv[2]) as world:
        getattr(importlib.import_module(module), name)(world, *sys.argv[3:])
