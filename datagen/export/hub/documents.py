"""Each document of a dataset once, put together from what the prompts show of it.

Prompts show windows of a document: the texts of its chunks lie in a file, and only where each of them lies is held in
memory.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

_UNKNOWN = -1  # the length of a chunk that no prompt showed so far


@dataclass
class _Document:
    document_id: str
    doc_id: str | None
    starts: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("q"))


class Documents:
    """The documents that were seen so far, their texts in `spool`, a file open for reading and writing."""

    def __init__(self, spool: BinaryIO) -> None:
        self._spool = spool
        self._size = 0
        self._all: dict[str, _Document] = {}
        self._of: dict[str | None, list[_Document]] = {}  # by doc_id: most often one

    def __len__(self) -> int:
        return len(self._all)

    def place(self, doc_id: str | None, first: int | None, chunks: Sequence[str]) -> tuple[str, int]:
        """Take down what a prompt shows of a document: (the document's id here, the chunk of it that comes first).

        That id is `doc_id`, unless the chunks are others than those that another prompt shows under this id, which
        makes it another document. Where it is not known which chunk of which document comes first, what is shown is a
        document of its own, named by its content.
        """
        if doc_id is None or first is None:
            whole = hashlib.sha256("\0".join([doc_id or "", *chunks]).encode()).hexdigest()
            name, first = f"sha256-{whole[:32]}", 0
        else:
            name = doc_id
        texts = [chunk.encode() for chunk in chunks]
        for document in self._of.get(name, ()):
            if self._agrees(document, first, texts):
                break
        else:
            document = _Document(self._free(name), doc_id)
            self._all[document.document_id] = document
            self._of.setdefault(name, []).append(document)
        self._keep(document, first, texts)
        return document.document_id, first

    def rows(self) -> Iterator[dict[str, Any]]:
        """The documents in the order in which they were first seen; a chunk that no prompt showed is None."""
        for document in self._all.values():
            chunks = [self._text(*place) for place in zip(document.starts, document.lengths, strict=True)]
            yield {
                "document_id": document.document_id,
                "doc_id": document.doc_id,
                "chunks": [None if text is None else text.decode() for text in chunks],
            }

    def _free(self, name: str) -> str:
        """The name, or the first with a number that no document has."""
        number, free = 1, name
        while free in self._all:
            number += 1
            free = f"{name}#{number}"
        return free

    def _agrees(self, document: _Document, first: int, texts: list[bytes]) -> bool:
        for i, text in enumerate(texts[: max(0, len(document.starts) - first)], first):
            length = document.lengths[i]
            if length != _UNKNOWN and (length != len(text) or self._text(document.starts[i], length) != text):
                return False
        return True

    def _keep(self, document: _Document, first: int, texts: list[bytes]) -> None:
        more = first + len(texts) - len(document.starts)
        document.starts.extend([0] * more)
        document.lengths.extend([_UNKNOWN] * more)
        self._spool.seek(0, 2)
        for i, text in enumerate(texts, first):
            if document.lengths[i] == _UNKNOWN:
                document.starts[i], document.lengths[i] = self._size, len(text)
                self._size += self._spool.write(text)

    def _text(self, start: int, length: int) -> bytes | None:
        if length == _UNKNOWN:
            return None
        self._spool.seek(start)
        return self._spool.read(length)
