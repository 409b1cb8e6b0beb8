"""What a run says: metrics.jsonl, trackers on request, a live table on a terminal, sampled responses as parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.live import Live
from rich.table import Table
from rich.text import Text

from datagen import figures, shards
from datagen.console import Screen
from datagen.errors import UserError
from datagen.grounding import tags
from datagen.train.trackers import Tracker
from datagen.train.types import Group, Split, State

METRICS, SAMPLES = "metrics.jsonl", "samples"
SHOWN = {  # in the table, and how
    "reward": ".3f",
    "answer": ".3f",
    "precision": ".3f",
    "recall": ".3f",
    "fbeta": ".3f",
    "strict": ".3f",  # of a benchmark
    "evidence_recall": ".3f",
    "format": ".3f",
    "entropy": ".3f",
    "kl_ref": ".4f",
    "length": ".0f",
    "loss": ".4f",
    "grad_norm": ".3f",
    "tokens_per_s": "",  # as `figures.number`: a slow model's are less than one
}


class Log:
    """Rows of metrics, one a step. Those of an earlier try that come after `state`, where this one starts, go."""

    def __init__(self, folder: Path, state: State | None, steps: int, trackers: Sequence[Tracker] = ()) -> None:
        self.steps, self.seconds = steps, [0.0, 0]  # of the steps of this try, and how many
        self.path = folder / METRICS
        kept = [line for line, row in _lines(self.path) if _before(row, state)] if state else []
        shards.write_bytes(str(self.path), b"".join(kept))
        self.file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115  # open as long as the run lasts
        self.console = Screen(stderr=True, soft_wrap=True, highlight=False)
        self.rows: list[dict[str, Any]] = []
        self.live = Live(console=self.console, refresh_per_second=2) if self.console.is_terminal else None
        self.trackers = trackers

    def __enter__(self) -> Log:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, failed: object, *rest: object) -> None:
        if self.live:
            self.live.stop()
        with ExitStack() as closing:  # each of them, whatever the others come to
            closing.enter_context(shards.writing(str(self.path)))
            closing.callback(self.file.close)
            for _, close in self.trackers:
                closing.callback(close, failed is not None)

    def write(self, row: dict[str, Any]) -> None:
        """Add a row, which has a step. Raises UserError where the disk refuses."""
        with shards.writing(str(self.path)):
            self.file.write(json.dumps(row) + "\n")
            self.file.flush()
        if "seconds" in row:
            self.seconds = [self.seconds[0] + row["seconds"], self.seconds[1] + 1]
        for take, _ in self.trackers:
            take({name: value for name, value in row.items() if isinstance(value, (int, float))})
        self.rows = [*self.rows[-9:], row]
        if self.live:
            self.live.update(self._table())
        else:
            self.say(self._line(row))

    def say(self, text: str) -> None:
        """Print a line for whoever watches."""
        self.console.print(Text(text))

    def _left(self, step: int) -> str:
        spent, n = self.seconds
        return f"{figures.clock(spent / n * (self.steps - step))} left" if n and step < self.steps else ""

    def _line(self, row: dict[str, Any]) -> str:
        kind = _kind(row)
        prefix = f"{kind}/" if kind else ""
        told = [f"{name} {_shown(name, row[prefix + name])}" for name in SHOWN if row.get(prefix + name) is not None]
        where = f"warm start {row['sft/step']}" if kind == "sft" else f"step {row['step']}/{self.steps}"
        left = self._left(row["step"]) if not kind else ""
        of = {"eval": " validation", "sft": "", "": ""}.get(kind, f" {kind.removeprefix('eval/')}")
        return f"{where}{of}: {', '.join(told)}{f' ({left})' if left else ''}"

    def _table(self) -> Table:
        names = [name for name in SHOWN if any(_value(row, name) is not None for row in self.rows)]
        step = self.rows[-1]["step"]
        table = Table(title=f"step {step} of {self.steps}  {self._left(step)}", title_justify="left")
        table.add_column("")
        for name in names:
            table.add_column(name, justify="right")
        for row in self.rows:
            kind = _kind(row)
            cells = [_value(row, name) for name in names]
            shown = ["" if v is None else _shown(n, v) for n, v in zip(names, cells, strict=True)]
            table.add_row(kind or str(row["step"]), *shown)
        return table


def _shown(name: str, value: float) -> str:
    return f"{value:{SHOWN[name]}}" if SHOWN[name] else figures.number(value)


def _before(row: dict[str, Any], state: State) -> bool:
    return row["sft/step"] <= state.warmed if "sft/step" in row else row["step"] <= state.step


def _kind(row: dict[str, Any]) -> str:
    """`eval`, `eval/` and a benchmark, `sft`, or nothing for a step."""
    return next((name.rpartition("/")[0] for name in row if "/" in name), "")


def _value(row: dict[str, Any], name: str) -> Any:
    return next((row[key] for key in (name, f"{_kind(row)}/{name}") if row.get(key) is not None), None)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a metrics.jsonl. Raises UserError, naming the line, where one is damaged."""
    return [row for _, row in _lines(path)]


def _lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Whole lines, and what is in them: a kill may have cut the last one short."""
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True) if path.exists() else [], 1):
        if line.endswith(b"\n"):
            try:
                row = json.loads(line)
                if any(type(row[name]) is not int for name in ("step", "sft/step") if name in row or name == "step"):
                    raise TypeError("a step is no number")
            except (ValueError, TypeError, KeyError, RecursionError) as e:
                raise UserError(
                    f"{path}, line {number} is damaged: delete this line and run the same command again. It tells of "
                    "the run and is not needed to go on"
                ) from e
            found.append((line, row))
    return found


def last_samples(folder: Path) -> Path | None:
    """The last file of what the model of a run's folder wrote."""
    return max((folder / SAMPLES).glob("step-*.parquet"), key=lambda path: (len(path.name), path.name), default=None)


def write_samples(path: Path, groups: Sequence[Group], split: Split) -> None:
    """What the model wrote, a row a response, for a person to read: in groups without contrast as well, which are not
    trained on (`used`).
    """
    rows = [
        {
            "qa_id": split.examples[group.example].qa_id,
            "question": split.examples[group.example].question,
            "expected_answer": split.examples[group.example].answer,
            "ref_chunks": list(split.examples[group.example].ref_chunks),
            "response": scored.text,
            "cited": tags.read_response(scored.text).useful_chunks,
            "answer": tags.read_response(scored.text).answer,
            "total": scored.total,
            "correct": scored.reward.answer if scored.reward else None,
            "fbeta": scored.reward.fbeta if scored.reward else None,
            "n_tokens": len(response.tokens),
            "finished": response.finished,
            "used": used and scored.total is not None,
        }
        for group, used in ((group, group.usable() is not None) for group in groups)
        for response, scored in zip(group.responses, group.scored, strict=True)
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLE), sink)
    shards.write_bytes(str(path), sink.getvalue().to_pybytes())


SAMPLE = pa.schema(
    [
        ("qa_id", pa.string()),
        ("question", pa.string()),
        ("expected_answer", pa.string()),
        ("ref_chunks", pa.list_(pa.int64())),
        ("response", pa.string()),
        ("cited", pa.list_(pa.int64())),
        ("answer", pa.string()),
        ("total", pa.float64()),
        ("correct", pa.float64()),
        ("fbeta", pa.float64()),
        ("n_tokens", pa.int64()),
        ("finished", pa.bool_()),
        ("used", pa.bool_()),
    ]
)
