"""How large the columns of a parquet file are, as its footer says (thrift's compact protocol; apache/parquet-format).

Arrow's own way to these numbers ends the whole process, by SIGABRT, at a footer that contradicts itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

DEEPEST = 64  # structs within structs: a footer has 6
ROW_GROUPS, COLUMNS, META_DATA, PATH, UNPACKED, PACKED = 4, 1, 3, 3, 6, 7  # fields, by their numbers
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12


def column_sizes(stream: Any) -> Iterator[tuple[str, int, int]]:
    """(path, bytes unpacked, bytes packed) of each column of each row group. Raises ValueError for a damaged footer."""
    stream.seek(-8, 2)
    length = int.from_bytes(stream.read(4), "little")
    stream.seek(-8 - length, 2)
    try:
        footer = _Reader(stream.read(length)).struct(0)
        for group in footer[ROW_GROUPS]:
            for column in group[COLUMNS]:
                of = column[META_DATA]
                path = b".".join(of[PATH]).decode("utf-8", "backslashreplace")
                yield path, int(of[UNPACKED]), int(of[PACKED])
    except (IndexError, KeyError, TypeError) as e:
        raise ValueError("its footer is damaged") from e


class _Reader:
    """Reads values one after the other: a struct as a dict by field number, a list as a list."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def struct(self, depth: int) -> dict[int, Any]:
        if depth > DEEPEST:
            raise ValueError("its footer is nested too deeply")
        found, number = {}, 0
        while head := self._byte():
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._integer()
            found[number] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (TRUE, FALSE, BYTE):
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind == DOUBLE:
            return self._bytes(8)
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind in (LIST, SET):
            head = self._byte()
            size = head >> 4 if head >> 4 < 15 else self._varint()
            return [self._value(head & 15, depth) for _ in range(self._fitting(size))]
        if kind == MAP:
            size = self._fitting(self._varint())
            kinds = self._byte() if size else 0
            return [(self._value(kinds >> 4, depth), self._value(kinds & 15, depth)) for _ in range(size)]
        if kind == STRUCT:
            return self.struct(depth + 1)
        raise ValueError("its footer is damaged")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _bytes(self, size: int) -> bytes:
        self.at += self._fitting(size)
        return self.data[self.at - size : self.at]

    def _fitting(self, size: int) -> int:
        """A size that what is left can have: each item takes a byte at least."""
        if size > len(self.data) - self.at:
            raise ValueError("its footer is damaged")
        return size

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value, shift = value | (byte & 127) << shift, shift + 7
            if shift > 63:
                raise ValueError("its footer is damaged")
        return value | byte << shift

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
