"""What is said of the files of a folder that are not read, and whether they are too many to call the folder read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from datagen.text.files import PassedOver

FEW = 8  # kinds that are named, those with most files first


def told(path: str, passed: Sequence[PassedOver]) -> list[str]:
    """Sentences: how many files of each kind that is known cannot be read, with what helps; then how many others."""
    said = [f"{path}: not read: {each}" for each in by_kind(passed)]
    others = [each for each in passed if not each.extension]
    if others:
        said.append(f"{path}: passed over {len(others):,} files of other kinds, such as {others[0]}")
    return said


def by_kind(passed: Sequence[PassedOver]) -> list[str]:
    """How many files of each kind that is known cannot be read, with what helps; `FEW` kinds are named."""
    unread = unreadable(passed)
    counts = Counter(map(_kind, unread))
    said = []
    for kind, n in sorted(counts.most_common(FEW), key=lambda each: (-each[1], each[0])):
        first = next(each for each in unread if _kind(each) == kind)
        help = f". What helps: {first.help}" if first.help else ""
        said.append(f"{n:,} {kind}{'s' * (n != 1)}, such as {first.name}{help}")
    if len(counts) > FEW:
        rest = sum(n for _, n in counts.most_common()[FEW:])
        said.append(f"{rest:,} files of {len(counts) - FEW:,} more kinds")
    return said


def unreadable(passed: Sequence[PassedOver]) -> list[PassedOver]:
    """Those of a kind that is known and cannot be read, and those that may not be read."""
    return [each for each in passed if each.extension]


def _kind(each: PassedOver) -> str:
    return f"{each.extension} {'folder' if each.name.endswith('/') else 'file'}"
