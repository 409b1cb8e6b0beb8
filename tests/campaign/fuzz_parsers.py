"""Coverage-guided fuzzing of the readers, by atheris: `make fuzz`, FUZZ_SECONDS for each.

What is found is written to the working directory; `python -m tests.campaign.fuzz_parsers READER FILE` runs it again.
"""

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

atheris: Any = importlib.import_module("atheris")  # in an environment of its own

with atheris.instrument_imports(include=["datagen", "yaml", "json"]):
    from tests.campaign import invariants as hold

ROOM = 4096  # bytes of an input


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _halves(data: bytes) -> None:
    a, _, b = _text(data).partition("\n")
    hold.answers(a, b)


def _body(data: bytes) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    hold.body(value)


def _journal(data: bytes) -> None:
    hold.readable(Path(_FOLDER.name) / "shard.jsonl", data)


_FOLDER = TemporaryDirectory()
READERS: dict[str, Callable[[bytes], object]] = {
    "response": lambda data: hold.response(_text(data)),
    "fences": lambda data: hold.fenced(_text(data)),
    "context": lambda data: hold.context(_text(data).split("\0")),
    "reply": lambda data: hold.reply(_text(data)),
    "settings": lambda data: hold.settings(_text(data)),
    "answers": _halves,
    "body": _body,
    "journal": _journal,
}


def main() -> None:
    """Fuzz the reader that is named first; the other arguments are libFuzzer's."""
    read = READERS[sys.argv.pop(1)]
    atheris.Setup([*sys.argv, f"-max_len={ROOM}", "-timeout=20"], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
