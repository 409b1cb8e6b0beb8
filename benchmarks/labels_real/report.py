"""What came of it: tables for a person, one object for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from .asked import Outcome, by_strings
from .data import CHECKS, DIFFERENT, LANGUAGES, SAME, Pair

ORDER = ("right", "wrong", "unreadable")


def count(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many were right, wrong, unreadable."""
    counted = Counter({True: "right", False: "wrong", None: "unreadable"}[outcome.right] for outcome in outcomes)
    return {name: counted[name] for name in ORDER}


def checks_table(outcomes: Sequence[Outcome]) -> list[str]:
    """A line a check: what it said of those that should pass, of those that should be rejected, and by language."""
    halves = [f"should be {half}: " + " · ".join(ORDER) for half in ("kept", "rejected")]
    lines = [f"{'check':<14}{halves[0]:<46}{halves[1]:<50}" + "".join(f"{name:>9}" for name in LANGUAGES)]
    for name in CHECKS:
        of = [outcome for outcome in outcomes if outcome.asked == name]
        if not of:
            continue
        cells = []
        for should, width in (("pass", 46), ("reject", 50)):
            counted = count(o for o in of if o.should == should)
            shown = " · ".join(str(n) for n in counted.values()) if sum(counted.values()) else "–"
            cells.append(f"{shown:<{width}}")
        lines.append(f"{name:<14}" + "".join(cells) + "".join(f"{_share(of, each):>9}" for each in LANGUAGES))
    return lines


def kinds_table(outcomes: Sequence[Outcome]) -> list[str]:
    """A line a kind of candidate: how often each check was right about it."""
    kinds = list(dict.fromkeys(outcome.kind for outcome in outcomes if outcome.asked in CHECKS))
    lines = [f"{'kind of candidate':<34}" + "".join(f"{name:>14}" for name in CHECKS)]
    for kind in kinds:
        of = [outcome for outcome in outcomes if outcome.kind == kind]
        cells = [_share([outcome for outcome in of if outcome.asked == name]) for name in CHECKS]
        lines.append(f"{kind:<34}" + "".join(f"{cell:>14}" for cell in cells))
    return lines


def grader_table(outcomes: Sequence[Outcome]) -> list[str]:
    """A line a kind of pair, and what it comes to for those that are the same and those that are not."""
    of = [outcome for outcome in outcomes if outcome.asked == "grade"]
    lines = [f"{'kind of pair':<28}{'right':>8}" + "".join(f"{name:>9}" for name in LANGUAGES)]
    groups = [(kind, [o for o in of if o.kind == kind]) for kind in (*SAME, *DIFFERENT)]
    groups += [(f"all that are {which}", [o for o in of if o.should == which]) for which in ("same", "different")]
    for name, some in groups:
        if some:
            lines.append(f"{name:<28}{_share(some):>8}" + "".join(f"{_share(some, each):>9}" for each in LANGUAGES))
    return lines


def grader(outcomes: Sequence[Outcome], pairs: Sequence[Pair]) -> dict[str, int]:
    """The grader's figures: the model's alone, and the judge's, which asks it only where strings can't tell."""
    of = {outcome.id: outcome for outcome in outcomes if outcome.asked == "grade"}
    counted, asked = count(of.values()), [pair for pair in pairs if pair.id in of]
    both = [said if (said := by_strings(pair)) is not None else of[pair.id].right for pair in asked]
    return {
        "right": counted["right"],
        "pairs": len(of),
        "unreadable": counted["unreadable"],
        "right_with_strings": sum(said is True for said in both),
    }


def summary(outcomes: Sequence[Outcome], pairs: Sequence[Pair]) -> dict[str, Any]:
    """Of one arm: `grader`, and `checks` by name."""
    names = [name for name in CHECKS if any(outcome.asked == name for outcome in outcomes)]
    checks = {name: count(o for o in outcomes if o.asked == name) for name in names}
    return {"grader": grader(outcomes, pairs), "checks": checks}


def markdown(*arms: Sequence[Outcome]) -> list[str]:
    """The table of the documentation: what was right in each arm, one behind the other, of what was asked in all."""
    common = set.intersection(*({(o.id, o.asked) for o in arm} for arm in arms))
    arms = tuple([o for o in arm if (o.id, o.asked) in common] for arm in arms)
    lines = ["| | right, of those that should pass | of those that should not | unreadable |", "| --- " * 4 + "|"]
    for name in (*CHECKS, "grade"):
        cells = []
        for should in ("same", "different") if name == "grade" else ("pass", "reject"):
            cells.append([_share([o for o in arm if o.asked == name and o.should == should]) for arm in arms])
        cells.append([str(count(o for o in arm if o.asked == name)["unreadable"]) for arm in arms])
        lines.append(f"| `{name}` | {' | '.join(map(' → '.join, cells))} |")
    return lines


def _share(outcomes: Sequence[Outcome], language: str = "") -> str:
    of = [outcome for outcome in outcomes if not language or outcome.language == language]
    return f"{count(of)['right']}/{len(of)}" if of else "–"
