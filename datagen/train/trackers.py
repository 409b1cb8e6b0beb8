"""Where metrics go besides metrics.jsonl, on request: TensorBoard, Weights & Biases."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datagen import shards
from datagen.config.train import TrainConfig
from datagen.errors import ConfigError
from datagen.extras import require

Row = dict[str, float]  # its numbers, with `step`
Tracker = tuple[Callable[[Row], Any], Callable[[bool], Any]]  # takes a row; is closed, and told whether the run failed
RUN = "wandb-run"  # the file with its name, by which it goes on when the training does


def asked_for(settings: TrainConfig, folder: Path) -> list[Tracker]:
    """Raises MissingExtra, and ConfigError where there is no account to write to."""
    found = [tensorboard(folder)] if settings.tensorboard else []
    return [*found, wandb(settings, folder)] if settings.wandb else found


def tensorboard(folder: Path) -> Tracker:
    """A tracker that writes to `folder`/tensorboard, a row at a time. Raises MissingExtra, and UserError where the disk
    refuses. (The writer of torch writes from a thread of its own, in which that would be a traceback.)
    """
    require("train.tensorboard", "train", "tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboard.summary.writer.record_writer import RecordWriter

    path = folder / "tensorboard" / f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
    with shards.writing(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = RecordWriter(open(path, "wb"))  # noqa: SIM115  # open as long as the run lasts

    def add(**of: Any) -> None:
        with shards.writing(str(path)):
            file.write(Event(wall_time=time.time(), **of).SerializeToString())
            file.flush()

    def write(row: Row) -> None:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in row.items() if name != "step"]
        add(step=int(row["step"]), summary=Summary(value=values))

    def close(failed: bool) -> None:
        with shards.writing(str(path)):
            file.close()

    add(file_version="brain.Event:2")
    return write, close


def wandb(settings: TrainConfig, folder: Path) -> Tracker:
    """A tracker that writes to a run of Weights & Biases, the same one after a resumption.

    Raises MissingExtra, and ConfigError where the run cannot be begun: no account, no network.
    """
    require("train.wandb", "wandb", "wandb")
    import wandb as api

    name = folder / RUN
    if not name.exists():
        shards.write_bytes(str(name), uuid.uuid4().hex.encode())
    quiet = api.Settings(silent=True, console="off")
    config = settings.model_dump(mode="json")
    how: dict[str, Any] = {"id": name.read_text(), "resume": "allow", "dir": str(folder), "settings": quiet}
    try:
        run = api.init(project=settings.wandb, name=os.path.basename(folder.resolve()), config=config, **how)
    except api.Error as e:
        raise ConfigError(
            f"train.wandb: {str(e).splitlines()[0]} With WANDB_MODE=offline it is written to {folder}/wandb, for "
            "`wandb sync`"
        ) from e
    run.define_metric("*", step_metric="step")
    run.define_metric("sft/*", step_metric="sft/step")
    return run.log, lambda failed: run.finish(exit_code=int(failed))
