"""Parquet files and datasets of the hub, whose rows come as arrow's: which columns must be there, and how many rows are
held at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from datagen.config.data import InputConfig
from datagen.errors import InputError, reason
from datagen.records import Document, Dropped
from datagen.text import sources
from datagen.text.decode import BadDocument
from datagen.text.files import File
from datagen.text.parquet_footer import column_sizes
from datagen.text.rows import DETAIL, MB, clipped, damaged, dropped, of_row, shown

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

BATCH = 64  # rows of a parquet file held at a time
HELD = 256 * MB  # bytes of a column that as many rows may have at most
SWELLING = 200  # times as large as packed: a column that is larger, and than a document may be, was made to be


def of_parquet(file: File, settings: InputConfig) -> Iterator[Document | Dropped]:
    """The rows of a parquet file. Raises InputError where it is none."""
    with sources.opened(file) as stream:
        if stream.peek(1):
            parquet = opened(file, stream)
            yield from rows(file, parquet.iter_batches(batch_size(file, stream, settings)), settings)


def batch_size(file: File, stream: sources.Stream, settings: InputConfig) -> int:
    """How many rows to hold at a time. A value that a dictionary holds once may be repeated in every row: it is no
    larger than what its column unpacks to. Raises InputError where that is out of all proportion.
    """
    largest = 1
    try:
        for column, unpacked, packed in column_sizes(stream):
            if unpacked > max(settings.max_document_mb * MB, SWELLING * packed):
                what = f"column {shown(column)} unpacks from {packed:,} to {unpacked:,} bytes"
                raise InputError(f"{file.path}: {what}: raise input.max_document_mb to read it")
            largest = max(largest, unpacked)
    except ValueError as e:
        raise InputError(f"{file.path}: not a parquet file that can be read: {e}") from e
    return max(1, min(BATCH, HELD // largest))


def rows(
    file: File, batches: Iterable[pa.RecordBatch | pa.Table], settings: InputConfig
) -> Iterator[Document | Dropped]:
    """The documents in batches of rows, which are counted from 0."""
    import pyarrow as pa

    number = 0
    try:
        for batch in batches:
            for i in range(batch.num_rows):
                place = f"{file.name}:{number}"
                try:
                    yield of_row(_arrow_row(batch, i), place, "utf-8", settings)
                except BadDocument as bad:
                    yield dropped(bad, place)
                number += 1
    except (OSError, pa.ArrowException) as e:
        yield dropped(damaged(file, e), f"{file.name}:{number}")


def _arrow_row(batch: pa.RecordBatch | pa.Table, i: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            value = column[i].as_py()
            # Columns of one name, of which neither is the text or the id: all of their values are kept.
            row[name] = value if name not in row else [row[name], value]
        except UnicodeDecodeError as e:
            raise BadDocument("invalid UTF-8", f"byte {e.start} of column {shown(name)} is not valid UTF-8") from None
        except Exception as e:  # of many kinds: a date beyond the year 9999, an unknown time zone
            raise BadDocument("unreadable value", f"column {shown(name)}: {e}") from None
    return row


def opened(file: File, stream: sources.Stream) -> ParquetFile:
    """The parquet file in a stream. Raises InputError where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Read ahead, every row group would stay in memory until the last is done with.
        return pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 16)
    except (OSError, ValueError, pa.ArrowException) as e:  # ValueError: a column's name is not UTF-8
        why = clipped(reason(e), DETAIL)
        raise InputError(f"{file.path}: not a parquet file, or cut off: {why}") from e


def check_columns(file: File, schema: pa.Schema, settings: InputConfig) -> None:
    """Raise InputError for a schema without a column of text, or with an id that is none."""
    import pyarrow.types as t

    def plain(column: str) -> pa.DataType:
        kind = schema.field(column).type
        return kind.value_type if t.is_dictionary(kind) else kind

    def is_text(kind: pa.DataType) -> bool:
        return t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind) or t.is_null(kind)

    if settings.text_column not in schema.names:
        has = clipped(", ".join(schema.names), 400) or "none"
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
