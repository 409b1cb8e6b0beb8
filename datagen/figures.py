"""Figures as a person reads them: rates, prices, times. None that is more than nothing is ever shown as 0."""

from __future__ import annotations

import math
from datetime import timedelta

LEAST_DOLLARS = 1e-6  # below, how many zeros there are tells a person nothing
PERIODS = (("s", 1.0), ("min", 60.0), ("h", 3600.0))


def number(value: float) -> str:
    """Whole from 10 on, else with two digits that tell: 1,234; 3.4; 0.0051."""
    if not value:
        return "0"
    decimals = max(0, 1 - math.floor(math.log10(abs(float(f"{value:.2g}")))))
    return f"{value:,.{decimals}f}"


def rate(per_second: float, unit: str = "") -> str:
    """How many units in the shortest time that sees one: 24 tokens/s, 3.1/min, 0.5/h; empty where there was none."""
    if per_second <= 0:
        return ""
    name, seconds = next(((n, s) for n, s in PERIODS if per_second * s >= 1), PERIODS[-1])
    return f"{number(per_second * seconds)}{unit and ' '}{unit}/{name}"


def dollars(value: float) -> str:
    """Cents, and of less than a dollar at least two digits that tell: $1,234.50, $0.12, $0.0004."""
    if 0 < value < LEAST_DOLLARS:
        return f"under ${LEAST_DOLLARS:f}"
    decimals = 2 if not value or value >= 1 else max(2, 1 - math.floor(math.log10(value)))
    whole, _, cents = f"{value:,.{decimals}f}".partition(".")
    return f"${whole}.{cents.rstrip('0'):0<2}"


def replies(n: int) -> str:
    """How many replies: 1 reply, 1,234 replies."""
    return f"{n:,} {'reply' if n == 1 else 'replies'}"


def seconds(value: float) -> str:
    """Tenths from a second on, while they tell anything; below, two digits: 1,250 s, 26.2 s, 0.0042 s."""
    return f"{value:,.1f} s" if 1 <= value < 100 else f"{number(value)} s"


def clock(value: float) -> str:
    """Hours, minutes and seconds of a time that is only estimated: 0:03:20."""
    return str(timedelta(seconds=round(value)))
