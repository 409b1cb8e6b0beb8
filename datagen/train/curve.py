"""How a run went, as a picture of characters: for a terminal, a pipe and a log file alike.

    python -m datagen.train.curve RUN ...

draws the citations of several runs, each the folder of a training run, in one picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

from datagen.train import log
from datagen.train.log import METRICS

WIDTH, HEIGHT = 60, 10
MARKS = "●·○+"
NAMES = {"recall": "labelled chunks that are cited", "answer": "right answers"}


def read(metrics: Path) -> dict[str, list[float]]:
    """From a metrics.jsonl the values of each step, by what they are; without what it has no values of.

    Raises UserError where a line is damaged.
    """
    rows = log.read(metrics)
    found = {told: [row[name] for row in rows if row.get(name) is not None] for name, told in NAMES.items()}
    return {told: values for told, values in found.items() if values}


def citations(runs: list[Path]) -> dict[str, list[float]]:
    """The share of labelled chunks that each run's responses cite, by the name of its folder."""
    cited = NAMES["recall"]
    return {f"{run.name}: {cited}": read(run / METRICS)[cited] for run in runs}


def draw(series: dict[str, list[float]]) -> str:
    """Values from 0 to 1 over the steps, as lines of characters; a column is the mean of the steps that it covers.

    The first of the series is drawn over the others. There are at most as many as MARKS.
    """
    canvas = [[" "] * WIDTH for _ in range(HEIGHT + 1)]
    steps = max(map(len, series.values()))
    marked = list(zip(MARKS, series.items(), strict=False))
    for mark, (_, values) in reversed(marked):
        for column, value in enumerate(_columns(values)):
            canvas[HEIGHT - round(value * HEIGHT)][column] = mark
    axis = {0: "1.0", HEIGHT // 2: "0.5", HEIGHT: "0.0"}
    lines = [f"{axis.get(i, ''):>4} │{''.join(line).rstrip()}" for i, line in enumerate(canvas)]
    lines.append(f"     └{'─' * min(WIDTH, steps)} step {steps}")
    lines += [f"     {mark} {name}: {_ends(values)}" for mark, (name, values) in marked]
    return "\n".join(lines)


def _columns(values: list[float]) -> list[float]:
    n = min(WIDTH, len(values))
    parts = [values[i * len(values) // n : (i + 1) * len(values) // n] for i in range(n)]
    return [sum(part) / len(part) for part in parts]


def _ends(values: list[float]) -> str:
    last = values[-min(len(values), 10) :]
    return f"{values[0]:.2f} at first, {sum(last) / len(last):.2f} at the end (mean of {len(last)} steps)"


if __name__ == "__main__":
    print(draw(citations([Path(run) for run in sys.argv[1:]])))
