"""One process a GPU under torchrun: which are there, what they tell each other, and the model spread over them.

Parameters and gradients are whole on every GPU while a step uses them; what lies between steps, and the optimizer's
state, is in shards (FSDP2). Ranks may run any number of prompts and responses in a step without waiting for each other:
they meet once, when the gradients are added up.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from datagen import signals

LAUNCHER = "LONGRLVR_LAUNCHER"  # names the process that the ranks were started by
# Ranks sample and verify apart, and one saves for all, for as long as it takes. If one dies, torchrun ends the others.
PATIENCE = timedelta(days=1)
SAVING = 600  # seconds that ranks have for their step and for saving once they are told to end


@dataclass(frozen=True)
class World:
    """This rank among all: its number, how many there are, and its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this is the rank that writes files and speaks."""
        return self.rank == 0

    def share(self, items: list[Any]) -> list[Any]:
        """This rank's part of what all ranks have in the same order."""
        return items[self.rank :: self.size]

    def gather(self, mine: list[Any]) -> list[Any]:
        """The results for all items, in their order, from each rank's for its `share`."""
        if self.size == 1:
            return mine
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, mine)
        n = sum(map(len, parts))
        return [parts[i % self.size][i // self.size] for i in range(n)]

    def sum(self, values: dict[str, float]) -> dict[str, float]:
        """Sums over all ranks, which give the same names."""
        if self.size == 1 or not values:
            return values
        total = torch.tensor([values[name] for name in sorted(values)], dtype=torch.float64)  # not by way of the GPU
        dist.all_reduce(total)
        return dict(zip(sorted(values), total.tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        return self.sum({"flag": float(flag)})["flag"] > 0

    def wait(self) -> None:
        """Wait until all ranks are here."""
        self.sum({"here": 1.0})


def launch(processes: int, arguments: list[str]) -> int:
    """Run this program in so many ranks, as torchrun does, and return the exit code of the first that failed, or 0.

    What politely asks to end is passed on to the ranks, which end when they have saved. If this process is killed in
    any other way, they end at once.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ[LAUNCHER] = str(os.getpid())
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the ranks say what is wrong
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        signals_to_handle=",".join(signal.Signals(number).name for number in signals.polite()),
        shutdown_timeout=SAVING,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "datagen", *arguments)
    except ChildFailedError as e:
        return e.get_first_failure()[1].exitcode
    except SignalException:
        return 128 + signal.SIGINT
    return 0


def end_with_launcher() -> None:
    """From now on, end this rank as soon as the process that started it is gone: there is nobody else to do so, and it
    holds a GPU and the run's lock.
    """
    launcher = int(os.environ.get(LAUNCHER, os.getppid()))
    threading.Thread(target=_watch, args=(launcher,), daemon=True).start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:  # another one adopts what a process leaves behind
        time.sleep(0.5)
    os._exit(1)  # the main thread may wait for a rank that is gone, too


@contextmanager
def process_group(device: str) -> Iterator[World]:
    """This process's place under torchrun, or the only one."""
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_RANK", 0))
    if "RANK" in os.environ:
        end_with_launcher()
    on = torch.device(f"cuda:{local}" if device == "cuda" else device)
    if on.type == "cuda":
        torch.cuda.set_device(on)
    how: dict[str, Any] = {"backend": "cpu:gloo,cuda:nccl" if on.type == "cuda" else "gloo", "timeout": PATIENCE}
    if "RANK" not in os.environ:
        how |= {"store": torch.distributed.HashStore(), "rank": 0, "world_size": 1}  # pyright: ignore
    dist.init_process_group(**how)
    try:
        yield World(rank, size, on)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def shard(model: Any, world: World, dtype: torch.dtype) -> bool:
    """Shard a model of float32 parameters, which computes in `dtype` from then on. Returns whether that was needed."""
    if world.size == 1 and dtype == torch.float32:
        return False
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    # Layers return keys and values, which are views. Nothing here changes a tensor in place.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor", UserWarning)
    mesh = init_device_mesh(world.device.type, (world.size,))
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    options: dict[str, Any] = {"mesh": mesh, "mp_policy": policy, "reshard_after_forward": False}
    for layer in model.model.layers:
        fully_shard(layer, **options)
    fully_shard(model, **options)
    return True


def is_sharded(model: Any) -> bool:
    """Whether `shard` divided this model among the ranks."""
    from torch.distributed.fsdp import FSDPModule

    return isinstance(model, FSDPModule)


@contextmanager
def unshard(model: Any) -> Iterator[None]:
    """Within, parameters are whole on this rank, and gradients add up unsent (see `sync_gradients`)."""
    from torch.distributed.fsdp import FSDPModule

    parts: list[Any] = [m for m in model.modules() if isinstance(m, FSDPModule)]
    for part in parts:
        part.set_reshard_after_backward(False, recurse=False)
        part.set_requires_gradient_sync(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.set_requires_gradient_sync(True, recurse=False)
            part.reshard()


@contextmanager
def sync_gradients(model: Any) -> Iterator[None]:
    """A backward pass within it, the same on all ranks, adds up the gradients of all of them."""
    from torch.distributed.fsdp import FSDPModule

    parts: list[Any] = [m for m in model.modules() if isinstance(m, FSDPModule)]
    for part in parts:
        part.set_requires_gradient_sync(True, recurse=False)
    yield


def norm(parameters: list[nn.Parameter], limit: float) -> float:
    """Clip the gradients to a length and return what it was."""
    total: Any = torch.nn.utils.clip_grad_norm_(parameters, limit)
    whole: Tensor = total.full_tensor() if hasattr(total, "full_tensor") else total
    return whole.item()
