"""What a batch job is: requests that are sent together, written down before they are."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass, field, fields
from typing import Any

from datagen import shards
from datagen.errors import DamagedFile, UserError
from datagen.llm.base import Request

_TYPES = {"str": str, "float": (int, float), "dict[str, int]": dict, "list[str]": list}


@dataclass
class BatchJob:
    """Requests sent together. `attempts`, by request key, counts this one."""

    key: str
    url: str
    sent: float
    attempts: dict[str, int]
    lacks: list[str]
    file: str = ""  # the server's ids, once they are known; without a file there is no batch either
    batch: str = ""

    def path(self, folder: str) -> str:
        """Its file in a stage's folder."""
        return shards.join(folder, f"{self.key}.json")

    def save(self, folder: str) -> None:
        """Write it down, durably."""
        shards.write_json(self.path(folder), vars(self))

    @classmethod
    def load(cls, path: str) -> BatchJob:
        """What `save` wrote. Raises UserError for a file that holds anything else."""
        try:
            found = cls(**(shards.read_object(path) or {}))
            if not all(isinstance(getattr(found, f.name), _TYPES[f.type]) for f in fields(cls)):
                raise TypeError("a field is of another type")
        except (DamagedFile, TypeError) as e:
            why = e.reason if isinstance(e, DamagedFile) else e
            raise UserError(
                f"{path} is damaged ({why}): it is about a batch at the server, which is paid for: put it back from a "
                f"copy. To submit what was in it anew instead: rm {shlex.quote(path)}"
            ) from e
        return found


@dataclass
class Draft:
    """A job being packed. Its lines go to a file, as a batch may be larger than memory likes."""

    lines: Any = field(default_factory=tempfile.TemporaryFile)
    size: int = 0
    wanted: dict[str, Request] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
