"""What makes a row of the input a document, or sets it aside with a reason: the parts that all kinds of input share."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

from datagen.config.data import InputConfig
from datagen.errors import InputError
from datagen.records import Document, Dropped
from datagen.text.decode import BadDocument
from datagen.text.files import File

DETAIL = 200  # characters of a Dropped's detail, at most
MB = 1_000_000


def check_size(n_bytes: int, settings: InputConfig) -> None:
    """Raise BadDocument for a document of more bytes than input.max_document_mb says."""
    if n_bytes > settings.max_document_mb * MB:
        what = f"over {settings.max_document_mb:,} MB when unpacked, which is input.max_document_mb"
        raise BadDocument("too large", what)


def of_row(row: dict[str, Any], place: str, encoding: str, settings: InputConfig) -> Document:
    """The row as a document, named after its place where it has no id.

    Raises BadDocument where it has no text, or its text or id cannot be used.
    """
    key, text = row.get(settings.id_column), row.get(settings.text_column)
    if isinstance(key, bool) or not isinstance(key, str | int | None):
        raise BadDocument("id is not a string or number", f"column {shown(settings.id_column)} holds {shown(key)}")
    doc_id = place if key is None or not str(key).strip() else str(key)
    check_text(doc_id, "the id")
    if text is None:
        others = ", ".join(map(shown, row)) or "none at all"
        missing = "is null" if settings.text_column in row else f"is missing; the row has {others}"
        raise BadDocument("no text", f"column {shown(settings.text_column)} {missing}", doc_id)
    if not isinstance(text, str):
        raise BadDocument("text is not a string", f"column {shown(settings.text_column)} holds {shown(text)}", doc_id)
    check_text(text, f"column {shown(settings.text_column)}", doc_id)
    check_size(len(text), settings)
    rest = {name: value for name, value in row.items() if name not in (settings.id_column, settings.text_column)}
    try:
        return Document(doc_id, place, encoding, canonical(rest), text)
    except RecursionError:
        raise BadDocument("not JSON", "nested too deeply to be kept", doc_id) from None


def check_text(text: str, what: str, doc_id: str | None = None) -> None:
    """Raise BadDocument for text that no later step could write or use. what: it is, in words."""
    if not text.strip():
        raise BadDocument("empty document", f"{what} is empty or blank", doc_id)
    try:
        at, problem = text.find("\0"), ("NUL bytes", "is NUL")
        text.encode()
    except UnicodeEncodeError as e:
        half = f"is half a surrogate pair (U+{ord(text[e.start]):04X}), which UTF-8 cannot hold"
        at, problem = e.start, ("lone surrogate", half)
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        where = f"character {at} (line {line}) of {what}"
        raise BadDocument(problem[0], f"{where} {problem[1]}", doc_id)


def canonical(value: dict[str, Any]) -> str:
    """A row's other columns as JSON with sorted keys, which can be written whatever they hold."""
    options: dict[str, Any] = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":"), "default": _plain}
    try:
        text = json.dumps(value, allow_nan=False, **options)
    except ValueError:
        text = json.dumps(_finite(value), **options)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text)  # escaped, it can be written


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def dropped(bad: BadDocument, place: str) -> Dropped:
    """The row that says why there is no document at a place."""
    detail = f"{place if len(place) <= 100 else '…' + place[-99:]}: {bad.what}"
    return Dropped("document", place, bad.doc_id or place, "failed", bad.reason, clipped(detail, DETAIL))


def damaged(file: File, e: Exception) -> BadDocument:
    """Why a stream ended early. An uncompressed file that fails in the middle is a failing disk: raises InputError."""
    if file.kind in ("text", "jsonl") and not file.compression:
        raise InputError(f"{file.path}: cannot be read to its end: {e}; check the disk") from e
    if "too much memory" in str(e):  # of zstd, which has to hold so long a stretch of the file
        return BadDocument("packed with a long window", "zstd --long packed it: unpack it first, by zstd -d --long=31")
    reason = f"damaged {'compression' if file.compression else 'file'}"
    return BadDocument(reason, f"what follows in this file is lost: {file.compression or file.kind}: {e}")


def clipped(text: str, length: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def shown(value: Any) -> str:
    """A value as it may stand in a message: quoted, and never long."""
    if isinstance(value, str | bytes):
        return clipped(repr(value[:60]), 60)
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    return clipped(repr(value), 60)
