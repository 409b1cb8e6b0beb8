"""The cells of a row of a file of predictions, each checked as it is read."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from datagen.errors import InputError

_NOTHING: Any = object()
_ALONE = re.compile("[\ud800-\udfff]")  # half of a pair, which no file can hold


@dataclass(frozen=True, slots=True)
class Values:
    """A row: its cells by column. `flat`: of a CSV file, whose cells are all text, an empty one being none.

    What is read with a default may be absent or null. Every method raises InputError, which names file, row and column,
    for a cell of another kind.
    """

    cells: dict[str, Any]
    file: str
    number: int
    flat: bool

    def wrong(self, message: str) -> InputError:
        """The error that this row is damaged."""
        return InputError(f"{self.file}, row {self.number}: {message}")

    def text(self, name: str, default: str = _NOTHING) -> str:
        """A text."""
        found = self._found(name, default)
        if not isinstance(found, str):
            raise self.wrong(f"`{name}` is a text, and not {_told(found)}")
        return _ALONE.sub(lambda half: ascii(half[0])[1:-1], found)

    def text_or_none(self, name: str) -> str | None:
        """A text, or null."""
        return None if self.cells.get(name, _NOTHING) is None else self.text(name)

    def label(self, name: str) -> str:
        """A text or a whole number, as a text."""
        found = self._found(name, _NOTHING)
        return str(found) if isinstance(found, int) and not isinstance(found, bool) else self.text(name)

    def texts(self, name: str, default: list[str] = _NOTHING) -> list[str]:
        """A list of texts; a text alone is a list of one, and in CSV a list is JSON. Without a default, never empty."""
        found = self._found(name, default)
        if isinstance(found, str):
            found = self._json(name, found) if self.flat and found.startswith("[") else [found]
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self.wrong(f"`{name}` is a list of texts, and not {_told(found)}")
        if default is _NOTHING and not any(each.strip() for each in found):
            raise self.wrong(f"`{name}` is empty")
        return found

    def letter(self, name: str, allowed: str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", found: str | None = None) -> str:
        """The letter of an option."""
        found = (self.text(name) if found is None else found).strip().upper()
        if len(found) != 1 or found not in allowed:
            raise self.wrong(f"`{name}` is a letter from A to {allowed[-1]}, and not {found[:40]!r}")
        return found

    def boolean(self, name: str) -> bool | None:
        """True, false, or null."""
        found = self._found(name, None)
        if self.flat and isinstance(found, str) and found.lower() in ("true", "false"):
            return found.lower() == "true"
        if found is not None and not isinstance(found, bool):
            raise self.wrong(f"`{name}` is true or false, and not {_told(found)}")
        return found

    def integer(self, name: str) -> int | None:
        """A whole number, or null."""
        found = self._found(name, None)
        found = self._json(name, found) if self.flat and isinstance(found, str) else found
        if isinstance(found, float) and math.isnan(found):
            return None
        if isinstance(found, float) and found.is_integer():  # of a column with nulls
            found = int(found)
        if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
            raise self.wrong(f"`{name}` is a whole number, and not {_told(found)}")
        return found

    def share(self, name: str) -> float | None:
        """A number from 0 to 1, or null."""
        found = self._found(name, None)
        found = self._json(name, found) if self.flat and isinstance(found, str) else found
        if isinstance(found, float) and math.isnan(found):
            return None
        if found is not None and (
            isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found <= 1
        ):
            raise self.wrong(f"`{name}` is a number from 0 to 1, and not {_told(found)}")
        return found

    def integers(self, name: str) -> list[int] | None:
        """A list of whole numbers that are not negative, or null; in CSV it is JSON."""
        found = self._found(name, None)
        found = self._json(name, found) if self.flat and isinstance(found, str) else found
        if found is None:
            return None
        if not isinstance(found, list) or not all(type(each) is int and each >= 0 for each in found):
            raise self.wrong(f"`{name}` is a list of chunk numbers, and not {_told(found)}")
        return found

    def _found(self, name: str, default: Any) -> Any:
        found = self.cells.get(name)
        if found is None or (self.flat and found == "" and default is not _NOTHING):
            if default is _NOTHING:
                raise self.wrong(f"`{name}` is missing" if name not in self.cells else f"`{name}` is null")
            return default
        return found

    def _json(self, name: str, found: str) -> Any:
        try:
            return json.loads(found)
        except (ValueError, RecursionError):
            raise self.wrong(f"`{name}` is no number and no list as JSON: {_told(found)}") from None


def _told(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= 60 else f"{told[:60]}…"
