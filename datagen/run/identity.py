"""What a stage's folder is: a hash of everything that changes its bytes, kept with the parts that went into it.

Cf. marin's execution/fingerprint.py: identity is what changes bytes, not where it runs. Here the parts are stored
beside the hash, so that a mismatch can name the setting that changed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from datagen import shards
from datagen.errors import UserError


@dataclass(frozen=True)
class Identity:
    """`settings` by dotted name, `facts` by what a person calls them, `upstream` hashes by stage."""

    stage: str
    version: int
    schema: str
    settings: dict[str, Any]
    facts: dict[str, Any]
    upstream: dict[str, str]
    mixed: list[dict[str, Any]] = field(default_factory=list)  # earlier parts whose shards were kept on request

    @property
    def digest(self) -> str:
        return digest(asdict(self))


@dataclass(frozen=True)
class Change:
    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.name}: {_short(self.old)} there, {_short(self.new)} now"


def digest(value: Any) -> str:
    """sha256 of the canonical JSON. Raises TypeError on a value that has no stable serialisation."""
    try:
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as e:  # NaN, or text that UTF-8 cannot hold
        raise TypeError(f"no stable serialisation: {e}") from e
    return hashlib.sha256(text).hexdigest()


def changes(old: Identity, new: Identity) -> list[Change]:
    """What differs, settings first; `mixed` is history and not compared."""
    found = [
        Change(name, before.get(name), after.get(name))
        for before, after in ((old.settings, new.settings), (old.facts, new.facts))
        for name in sorted(before.keys() | after.keys())
        if digest(before.get(name)) != digest(after.get(name))  # as stored: a tuple comes back as a list
    ]
    if old.version != new.version:
        found.append(Change(f"version of the {new.stage} stage's code", old.version, new.version))
    if old.schema != new.schema:
        found.append(Change(f"columns of {new.stage}", old.schema[:12], new.schema[:12]))
    found += [
        Change(f"output of {name}", old.upstream.get(name), new.upstream[name])
        for name in new.upstream
        if old.upstream.get(name) != new.upstream[name]
    ]
    return found


def load(folder: str) -> Identity | None:
    """The identity a stage's folder was written under, or None if there is none yet."""
    stored = shards.read_json(shards.join(folder, "stage.json"))
    if stored is None:
        return None
    stored.pop("identity", None)
    try:
        return Identity(**stored)
    except TypeError as e:
        raise UserError(f"{folder} is of another version of longrlvr-data: choose another --output-dir") from e


def save(folder: str, identity: Identity) -> None:
    shards.write_json(shards.join(folder, "stage.json"), {"identity": identity.digest, **asdict(identity)})


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    is_hash = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    return text[:12] if is_hash else text if len(text) <= 60 else text[:57] + "…"
