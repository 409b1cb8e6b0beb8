"""OpenAI's MRCR: of several answers alike in a long conversation, the n-th is to be repeated (huggingface.co/datasets/
openai/mrcr, after Vodrahalli et al. 2024, arXiv 2409.12640).

The conversation before the last message is the document, who says what on a line before it; that message is the
question. The evidence is the message `desired_msg_index`, where the answer repeats it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from datagen.config.data import InputConfig
from datagen.evaluate.item import Item
from datagen.evaluate.rows import Row, rows
from datagen.text.files import File

COLUMNS = ("prompt", "answer", "random_string_to_prepend", "n_needles", "desired_msg_index")
FORMAT = f"A row of MRCR has the columns {', '.join(COLUMNS)}, prompt being a list of messages as JSON"
BETWEEN = "\n\n"


def items(files: Sequence[File], settings: InputConfig) -> Iterator[Item]:
    """The questions. Raises InputError, naming file, row and column."""
    for row in rows(files, settings, COLUMNS, FORMAT):
        *said, last = _messages(row)
        if last["role"] != "user" or not said:
            raise row.wrong("prompt is not a conversation that ends with a message of the user")
        document, spans = told(said)
        answer, prefix = row.text("answer"), row.text("random_string_to_prepend")
        if not answer.startswith(prefix):
            raise row.wrong("answer does not begin with random_string_to_prepend")
        wanted = row.typed("desired_msg_index", int)
        repeats = 0 <= wanted < len(said) and said[wanted]["content"].strip() == answer.removeprefix(prefix).strip()
        needles = row.typed("n_needles", int)
        yield Item(
            benchmark="mrcr",
            item_id=f"{PurePosixPath(row.file.name).with_suffix('')}/{row.number}",
            kind="similarity",
            question=last["content"],
            gold=[answer],
            document=document,
            evidence=[spans[wanted]] if repeats else None,
            difficulty=f"{needles} needles",
        )


def told(messages: list[dict[str, str]]) -> tuple[str, list[tuple[int, int]]]:
    """A conversation as a text, and where in it each message stands."""
    parts, spans, at = [], [], 0
    for message in messages:
        head = f"{message['role'].capitalize()}:\n"
        parts.append(f"{head}{message['content']}")
        spans.append((at + len(head), at + len(parts[-1])))
        at += len(parts[-1]) + len(BETWEEN)
    return BETWEEN.join(parts), spans


def _messages(row: Row) -> list[dict[str, str]]:
    found: Any = row.values.get("prompt")
    if isinstance(found, str):
        try:
            found = json.loads(row.text("prompt"))
        except (ValueError, RecursionError):
            raise row.wrong("prompt is no list of messages as JSON") from None
    elif "prompt" not in row.values:
        row.typed("prompt", str)
    whole = isinstance(found, list) and all(
        isinstance(m, dict) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str) for m in found
    )
    if not whole or not found:
        raise row.wrong("prompt is no list of messages, each with the texts role and content")
    return found
