"""Raw documents as rows: what can be read becomes a Document, what cannot becomes a Dropped that says why.

JSON lines end at `\\n` only and must be UTF-8, or UTF-16/32 behind a byte order mark; their text, and parquet's, is
left as it is. A text file is one document: its line ends become `\\n`, as Python's text mode reads them, because
paragraphs are found by blank lines. Its encoding is `input.encoding`, or detected, and a file that fits none with
confidence is dropped.

A row without an id (absent, null or blank) is named after its place: "name:line", in parquet and hf "name:row" with
rows from 0, for a text file "name". A row's other columns are kept as one JSON object with sorted keys: NaN and the
infinities become null, dates and times ISO 8601, bytes base64, a decimal or anything else JSON lacks its string.
"""

from __future__ import annotations

import base64
import codecs
import json
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from datagen.config.data import InputConfig
from datagen.errors import InputError, reason
from datagen.records import Document, Dropped
from datagen.text import decode, sources
from datagen.text.decode import BadDocument
from datagen.text.parquet_footer import column_sizes
from datagen.text.sources import File

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

DETAIL = 200  # characters of a Dropped's detail, at most
BATCH = 64  # rows of a parquet file held at a time
MB = 1_000_000
HELD = 256 * MB  # bytes of a column that as many rows may have at most
SWELLING = 200  # times as large as packed: a column that is larger, and than a document may be, was made to be


def check(files: list[File], settings: InputConfig) -> None:
    """Look at what can be known before any document is read.

    Raises InputError where no file can be used: for the first that is not parquet, or whose text or id column is
    missing or of the wrong type, or a .json file that is one array; what `sources.load_hf` raises for hf://.
    """
    first: InputError | None = None
    for file in files:
        try:
            _check(file, settings)
            return
        except InputError as e:
            first = first or e
    if first:
        raise first


def _check(file: File, settings: InputConfig) -> None:
    """Raise InputError for a file that can't be used."""
    if file.kind == "hf":
        _check_columns(file, sources.load_hf(file, settings).features.arrow_schema, settings)
        return
    with sources.opened(file) as stream:
        if file.kind == "parquet" and stream.peek(1):  # one of zero bytes is an empty file, dropped as any other
            parquet = _parquet(file, stream)
            _check_columns(file, parquet.schema_arrow, settings)
            _batch(file, stream, settings)
        elif file.kind == "jsonl" and re.search(r"\.json(\.\w+)?$", file.name.lower()):
            with suppress(*sources.DAMAGE):  # for read() to report
                if stream.peek(64).lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"["):
                    raise InputError(f"{file.path}: a JSON array, not JSON lines; convert it with: jq -c '.[]'")


def read(files: list[File], settings: InputConfig) -> Iterator[Document | Dropped]:
    """Every row of every file, in order, until `settings.limit` documents are read. Raises what `check` raises.

    Of what was read only the ids and their places are kept, to find duplicates: about 170 bytes a document.
    """
    check(files, settings)
    places: dict[str, str] = {}
    for file in files:
        seen = False
        for row in _of_file(file, settings):
            seen = True
            if isinstance(row, Document):
                first = places.setdefault(row.doc_id, row.source)
                if first != row.source:
                    what = f"the id {_shown(row.doc_id)} was taken before, by {first[-80:]}"
                    row = _dropped(BadDocument("duplicate id", what, row.doc_id), row.source)
            yield row
            if len(places) == settings.limit:
                return
        if not seen:
            yield _dropped(BadDocument("empty file", "the file holds no document"), file.name)


def _of_file(file: File, settings: InputConfig) -> Iterator[Document | Dropped]:
    """Its rows; of a file that can't be used, among others that can, one that says why."""
    try:
        _check(file, settings)
    except InputError as e:
        yield _dropped(BadDocument("unusable file", str(e).removeprefix(f"{file.path}: ")), file.name)
        return
    yield from _rows(file, settings)


def _rows(file: File, settings: InputConfig) -> Iterator[Document | Dropped]:
    if file.kind == "hf":
        data = sources.load_hf(file, settings).with_format("arrow")
        return _arrow_rows(file, data.iter(batch_size=BATCH), settings)
    if file.kind == "parquet":
        return _parquet_rows(file, settings)
    return _json_rows(file, settings) if file.kind == "jsonl" else _text_rows(file, settings)


def _text_rows(file: File, settings: InputConfig) -> Iterator[Document | Dropped]:
    try:
        with sources.opened(file) as stream:
            raw = stream.read(settings.max_document_mb * MB + 1)
    except sources.DAMAGE as e:
        yield _dropped(_damaged(file, e), file.name)
        return
    if not raw:
        return
    try:
        _check_size(len(raw), settings)
        text, encoding = decode.decode(raw, settings.encoding)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        _check_text(text, "the text")
        yield Document(doc_id=file.name, source=file.name, encoding=encoding, metadata="{}", text=text)
    except BadDocument as bad:
        yield _dropped(bad, file.name)


