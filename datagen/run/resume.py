"""Going on with what is there: is it what would be written now? One rule, for stages and for training."""

from __future__ import annotations

from typing import Literal

from datagen.errors import StaleStage
from datagen.run import identity
from datagen.run.identity import Change, Identity

Resume = Literal["if-possible", "always", "never"]


def check(place: str, stored: Identity | None, wanted: Identity, resume: Resume) -> list[Change]:
    """What differs between the identity that `place` was written under and the one asked for now.

    Raises StaleStage, naming every difference, if there is one and `resume` is not "always".
    """
    found = identity.changes(stored, wanted) if stored else []
    if found and resume != "always":
        lines = [f"{place} was written under other settings:", *(f"  {change}" for change in found)]
        raise StaleStage("\n".join(lines), wanted.stage)
    return found
