"""What a dataset was made from, as it may be shown to anybody: no place on a disk, no address of a server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datagen import shards
from datagen.dataset.schema import SPLITS
from datagen.errors import InputError, reason
from datagen.run.paths import CARD, DATA, PROVENANCE
from datagen.run.tables import TABLES

HEADER = ("license", "license_name", "license_link", "language", "pretty_name")  # what a card says that is taken over
_STAGE = ("identity", "settings", "fingerprints", "mixed", "ledger", "trial")
_LINK = "dataset.license_link"  # the one address that is meant to be read
_CARD = re.compile(r"---\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)
_PLACE = re.compile(r"(?:[A-Za-z][\w+.-]*://|[A-Za-z]:[\\/]|[~/\\]|\.{1,2}[/\\])")
_PLACE_WITHIN = re.compile(rf"(?<![\w.]){_PLACE.pattern}[^\s\"']*")
_PREFIX = re.compile(r"[A-Za-z]\w+:")
_FOLDERS = re.compile(r"\S+?[/\\]\S+?[/\\]\S*")  # a model of the hub has one slash in its name


@dataclass(frozen=True)
class Origin:
    """What is known of a dataset besides its rows."""

    header: dict[str, Any]  # of its card
    provenance: dict[str, Any] | None


def of(files: dict[str, list[Path]]) -> Origin:
    """What the card and `provenance.json` beside a dataset's files say. A file that lies by itself has neither.

    Raises InputError for a card or a provenance that cannot be read.
    """
    first = files["train"][0]
    if first.parent.name == DATA:
        folder = first.parent.parent
    elif any(first.name.startswith(split) for split in SPLITS):
        folder = first.parent
    else:
        return Origin({}, None)
    return Origin(header_of(folder / CARD), _provenance(folder / PROVENANCE))


def shareable(value: Any) -> Any:
    """The value with the last part alone of what is a path or an address, wherever it stands in it."""
    if isinstance(value, dict):
        return {name: each if name == _LINK else shareable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shareable(each) for each in value]
    if not isinstance(value, str):
        return value
    if _PLACE.match(value):
        return _last(value)
    if (prefixed := _PREFIX.match(value)) and _PLACE.match(value, prefixed.end()):  # as in hf:/home/…
        return prefixed[0] + _last(value[prefixed.end() :])
    shown = _PLACE_WITHIN.sub(lambda found: _last(found[0]), value)
    return _last(shown) if _FOLDERS.fullmatch(shown) else shown


def _last(place: str) -> str:
    """The last part that has a name; of an address, never its server."""
    path = re.sub(r"^[A-Za-z][\w+.-]*://[^/]*|[?#].*", "", place)
    return next((part for part in reversed(re.split(r"[/\\]", path)) if part.strip("~.")), "…")


def header_of(card: Path) -> dict[str, Any]:
    """What the header of a card says of `HEADER`; nothing where there is no card. Raises InputError as `of` does."""
    if not card.exists():
        return {}
    try:
        found = _CARD.match(card.read_text(encoding="utf-8"))
        header = yaml.safe_load(found[1]) if found else {}
    except (OSError, ValueError, yaml.YAMLError) as e:
        raise InputError(f"{card}: its header cannot be read as YAML: {reason(e)}. Put it right") from e
    if not isinstance(header, dict):
        raise InputError(f"{card}: its header is no list of names and values: put it right, or remove it")
    return {name: header[name] for name in HEADER if header.get(name)}


def _provenance(file: Path) -> dict[str, Any] | None:
    found = shards.read_object(str(file))
    if found is None:
        return None
    try:
        stages = {
            name: {part: found["stages"][name][part] for part in _STAGE if part in found["stages"][name]}
            for name in TABLES  # in the order of the work
            if name in found["stages"]
        }
        kept = {"made_by": found["made_by"], "dataset": found["dataset"], "prompt": found["prompt"], "stages": stages}
        shown: dict[str, Any] = shareable(kept)
        _ = [(stage["mixed"], stage["ledger"], stage["settings"]) for stage in shown["stages"].values()]
        _ = shown["stages"]["select"]
    except (KeyError, TypeError, AttributeError) as e:
        raise InputError(
            f"{file}: it is of another version, or was changed ({e}): run `longrlvr-data select` again, or remove it "
            "to export without it"
        ) from e
    return shown