def _json_rows(file: File, settings: InputConfig) -> Iterator[Document | Dropped]:
    number = 0
    try:
        with sources.opened(file) as stream:
            mark, encoding, codec = decode.mark_of(stream.peek(4))
            stream.read(len(mark))
            for number, line in enumerate(_lines(stream, "\n".encode(codec), settings.max_document_mb * MB), 1):
                place = f"{file.name}:{number}"
                try:
                    _check_size(len(line), settings)
                    row = _json_row(line, codec)
                    if row is not None:
                        yield _document(row, place, encoding, settings)
                except BadDocument as bad:
                    yield _dropped(bad, place)
    except sources.DAMAGE as e:
        yield _dropped(_damaged(file, e), f"{file.name}:{number + 1}")


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


def _check_size(n_bytes: int, settings: InputConfig) -> None:
    """Raises BadDocument for one that is too large."""
    if n_bytes > settings.max_document_mb * MB:
        what = f"over {settings.max_document_mb:,} MB when unpacked, which is input.max_document_mb"
        raise BadDocument("too large", what)


def _json_row(line: bytes, codec: str) -> dict[str, Any] | None:
    """The object on a line, None for a blank line. Raises BadDocument for anything else."""
    try:
        text = line.decode(codec)
    except UnicodeDecodeError as e:
        reason = "invalid UTF-8" if codec == "utf-8" else "undecodable"
        where = f"byte {e.start + 1} of the line (0x{line[e.start]:02x})"
        raise BadDocument(reason, f"{where} is not valid {codec}") from None
    if not text.strip(" \t\r"):
        return None
    if "\0" in text:
        raise BadDocument("NUL bytes", f"column {text.index(chr(0)) + 1} of the line holds a NUL byte")
    try:
        row = json.loads(text)
    except json.JSONDecodeError as e:
        seen = f"found {_shown(text[e.pos : e.pos + 40])}" if e.pos < len(text) else "the line ends there"
        raise BadDocument("not JSON", f"column {e.pos + 1}: {e.msg}; {seen}") from None
    except RecursionError:
        raise BadDocument("not JSON", "nested too deeply to be read") from None
    except ValueError as e:  # Python's limit on the digits of an integer
        raise BadDocument("not JSON", str(e)) from None
    if not isinstance(row, dict):
        raise BadDocument("not a JSON object", f"expected {{…}}, found {_shown(row)}")
    return row


def _parquet_rows(file: File, settings: InputConfig) -> Iterator[Document | Dropped]:
    with sources.opened(file) as stream:
        if stream.peek(1):
            parquet = _parquet(file, stream)
            yield from _arrow_rows(file, parquet.iter_batches(_batch(file, stream, settings)), settings)


