"""JSON lines as rows, and a .json file that is one object over several lines.

Lines end at `\\n` only and must be UTF-8, or UTF-16/32 behind a byte order mark.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from datagen.config.data import InputConfig
from datagen.errors import InputError
from datagen.records import Document, Dropped
from datagen.text import decode, sources
from datagen.text.decode import BadDocument
from datagen.text.files import File
from datagen.text.rows import MB, canonical, check_size, damaged, dropped, of_row, shown


def check(file: File, stream: sources.Stream) -> None:
    """Raise InputError for a .json file that is one array, not lines. The stream stands at its beginning."""
    if not re.search(r"\.json(\.\w+)?$", file.name.lower()):
        return
    with suppress(*sources.DAMAGE):  # for `rows` to report
        if stream.peek(64).lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"["):
            raise InputError(f"{file.path}: a JSON array, not JSON lines; convert it with: jq -c '.[]'")


def rows(file: File, settings: InputConfig) -> Iterator[Document | Dropped]:
    """The documents in a file of JSON lines, which are counted from 1. Blank lines are passed over."""
    number = 0
    try:
        with sources.opened(file) as stream:
            mark, encoding, codec = decode.mark_of(stream.peek(4))
            stream.read(len(mark))
            for number, line in enumerate(_lines(stream, "\n".encode(codec), settings.max_document_mb * MB), 1):
                place = f"{file.name}:{number}"
                try:
                    check_size(len(line), settings)
                    row = _row(line, codec)
                    if row is not None:
                        yield of_row(row, place, encoding, settings)
                except BadDocument as bad:
                    yield dropped(bad, place)
    except sources.DAMAGE as e:
        yield dropped(damaged(file, e), f"{file.name}:{number + 1}")


def of_object(texts: Iterable[Document | Dropped], settings: InputConfig) -> Iterator[Document | Dropped]:
    """The text of a .json file as a row, if it is an object with the text column; else as the text that it is."""
    for document in texts:
        if isinstance(document, Dropped):
            yield document
            continue
        try:
            row = _row(document.text.encode(), "utf-8")
            if row is not None and settings.text_column in row:
                yield of_row(row, document.source, document.encoding, settings)
            else:
                yield replace(document, metadata=canonical({"kind": "json"}))
        except BadDocument as bad:
            yield dropped(bad, document.source)


def decoded(raw: bytes) -> tuple[str, str]:
    """The characters of a JSON file and their codec, by its mark, else UTF-8. Raises BadDocument where it is not."""
    mark, encoding, codec = decode.mark_of(raw)
    return _characters(raw[len(mark) :], codec, "text"), encoding


def _lines(stream: sources.Stream, newline: bytes, most: int) -> Iterator[bytes]:
    """Lines without their end; of one over `most` bytes, only more of it than that. In UTF-16 and 32 the byte 0x0A also
    occurs inside other characters.
    """
    width = len(newline)
    line, tail, length = bytearray(), b"", 0
    for part in iter(partial(stream.readline, sources.BLOCK), b""):
        part += stream.read(-(length + len(part)) % width)
        tail, length = (tail + part)[-width:], length + len(part)
        line += part if len(line) <= most else b""
        if tail == newline:
            yield bytes(line if length > len(line) else line[:-width])
            line.clear()
            tail, length = b"", 0
    if line:
        yield bytes(line)


def _row(line: bytes, codec: str) -> dict[str, Any] | None:
    """The object on a line, None for a blank line. Raises BadDocument for anything else."""
    text = _characters(line, codec, "line")
    if not text.strip(" \t\r"):
        return None
    if "\0" in text:
        raise BadDocument("NUL bytes", f"column {text.index(chr(0)) + 1} of the line holds a NUL byte")
    try:
        row = json.loads(text)
    except json.JSONDecodeError as e:
        seen = f"found {shown(text[e.pos : e.pos + 40])}" if e.pos < len(text) else "the line ends there"
        raise BadDocument("not JSON", f"column {e.pos + 1}: {e.msg}; {seen}") from None
    except RecursionError:
        raise BadDocument("not JSON", "nested too deeply to be read") from None
    except ValueError as e:  # Python's limit on the digits of an integer
        raise BadDocument("not JSON", str(e)) from None
    if not isinstance(row, dict):
        raise BadDocument("not a JSON object", f"expected {{…}}, found {shown(row)}")
    return row


def _characters(raw: bytes, codec: str, of: str) -> str:
    """Bytes of JSON, decoded. of: what they are in words. Raises BadDocument."""
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as e:
        reason = "invalid UTF-8" if codec == "utf-8" else "undecodable"
        where = f"byte {e.start + 1} of the {of} (0x{raw[e.start]:02x})"
        raise BadDocument(reason, f"{where} is not valid {codec}") from None
