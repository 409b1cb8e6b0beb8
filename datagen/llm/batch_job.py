"""What a batch job is: requests that are sent together, written down before they are."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass, field
from typing import Any

from datagen import shards
from datagen.errors import DamagedFile, UserError
from datagen.llm.base import Request

_KINDS = {"key": str, "url": str, "sent": (int, float), "attempts": dict, "lacks": list, "file": str, "batch": str}


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
        """What `save` wrote. Raises UserError for anything else: the batch may be on its way, and paid for."""
        try:
            stored = shards.read_object(path) or {}
        except DamagedFile:
            stored = {}
        if stored.keys() != _KINDS.keys() or not all(isinstance(stored[name], kind) for name, kind in _KINDS.items()):
            raise UserError(
                f"{path} is damaged. It tells of a batch, which goes on at the server and is paid for: put it back "
                f"from a copy. To submit what was in it anew instead: rm {shlex.quote(path)}"
            )
        return cls(**stored)


@dataclass
class Draft:
    """A job being packed. Its lines go to a file, as a batch may be larger than memory likes."""

    lines: Any = field(default_factory=tempfile.TemporaryFile)
    size: int = 0
    wanted: dict[str, Request] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
