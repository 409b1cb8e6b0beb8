"""How a run went, as a picture of characters: for a terminal, a pipe and a log file alike."""

from __future__ import annotations

import json
from pathlib import Path

WIDTH, HEIGHT = 60, 10
MARKS = {"recall": "●", "answer": "·"}
NAMES = {"recall": "labelled chunks that are cited", "answer": "right answers"}


def read(metrics: Path) -> dict[str, list[float]]:
    """By name, the values of each step in a metrics.jsonl that has them."""
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    found = {name: [row[name] for row in rows if row.get(name) is not None] for name in MARKS}
    return {name: values for name, values in found.items() if values}


def draw(series: dict[str, list[float]]) -> str:
    """Values from 0 to 1 over the steps, as lines of characters; a column is the mean of the steps that it covers."""
    canvas = [[" "] * WIDTH for _ in range(HEIGHT + 1)]
    steps = max(map(len, series.values()))
    for name in reversed(series):
        for column, value in enumerate(_columns(series[name])):
            canvas[HEIGHT - round(value * HEIGHT)][column] = MARKS[name]
    axis = {0: "1.0", HEIGHT // 2: "0.5", HEIGHT: "0.0"}
    lines = [f"{axis.get(i, ''):>4} │{''.join(line).rstrip()}" for i, line in enumerate(canvas)]
    lines.append(f"     └{'─' * min(WIDTH, steps)} step {steps}")
    lines += [f"     {MARKS[name]} {NAMES[name]}: {_ends(values)}" for name, values in series.items()]
    return "\n".join(lines)


def _columns(values: list[float]) -> list[float]:
    n = min(WIDTH, len(values))
    parts = [values[i * len(values) // n : (i + 1) * len(values) // n] for i in range(n)]
    return [sum(part) / len(part) for part in parts]


def _ends(values: list[float]) -> str:
    last = values[-min(len(values), 10) :]
    return f"{values[0]:.2f} at first, {sum(last) / len(last):.2f} at the end (mean of {len(last)} steps)"
