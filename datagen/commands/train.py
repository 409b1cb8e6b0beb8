"""`train`: GRPO on a dataset's grounding labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, Optional

import typer

from datagen.commands.options import BaseUrl, Json, ResumeMode, Seed, Settings, Verbose

TrainConfig = Annotated[
    Optional[str],
    typer.Option("-c", "--config", metavar="FILE", help="A YAML file, or the name of a bundled configuration."),
]
CheckpointDir = Annotated[
    Optional[str],
    typer.Option(
        "-o", "--output-dir", metavar="DIR", help="Where checkpoints and metrics are written. Default: RUN/train."
    ),
]
Trainee = Annotated[
    Optional[str],
    typer.Option("--model", metavar="NAME", help="The model to train: a name on the hub, a path, or `tiny`."),
]
Reward = Annotated[
    Optional[str],
    typer.Option(
        metavar="KIND",
        help="What is rewarded: longrlvr (the answer and the citations, the default), answer, context, or a "
        "function of your own, my_package.my_module:name.",
    ),
]
Steps = Annotated[Optional[int], typer.Option("--steps", min=0, metavar="N", help="Number of rollout batches.")]
SftSteps = Annotated[
    Optional[int],
    typer.Option(
        "--sft-steps", min=0, metavar="N", help="Number of supervised steps on gold outputs before the first rollout."
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"],
    typer.Option(metavar="DEVICE", help="The device to train on: cpu, cuda, or auto (all GPUs if there are any)."),
]
Processes = Annotated[
    Optional[int],
    typer.Option(
        "--processes", min=1, metavar="N", help="Number of processes. Default: one per GPU, or one without a GPU."
    ),
]


def train(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="A finished run, or a folder with data/train-*.parquet.")
    ],
    config: TrainConfig = None,
    output_dir: CheckpointDir = None,
    model: Trainee = None,
    reward: Reward = None,
    steps: Steps = None,
    sft_steps: SftSteps = None,
    seed: Seed = None,
    set: Settings = None,
    base_url: BaseUrl = None,
    device: Device = "auto",
    processes: Processes = None,
    resume: ResumeMode = "if-possible",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train a language model on a dataset with GRPO.

    \b
    Examples:
      longrlvr-data train runs/mine -c train-tiny
      longrlvr-data train runs/mine -c train-paper --model Qwen/Qwen2.5-7B-Instruct --set train.engine.model=NAME
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    def work(_: Any) -> int:
        from datagen.train import launch  # raises MissingExtra without torch

        with _advised(given):
            return launch.main(launch.Options(**given))

    raise guard.guarded(work, verbose)


@contextmanager
def _advised(given: dict[str, Any]) -> Iterator[None]:
    """Errors end with the commands there are to go on, with the options that were given."""
    from datagen.commands.advice import choices
    from datagen.errors import ConfigError, StaleStage

    try:
        yield
    except StaleStage as e:
        over = _command_line(given, "--resume", "never"), "removes what was trained and starts over"
        on = _command_line(given, "--resume", "always"), "goes on from there with what is asked for now"
        raise StaleStage(f"{e}\n{choices([over, on])}", e.stage) from e
    except ConfigError as e:
        if not e.add:
            raise
        raise ConfigError(f"{e}:\n  {_command_line(given, *e.add)}") from e


def _command_line(given: dict[str, Any], *more: str) -> str:
    """The command again, with more options; what is at its default is left out."""
    import shlex

    from datagen.commands.advice import NAME

    words = [NAME, "train", given["dataset"]]
    for name in (
        "config",
        "output_dir",
        "model",
        "reward",
        "steps",
        "sft_steps",
        "seed",
        "set",
        "base_url",
        "processes",
    ):
        for value in given[name] if isinstance(given[name], list) else [given[name]]:
            if value is not None:
                words += [f"--{name.replace('_', '-')}", str(value)]
    if given["device"] != "auto":
        words += ["--device", given["device"]]
    return shlex.join([*words, *more])
