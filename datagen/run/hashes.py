"""The content hashes of a run's input files, kept by size and times, so that resuming reads no file twice.

A wrong one would say that the input has changed. So a checksum stands beside them, and what it does not vouch for is
made again of the files themselves.
"""

from __future__ import annotations

from typing import Any

from datagen import shards
from datagen.errors import DamagedFile
from datagen.run import identity
from datagen.run.paths import RunPaths


def load(run: RunPaths) -> dict[str, Any]:
    """The hashes that are kept, by file; none of those that an earlier version kept without a checksum.

    Raises DamagedFile where these are not what was kept.
    """
    stored = shards.read_object(run.input_hashes) or {}
    if set(stored) != {"files", "sha256"}:
        return {}
    if stored["sha256"] != identity.digest(stored["files"]):
        raise DamagedFile(run.input_hashes, "some of its bytes have changed since it was written")
    return stored["files"]


def save(run: RunPaths, files: dict[str, Any]) -> None:
    """Keep these hashes."""
    shards.write_json(run.input_hashes, {"files": files, "sha256": identity.digest(files)})
