"""The folder of a training run: its checkpoints in order, and the way on without a damaged one.

A checkpoint is named `step-000050` after 50 batches of rollouts, `step-000050-2` after two optimizer steps on the next
one, and `warm-000050` within the warm start.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from datagen import checksums
from datagen.errors import UserError
from datagen.train.parallel import World

CHECKPOINTS, REFERENCE = "checkpoints", "reference"
NAME = re.compile(r"(warm|step)-(\d{6,})(?:-(\d+))?")


def latest(folder: Path) -> Path | None:
    """The last checkpoint of the run in this folder."""
    found = checkpoints(folder / CHECKPOINTS)
    return found[-1] if found else None


def steps(saved: Path) -> int:
    """After how many batches of rollouts a checkpoint was saved."""
    name = NAME.fullmatch(saved.name)
    return int(name[2]) if name and name[1] == "step" else 0


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the latest last; what else lies there is passed over."""
    found = [(match, path) for path in folder.glob("*-*") if (match := NAME.fullmatch(path.name)) and path.is_dir()]
    return [path for match, path in sorted(found, key=lambda pair: _place(pair[0]))]


def _place(name: re.Match[str]) -> tuple[bool, int, int]:
    return name[1] == "step", int(name[2]), int(name[3] or 0)


def verify(saved: Path, world: World) -> None:
    """Hold a checkpoint or the reference against its checksums, on one rank. Raises UserError with the way on."""
    for path, problem in checksums.check(saved) if world.is_main else ():
        if problem:
            raise unusable(saved, f"{path.name}: {problem}")
    world.wait()


def unusable(saved: Path, reason: str) -> UserError:
    """That a checkpoint, or the reference, cannot be used, and the commands there are to go on."""
    there = checkpoints(saved.parent)
    before = there[: there.index(saved)] if saved in there else []
    aside = f"  mv {shlex.quote(str(saved))} {shlex.quote(f'{saved}-damaged')}"
    if before:
        way = f"To go on from the checkpoint before it, {before[-1].name}, put it aside and run the same command again:"
        return UserError(f"{saved} cannot be used ({reason}). {way}\n{aside}")
    way = "There is none before it: restore it from a copy, or start over with --resume never"
    return UserError(f"{saved} cannot be used ({reason}). {way}")
