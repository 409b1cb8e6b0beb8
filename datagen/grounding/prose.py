"""The reasoning of a response, while the response is being written."""

from __future__ import annotations

SECTIONS = ("<useful_chunks>", "<answer>")
_DROPPED = ("<think>", "</think>")
_TAGS = SECTIONS + _DROPPED
_LONGEST = max(map(len, _TAGS))


class Prose:
    """Gives on what is reasoning, piece by piece: up to the first section, and without the tags around thinking. What
    may be the beginning of a tag is held back until it is known.
    """

    def __init__(self) -> None:
        self.held, self.over = "", False

    def __call__(self, piece: str) -> str:
        """What can be shown after another piece of the response."""
        if self.over:
            return ""
        self.held += piece
        for tag in _DROPPED:
            self.held = self.held.replace(tag, "")
        found = [at for section in SECTIONS if (at := self.held.find(section)) >= 0]
        self.over = bool(found)
        keep = min(found) if found else self._safe()
        shown, self.held = self.held[:keep], self.held[keep:]
        return shown

    def end(self) -> str:
        """What is left to show when the response has ended."""
        shown, self.held = ("" if self.over else self.held), ""
        return shown

    def _safe(self) -> int:
        """How much of what is held cannot be the beginning of a tag."""
        for n in range(min(_LONGEST - 1, len(self.held)), 0, -1):
            if any(tag.startswith(self.held[-n:]) for tag in _TAGS):
                return len(self.held) - n
        return len(self.held)
