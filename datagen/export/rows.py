"""The rows that a model can be shown whole: counted by its tokenizer and chat template, and written as parquet.

Several trainers cut a prompt that is too long from the left, in silence, evidence and all. So none is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from datagen import shards
from datagen.dataset import read
from datagen.dataset.encode import encode, neutralised, special_tokens
from datagen.dataset.schema import ABILITY, SCHEMA
from datagen.errors import InputError
from datagen.grounding import tags

# What trainers replace by a picture, or split a prompt at.
PLACEHOLDERS = ("<image>", "<video>", "<audio>")
GROUP = 32  # rows held in memory at a time: a row is a whole document
TOO_LONG, REFUSED = "too long a prompt", "refused by the chat template"
NO_ROOM = "an answer longer than a response may be"
MARKED = "an answer with a token that prompts show with a backslash"


@dataclass
class Count:
    """What became of a split's rows."""

    written: int = 0
    longest: int = 0  # tokens of the longest prompt that was written, where they were counted
    left_out: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)  # of the rows that were left out
    refusal: str = ""  # what the chat template said first of one that it refused


def fitting(
    files: list[Path], split: str, tokenizer: Any, room: tuple[int, int], count: Count
) -> Iterator[dict[str, Any]]:
    """The rows as a dataset has them whose prompt and answer have room: `room` is the most tokens of a prompt, and of a
    response. `extra_info.n_tokens` is as counted here.

    Raises InputError as `read.rows` does.
    """
    hidden = {*special_tokens(tokenizer), *PLACEHOLDERS}
    for row, raw in read.whole_rows(files):
        messages = neutralised(row.messages, hidden)
        n_tokens = _counted(row, messages, tokenizer, hidden, room, count)
        if n_tokens is not None:
            info = {"index": count.written - 1, "split": split, "qa_id": row.qa_id, "n_tokens": n_tokens}
            info |= {"question": row.question, "answer": row.answer, "ref_chunks": list(row.ref_chunks)}
            yield _columns(row, raw, messages, info)


def unchanged(
    files: list[Path], split: str, tokenizer: Any | None, room: tuple[int, int], count: Count
) -> Iterator[dict[str, Any]]:
    """The rows as a dataset has them; what its layout lacks and can be known is filled in. With a tokenizer, those that
    `fitting` has.

    Raises InputError as `read.rows` does.
    """
    hidden = {*special_tokens(tokenizer), *PLACEHOLDERS} if tokenizer else set[str]()
    for row, raw in read.whole_rows(files):
        number = count.written
        if tokenizer is None:
            count.written += 1
        elif _counted(row, neutralised(row.messages, hidden), tokenizer, hidden, room, count) is None:
            continue
        known = {"question": row.question, "answer": row.answer, "ref_chunks": list(row.ref_chunks)}
        given = {name: value for name, value in raw["extra_info"].items() if value is not None}
        ours = {"index": number, "split": split, "qa_id": row.qa_id}  # of the rows that are written
        yield _columns(row, raw, row.messages, known | given | ours)


def _counted(
    row: read.Row, messages: list[dict[str, str]], tokenizer: Any, hidden: set[str], room: tuple[int, int], count: Count
) -> int | None:
    """The tokens of the row's prompt; None where the row is left out. `count` takes down which."""
    from jinja2 import TemplateError  # needed by nobody who counts nothing

    n_tokens, reason = 0, ""
    try:
        n_tokens = len(encode(tokenizer, messages))
    except TemplateError as e:
        reason, count.refusal = REFUSED, count.refusal or str(e)
    else:
        response = tags.render_response(row.ref_chunks, row.answer)
        fits = len(tokenizer(response, add_special_tokens=False)["input_ids"]) <= room[1]
        marked = any(token in row.answer for token in hidden)  # what a model quotes would count as another answer
        reason = TOO_LONG if n_tokens > room[0] else MARKED if marked else "" if fits else NO_ROOM
    if reason:
        count.left_out[reason] += 1
        count.ids.append(row.qa_id)
        return None
    count.written += 1
    count.longest = max(count.longest, n_tokens)
    return n_tokens


def _columns(
    row: read.Row, raw: dict[str, Any], messages: list[dict[str, str]], info: dict[str, Any]
) -> dict[str, Any]:
    """A row of `SCHEMA`; `info` goes before what the row has in `extra_info`."""
    known = raw["extra_info"] | info
    return {
        "data_source": raw.get("data_source") or "longrlvr",
        "prompt": messages,
        "ability": raw.get("ability") or ABILITY,
        "reward_model": {"style": "rule", "ground_truth": row.answer},
        "extra_info": {name: known.get(name) for name in SCHEMA.field("extra_info").type.names},
    }


def write_parquet(path: str, rows: Iterator[dict[str, Any]]) -> None:
    """Write rows as one file, some in memory at a time. Raises InputError for a value of another type."""
    try:
        shards.write_groups(path, SCHEMA, _groups(rows))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as e:
        raise InputError(f"{Path(path).stem}: a column has other values than a dataset's: {e}. {read.FORMAT}") from e


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[pa.Table]:
    held: list[dict[str, Any]] = []
    for row in rows:
        held.append(row)
        if len(held) == GROUP:
            yield pa.Table.from_pylist(held, SCHEMA)
            held = []
    if held:
        yield pa.Table.from_pylist(held, SCHEMA)


def told(count: Count, limit: int) -> str:
    """What became of a split's rows, in words."""
    n = count.written
    longest = f", the longest prompt of {count.longest:,} tokens" if count.longest else ""
    said = f"{n:,} {'row' if n == 1 else 'rows'}{longest}"
    for reason, left_out in sorted(count.left_out.items()):
        why = f"{reason}, {limit:,} tokens at most" if reason == TOO_LONG else reason
        said += f"; {left_out:,} left out: {why}"
    return said


def why_none(count: Count, limit: int) -> str:
    """Why no row is left, and what to do."""
    if not count.left_out:
        return "It has none"
    said = f"{told(count, limit)}. "
    if REFUSED in count.left_out:
        return f"{said}The template says: {count.refusal}"
    return f"{said}Allow more with --max-prompt-tokens, or choose a model with more positions"
