"""What is exported, and the folder that it is written to: beside its place, and renamed into it when whole."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datagen import shards
from datagen.errors import ConfigError, UserError

RECORD = "export.json"  # what the folder was made of
_UNFINISHED = re.compile(r"\.longrlvr-export-([0-9]+)\.unfinished")


@dataclass(frozen=True)
class Options:
    """What is exported to whom, for which model; the Hub needs none."""

    dataset: str
    to: str
    output_dir: str
    model: str | None
    verifier: str
    max_prompt_tokens: int
    max_response_tokens: int


def new(given: str) -> Path:
    """The folder to make. Raises ConfigError unless there is none, or an empty one."""
    if "://" in given or "::" in given:
        raise ConfigError(f"-o {given}: an export is written to a local folder: copy it from there")
    try:
        target = Path(given).expanduser().absolute()
        os.lstat(target)  # what no disk takes for a name is refused here
        taken = target.is_symlink() or not target.is_dir() or any(target.iterdir())
        if taken or target.samefile(os.curdir):
            raise ConfigError(
                f"-o {given}: it is there already, and nothing there is overwritten: give another folder, or remove it "
                "first if you do not need it any more, checkpoints and all"
            )
    except FileNotFoundError:
        return target
    except (OSError, RuntimeError, ValueError) as e:
        raise ConfigError(f"-o {given!r}: no such folder can be made: {getattr(e, 'strerror', None) or e}") from e
    return target


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """A folder to write, which stands in the place of `target`, as `new` gave it, once it is whole; or nothing does.

    Raises UserError where the place is taken meanwhile, or the disk refuses.
    """
    with shards.writing(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
    unfinished = target.parent / f".longrlvr-export-{os.getpid()}.unfinished"
    shards.remove(str(unfinished))  # left by another process of this number
    try:
        yield unfinished
        try:
            os.rename(unfinished, target)
        except OSError as e:
            raise UserError(f"{target} cannot be made: {e.strerror}. Give another folder with -o") from e
    finally:
        shards.remove(str(unfinished))


def _sweep(folder: Path) -> None:
    """Remove what exports left that were killed while they wrote."""
    for path in folder.iterdir():
        if found := _UNFINISHED.fullmatch(path.name):
            try:
                os.kill(int(found[1]), 0)
            except ProcessLookupError:
                shards.remove(str(path))
            except PermissionError:
                pass