def _batch(file: File, stream: sources.Stream, settings: InputConfig) -> int:
    """How many rows to hold at a time. A value that a dictionary holds once may be repeated in every row: it is no
    larger than what its column unpacks to. Raises InputError where that is out of all proportion.
    """
    largest = 1
    try:
        for column, unpacked, packed in column_sizes(stream):
            if unpacked > max(settings.max_document_mb * MB, SWELLING * packed):
                what = f"column {_shown(column)} unpacks from {packed:,} to {unpacked:,} bytes"
                raise InputError(f"{file.path}: {what}: raise input.max_document_mb to read it")
            largest = max(largest, unpacked)
    except ValueError as e:
        raise InputError(f"{file.path}: not a parquet file that can be read: {e}") from e
    return max(1, min(BATCH, HELD // largest))


def _arrow_rows(
    file: File, batches: Iterable[pa.RecordBatch | pa.Table], settings: InputConfig
) -> Iterator[Document | Dropped]:
    import pyarrow as pa

    number = 0
    try:
        for batch in batches:
            for i in range(batch.num_rows):
                place = f"{file.name}:{number}"
                try:
                    yield _document(_arrow_row(batch, i), place, "utf-8", settings)
                except BadDocument as bad:
                    yield _dropped(bad, place)
                number += 1
    except (OSError, pa.ArrowException) as e:
        yield _dropped(_damaged(file, e), f"{file.name}:{number}")


def _arrow_row(batch: pa.RecordBatch | pa.Table, i: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            value = column[i].as_py()
            # Columns of one name, of which neither is the text or the id: all of their values are kept.
            row[name] = value if name not in row else [row[name], value]
        except UnicodeDecodeError as e:
            raise BadDocument("invalid UTF-8", f"byte {e.start} of column {_shown(name)} is not valid UTF-8") from None
        except Exception as e:  # of many kinds: a date beyond the year 9999, an unknown time zone
            raise BadDocument("unreadable value", f"column {_shown(name)}: {e}") from None
    return row


def _document(row: dict[str, Any], place: str, encoding: str, settings: InputConfig) -> Document:
    """The row as a document. Raises BadDocument."""
    key, text = row.get(settings.id_column), row.get(settings.text_column)
    if isinstance(key, bool) or not isinstance(key, str | int | None):
        raise BadDocument("id is not a string or number", f"column {_shown(settings.id_column)} holds {_shown(key)}")
    doc_id = place if key is None or not str(key).strip() else str(key)
    _check_text(doc_id, "the id")
    if text is None:
        others = ", ".join(map(_shown, row)) or "none at all"
        missing = "is null" if settings.text_column in row else f"is missing; the row has {others}"
        raise BadDocument("no text", f"column {_shown(settings.text_column)} {missing}", doc_id)
    if not isinstance(text, str):
        raise BadDocument("text is not a string", f"column {_shown(settings.text_column)} holds {_shown(text)}", doc_id)
    _check_text(text, f"column {_shown(settings.text_column)}", doc_id)
    _check_size(len(text), settings)
    rest = {name: value for name, value in row.items() if name not in (settings.id_column, settings.text_column)}
    try:
        return Document(doc_id, place, encoding, _canonical(rest), text)
    except RecursionError:
        raise BadDocument("not JSON", "nested too deeply to be kept", doc_id) from None


def _check_text(text: str, what: str, doc_id: str | None = None) -> None:
    """Raises BadDocument for text that no later step could write or use."""
    if not text.strip():
        raise BadDocument("empty document", f"{what} is empty or blank", doc_id)
    try:
        at, problem = text.find("\0"), ("NUL bytes", "is NUL")
        text.encode()
    except UnicodeEncodeError as e:
        half = f"is half a surrogate pair (U+{ord(text[e.start]):04X}), which UTF-8 cannot hold"
        at, problem = e.start, ("lone surrogate", half)
    if at >= 0:
        where = f"character {at} (line {text.count(chr(10), 0, at) + 1}) of {what}"
        raise BadDocument(problem[0], f"{where} {problem[1]}", doc_id)


def _canonical(value: dict[str, Any]) -> str:
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


def _parquet(file: File, stream: sources.Stream) -> ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Read ahead, every row group would stay in memory until the last is done with.
        return pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 16)
    except (OSError, ValueError, pa.ArrowException) as e:  # ValueError: a column's name is not UTF-8
        why = _clipped(reason(e), DETAIL)
        raise InputError(f"{file.path}: not a parquet file, or cut off: {why}") from e


def _check_columns(file: File, schema: pa.Schema, settings: InputConfig) -> None:
    import pyarrow.types as t

    def plain(column: str) -> pa.DataType:
        kind = schema.field(column).type
        return kind.value_type if t.is_dictionary(kind) else kind

    def is_text(kind: pa.DataType) -> bool:
        return t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind) or t.is_null(kind)

    if settings.text_column not in schema.names:
        has = _clipped(", ".join(schema.names), 400) or "none"
        raise InputError(f"{file.path}: no column {settings.text_column!r}; it has {has}: set input.text_column to one")
    for name in (settings.text_column, settings.id_column):
        if schema.names.count(name) > 1:
            raise InputError(f"{file.path}: {schema.names.count(name)} columns are called {name!r}: rename all but one")
    kind = plain(settings.text_column)
    if not is_text(kind):
        raise InputError(f"{file.path}: column {settings.text_column!r} holds {kind}, not text: set input.text_column")
    if settings.id_column in schema.names:
        kind = plain(settings.id_column)
        if not (is_text(kind) or t.is_integer(kind)):
            column = f"column {settings.id_column!r} holds {kind}, not strings or integers"
            hint = "set input.id_column (to a name no column has, and rows are named after file and row)"
            raise InputError(f"{file.path}: {column}: {hint}")


def _dropped(bad: BadDocument, place: str) -> Dropped:
    detail = f"{place if len(place) <= 100 else '…' + place[-99:]}: {bad.what}"
    return Dropped("document", place, bad.doc_id or place, "failed", bad.reason, _clipped(detail, DETAIL))


def _damaged(file: File, e: Exception) -> BadDocument:
    """Why a stream ended early. An uncompressed file that fails in the middle is a failing disk: raises InputError."""
    if file.kind in ("text", "jsonl") and not file.compression:
        raise InputError(f"{file.path}: cannot be read to its end: {e}; check the disk") from e
    if "too much memory" in str(e):  # of zstd, which has to hold so long a stretch of the file
        return BadDocument("packed with a long window", "zstd --long packed it: unpack it first, by zstd -d --long=31")
    reason = f"damaged {'compression' if file.compression else 'file'}"
    return BadDocument(reason, f"what follows in this file is lost: {file.compression or file.kind}: {e}")


def _clipped(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _shown(value: Any) -> str:
    """A value as it may stand in a message: quoted, and never long."""
    if isinstance(value, str | bytes):
        return _clipped(repr(value[:60]), 60)
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    return _clipped(repr(value), 60)
