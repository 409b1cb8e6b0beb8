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
from datagen.config import renamed
from datagen.config.model import default
from datagen.errors import DamagedFile, UserError

FILE = "stage.json"  # in the folder of what it is the identity of
RENAMED = {"facts": "fingerprints"}  # parts of an identity: old name → new name


@dataclass(frozen=True)
class Identity:
    """`settings` by dotted name, `fingerprints` of content by what a person calls it, `upstream` hashes by stage."""

    stage: str
    version: int
    schema: str
    settings: dict[str, Any]
    fingerprints: dict[str, Any]
    upstream: dict[str, str]
    mixed: list[dict[str, Any]] = field(default_factory=list)  # earlier parts whose shards were kept on request
    stored: str = field(default="", compare=False)  # the digest it was saved under: names in it may be others by now

    @property
    def digest(self) -> str:
        """The hash that is the folder's identity: as it was saved, else of the parts."""
        return self.stored or digest(self.parts)

    @property
    def parts(self) -> dict[str, Any]:
        """What the digest is of."""
        return {k: v for k, v in asdict(self).items() if k != "stored"}


@dataclass(frozen=True)
class Change:
    """A part of an identity that differs."""

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
    """What differs, settings first; `mixed` is history and not compared.

    A setting that the earlier version did not have yet counts as its default; one that counts no longer is no change,
    but what made it so is one, be it another setting or another version of the code. A fingerprint that stood under
    another name, such as that of a file since renamed, is no change.
    """
    settings = {name: value for name, value in new.settings.items() if not _is_new(name, value, old.settings)}
    counting = {name: value for name, value in old.settings.items() if _counts(name, new.settings)}
    pairs = ((counting, settings), (_renamed(old.fingerprints, new.fingerprints), new.fingerprints))
    found = [
        Change(name, before.get(name), after.get(name))
        for before, after in pairs
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


def _is_new(name: str, value: Any, old: dict[str, Any]) -> bool:
    """Whether a setting was not known earlier, and stands at its default."""
    if name in old:
        return False
    try:
        return digest(value) == digest(default(name))
    except AttributeError:  # no setting of the configuration
        return False


def _counts(name: str, settings: dict[str, Any]) -> bool:
    """Whether a setting is among these, or its section is, which may have been left out since."""
    parts = name.split(".")
    return any(".".join(parts[:n]) in settings for n in range(1, len(parts) + 1))


def _renamed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The old fingerprints, under the new name where the same value stands under another one now."""
    gone = {digest(value): name for name, value in old.items() if name not in new}
    moved = {gone[d]: name for name, value in new.items() if name not in old and (d := digest(value)) in gone}
    return {moved.get(name, name): value for name, value in old.items()}


def load(folder: str) -> Identity | None:
    """The identity a stage's folder was written under, or None if there is none yet.

    Names that settings and parts had in earlier versions are read as those of today, and make no change.
    Raises DamagedFile where the parts are not those that the hash was made of, UserError for a file that this version
    cannot read.
    """
    stored = shards.read_object(shards.join(folder, FILE))
    if stored is None:
        return None
    kinds = {"settings": dict, "fingerprints": dict, "facts": dict, "upstream": dict, "mixed": list}
    for name, kind in kinds.items():
        if name in stored and not isinstance(stored[name], kind):
            raise DamagedFile(shards.join(folder, FILE), f"{name} is no {kind.__name__}")
    try:
        saved_as = stored.pop("identity")
        if saved_as != digest(stored):
            raise DamagedFile(shards.join(folder, FILE), "its hash is not that of its parts")
        stored["mixed"] = [_in_new_names(earlier) for earlier in stored["mixed"]]
        return Identity(**_in_new_names(stored), stored=saved_as)
    except (KeyError, TypeError, AttributeError) as e:
        raise UserError(f"{folder} is of another version of longrlvr-data: choose another --output-dir") from e


def problem(stored: Identity | None, origin: dict[str, str], place: str) -> str:
    """Why a shard with this origin is none of this folder's at `place`, such as "chunk/shard-00000"; empty if it is.

    An earlier version wrote no origin, and did not note the identities of shards that were kept on request.
    """
    if not origin or stored is None:
        return ""
    if origin.get("place") != place:
        return f"it is {origin.get('place')} under another name"
    known = [stored.digest, *(earlier.get("identity") for earlier in stored.mixed)]
    if None in known or origin.get("identity") in known:
        return ""
    return "it was written by another run, or under other settings"


def save(folder: str, identity: Identity) -> None:
    """Write an identity to a stage's folder."""
    shards.write_json(shards.join(folder, FILE), {"identity": identity.digest, **identity.parts})


def _in_new_names(parts: dict[str, Any]) -> dict[str, Any]:
    """The parts of an identity, which an earlier version may have written."""
    parts = {RENAMED.get(name, name): value for name, value in parts.items()}
    return parts | {"settings": {renamed.current(name): value for name, value in parts["settings"].items()}}


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    is_hash = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    return text[:12] if is_hash else text if len(text) <= 60 else text[:57] + "…"
