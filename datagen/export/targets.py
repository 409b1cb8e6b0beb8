"""What goes to which trainer, besides the reward and the rows: the files of a folder of `templates/`.

A template holds `{{name}}` where an export writes a value: quoted as the file's language wants it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
_PLACE = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True)
class Target:
    """A trainer, the version that the export was tried with, and what is run first in its folder."""

    name: str
    version: str
    start: str
    package: str = ""  # the folder that rows and reward are in, where it is not the export's own


TARGETS: dict[str, Target] = {
    "verl": Target("verl", "0.9.1", "python selfcheck.py && bash run_verl.sh"),
    "trl": Target("TRL", "1.16.0", "python selfcheck.py && accelerate launch train_trl.py"),
    "openrlhf": Target("OpenRLHF", "0.11.2", "python selfcheck.py && bash run_openrlhf.sh"),
    "slime": Target("slime", "0.3.1", "python selfcheck.py && bash run_slime.sh"),
    "verifiers": Target("verifiers", "0.4.0", "pip install -e . && python selfcheck.py", "longrlvr_env"),
    "jsonl": Target("JSON lines", "", ""),
}


def files(target: str, values: Mapping[str, str | int]) -> dict[str, str]:
    """The files of a target's templates by their path in the export, with the values in their places."""
    folder = TEMPLATES / target
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): _filled(path, values) for path in paths}


def _filled(path: Path, values: Mapping[str, str | int]) -> str:
    quoted = _QUOTED.get(path.suffix, str)

    def value(place: re.Match[str]) -> str:
        found = values[place[1]]
        return str(found) if place[1] == "version" else quoted(found)  # a version stands in comments

    return _PLACE.sub(value, path.read_text(encoding="utf-8"))


_QUOTED: dict[str, Callable[[str | int], str]] = {
    ".sh": lambda value: shlex.quote(str(value)),
    ".py": repr,
    ".toml": lambda value: json.dumps(value, ensure_ascii=False),
    ".md": lambda value: f"{value:,}" if isinstance(value, int) else value,
}
