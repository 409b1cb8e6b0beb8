"""Files of predictions, in our own layout and in the published ones, told apart by their columns.

| layout | columns |
| --- | --- |
| ours (parquet, CSV, JSONL) | `item_id`, `kind`, `gold`, `response`; the others of `Prediction` may be left out |
| LongBench v2 (JSONL) | `_id`, `choice_A` to `choice_D`, `answer`, `response` |
| LongReason (JSONL) | `example_idx`, `answer`, `response`, `pred` |
| RULER (JSONL) | `index`, `pred`, `outputs`; the task is the file's name, the length a folder's |
| RULER (submission.csv) | `Task`, `ID`, `Prediction`; responses and gold come from TASK.jsonl beside it |
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from datagen import shards
from datagen.errors import DamagedFile, InputError, reason
from datagen.evaluate.lengths import length_label
from datagen.evaluate.prediction import RECORD, Prediction
from datagen.evaluate.values import Values

OWN = ("item_id", "kind", "gold", "response")
LONGBENCH = ("_id", "choice_A", "choice_B", "choice_C", "choice_D", "answer", "response")
LONGREASON = ("example_idx", "answer", "response", "pred")
RULER = ("index", "pred", "outputs")
SUBMISSION = ("Task", "ID", "Prediction")
SUFFIXES = (shards.SUFFIX, ".jsonl", ".csv")  # in a folder, only those of the first kind that is there are read
KINDS = ("choice", "match", "similarity", "answer")
_LAYOUTS = f"""the columns of each layout are
  ours: {", ".join(OWN)} (parquet, CSV or JSONL; `evaluate run` writes it)
  LongBench v2: {", ".join(LONGBENCH)} (JSONL)
  LongReason: {", ".join(LONGREASON)} (JSONL)
  RULER: {", ".join(RULER)} (JSONL), or {", ".join(SUBMISSION)} (submission.csv)"""


JOURNAL = "journal"  # a folder beside predictions: replies, and no predictions yet


@dataclass(frozen=True, slots=True)
class Row:
    """A prediction, and where it stands."""

    prediction: Prediction
    file: str
    number: int  # from 1
    given: str  # the path that was asked for: this file, or a folder above it


def read(path: str) -> list[Row]:
    """The predictions of a file or a folder.

    Raises InputError for what is not there, is in no known layout, or has a damaged row, which it names.
    """
    rows = [row for file in _files(path) for row in _read_file(file, path)]
    if not rows:
        raise InputError(f"{path} holds no predictions")
    return rows


def answered_twice(rows: Iterable[Row]) -> int:
    """How many of the rows answer a question that an earlier one answers."""
    asked = Counter((row.prediction.benchmark, row.prediction.item_id, row.prediction.length) for row in rows)
    return asked.total() - len(asked)


def questions(path: str) -> int | None:
    """How many questions a folder that `evaluate run` writes is to have answers to; None where that is not known.
    Raises DamagedFile for its record.
    """
    if PurePosixPath(path).suffix in SUFFIXES:
        return None
    found = (shards.read_object(shards.join(path, RECORD)) or {}).get("questions")
    return found if type(found) is int else None


def _files(path: str) -> list[str]:
    suffix = PurePosixPath(path).suffix
    if not shards.exists(path):
        raise InputError(f"{path} is not there: give a file of predictions, or a folder of them")
    if shards.is_local(path) and not Path(path).is_dir():
        if suffix not in SUFFIXES:
            raise InputError(f"{path} is no file of predictions: these end in {', '.join(SUFFIXES)}")
        return [path]
    if suffix in SUFFIXES and not shards.listing(path):
        return [path]
    for each in SUFFIXES:
        found = [shards.join(path, name) for name in shards.listing(path) if name.endswith(each)]
        if not found and shards.is_local(path):
            files = (file for file in Path(path).rglob(f"*{each}") if not file.name.startswith("."))
            found = sorted(str(file) for file in files if JOURNAL not in file.relative_to(path).parts)
        if found:
            return found
    if shards.exists(shards.join(path, RECORD)):
        raise InputError(f"{path} has no finished predictions yet: give the same `evaluate run` again")
    raise InputError(f"{path} holds no predictions: files of them end in {', '.join(SUFFIXES)}")


def _read_file(file: str, given: str) -> Iterator[Row]:
    suffix = PurePosixPath(file).suffix
    rows = {shards.SUFFIX: _parquet, ".jsonl": _jsonl, ".csv": _csv}[suffix](file)
    convert: Callable[[Values], Prediction] | None = None
    for number, values in rows:
        if convert is None:
            convert = _layout(file, values)
        yield Row(convert(Values(values, file, number, suffix == ".csv")), file, number, given)


def _layout(file: str, first: dict[str, Any]) -> Callable[[Values], Prediction]:
    """How the rows of a file are read, by the columns of the first one."""
    for columns, convert in (
        (SUBMISSION, _from_submission(file)),
        (LONGBENCH, _from_longbench),
        (LONGREASON, _from_longreason),
        (RULER, _from_ruler),
        (OWN, _from_own),
    ):
        if first.keys() >= set(columns):
            return convert
    there = ", ".join(map(str, list(first)[:12])) or "none"
    raise InputError(f"{file} is in no layout that is known: it has the columns {there}; {_LAYOUTS}")


def _parquet(file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        table = shards.read_table(file)
    except DamagedFile as e:
        raise InputError(f"{file} is damaged ({e.reason}): write it again") from e
    except (pa.ArrowException, OSError) as e:
        raise InputError(f"{file} cannot be read as parquet ({reason(e)})") from e
    for start in range(0, table.num_rows, 1000):
        for i, values in enumerate(table.slice(start, 1000).to_pylist()):
            yield start + i + 1, values


def _text(file: str) -> bytes:
    try:
        return shards.read_bytes(file)
    except OSError as e:
        raise InputError(f"{file} cannot be read ({reason(e)})") from e


def _jsonl(file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_text(file).removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line.decode())
        except UnicodeDecodeError as e:
            raise InputError(f"{file}, row {number}: not UTF-8 at byte {e.start + 1} of the line") from e
        except (ValueError, RecursionError) as e:
            cut = "" if line.rstrip().endswith(b"}") else ": the line was cut"
            raise InputError(f"{file}, row {number}: no JSON ({reason(e)}){cut}") from e
        if not isinstance(values, dict):
            raise InputError(f"{file}, row {number}: a JSON object belongs here, with a column a key")
        yield number, values


def _csv(file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    before = csv.field_size_limit(sys.maxsize)
    try:
        text = io.StringIO(_text(file).decode("utf-8-sig"), newline="")
        for number, values in enumerate(csv.DictReader(text, strict=True), 1):
            if None in values or None in values.values():
                raise InputError(f"{file}, row {number}: it has not as many cells as the first line names columns")
            yield number, values
    except UnicodeDecodeError as e:
        raise InputError(f"{file} is not UTF-8 at byte {e.start + 1}") from e
    except csv.Error as e:
        raise InputError(f"{file}, row {number + 1}: no CSV ({reason(e)})") from e
    finally:
        csv.field_size_limit(before)


def _prediction(**known: Any) -> Prediction:
    texts = dict.fromkeys(("question", "length", "difficulty", "domain", "model", "finish", "error"), "")
    unknown = dict.fromkeys(("gold_chunks", "n_chunks", "prompt_tokens", "position", "as_published"))
    given: dict[str, Any] = {"choices": [], **texts, **unknown, **known}
    return Prediction(**given)


def _replied(row: Values, name: str) -> dict[str, Any]:
    response = row.text_or_none(name)
    return {"response": response, "error": "" if response is not None else f"`{name}` is null"}


def _from_longbench(row: Values) -> Prediction:
    return _prediction(
        benchmark="longbench-v2",
        item_id=row.text("_id"),
        kind="choice",
        question=row.text("question", ""),
        choices=[row.text(f"choice_{letter}") for letter in "ABCD"],
        gold=[row.letter("answer", "ABCD")],
        length=row.text("length", ""),
        difficulty=row.text("difficulty", ""),
        domain=row.text("domain", ""),
        model=PurePosixPath(row.file).stem,
        as_published=row.boolean("judge"),
        **_replied(row, "response"),
    )


def _from_longreason(row: Values) -> Prediction:
    gold, judge, pred = row.letter("answer"), row.boolean("judge"), row.text_or_none("pred")
    return _prediction(
        benchmark="longreason",
        item_id=row.label("example_idx"),
        kind="choice",
        gold=[gold],
        length=length_label(row.text("split", "")),
        model=PurePosixPath(row.file).stem,
        as_published=gold in pred if judge is None and pred is not None else judge,
        **_replied(row, "response"),
    )


def _from_ruler(row: Values, task: str = "") -> Prediction:
    path = PurePosixPath(row.file)
    task = task or path.stem
    folders = path.parts[:-1]
    size = next((part for part in reversed(folders) if re.fullmatch(r"[0-9]{3,8}", part)), "")
    model = folders[folders.index("synthetic") - 1] if "synthetic" in folders[1:] else ""
    return _prediction(
        benchmark="ruler-qa",
        item_id=f"{task}/{row.label('index')}",
        kind="match",
        gold=list(dict.fromkeys(row.texts("outputs"))),
        prompt_tokens=row.integer("length"),
        length=length_label(size),
        domain=task,
        model=model,
        **_replied(row, "pred"),
    )


def _from_submission(file: str) -> Callable[[Values], Prediction]:
    """Of a submission, only which rows it has is used: what the publisher read as the answer has no tags any more, so
    the whole responses are taken from the files beside it.
    """
    beside: dict[str, dict[str, Values]] = {}

    def convert(row: Values) -> Prediction:
        task, number = row.text("Task"), row.text("ID")
        path = shards.join(str(PurePosixPath(file).parent), f"{task}.jsonl")
        if task not in beside:
            if not re.fullmatch(r"[\w.-]+", task) or not shards.exists(path):
                raise row.wrong(f"its gold answers are in {task}.jsonl beside this file, and that is not there")
            found = (Values(values, path, n, False) for n, values in _jsonl(path))
            beside[task] = {each.label("index"): each for each in found}
        whole = beside[task].get(number)
        if whole is None:
            raise row.wrong(f"{path} has no row with the index {number}")
        if row.text("Prediction").strip() not in whole.text("pred"):
            raise row.wrong(f"its Prediction does not stand in the response of {path}, row {whole.number}")
        return _from_ruler(whole, task)

    return convert


def _from_own(row: Values) -> Prediction:
    kind = row.text("kind")
    if kind not in KINDS:
        raise row.wrong(f"`kind` is one of {', '.join(KINDS)}, and not {kind!r}")
    gold, choices, error = row.texts("gold"), row.texts("choices", []), row.text("error", "")
    if kind == "choice":
        gold = [row.letter("gold", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(choices) or 26], gold[0])]
    response = row.text_or_none("response")
    if row.flat and not response:
        response = None if error else ""
    texts = {name: row.text(name, "") for name in ("question", "length", "difficulty", "domain", "model", "finish")}
    return _prediction(
        benchmark=row.text("benchmark", ""),
        item_id=row.label("item_id"),
        kind=kind,
        gold=gold,
        choices=choices,
        gold_chunks=row.integers("gold_chunks"),
        response=response,
        error=error or ("" if response is not None else "no response"),
        position=row.share("position"),
        as_published=row.boolean("as_published"),
        **{name: row.integer(name) for name in ("n_chunks", "prompt_tokens")},
        **texts,
    )
