"""A threshold of `select` on what the judge found out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """`setting` of `select` bounds a column of `Judgement`: from above if it starts with max_, else from below.

    `reason` is what a row beyond it is left out for, `label` what the figure is called there.
    """

    column: str
    setting: str
    reason: str
    label: str = "share"

    @property
    def is_upper(self) -> bool:
        """Whether values above the setting are left out."""
        return self.setting.startswith("max_")
