"""The one document that is asked about, out of whatever holds it."""

from __future__ import annotations

import sys
import tempfile
from itertools import islice
from pathlib import Path

from datagen.config.data import InputConfig
from datagen.errors import ConfigError, InputError
from datagen.records import Document, Dropped
from datagen.text import documents, passed, sources, stdin
from datagen.text.files import File

FEW = 5  # ids that a message lists


def one(path: str, settings: InputConfig, doc_id: str | None = None) -> tuple[Document, list[str]]:
    """A document, and what is to be said of the rest: sentences on what was passed over or set aside beside it.

    path: what `chunk` reads, a file, a folder, hf://owner/name, or "-" for standard input. doc_id: which document it is
    where there are several. Raises InputError where there is none that can be read, with the reason; ConfigError where
    there are several and none is chosen.
    """
    if path != "-":
        files, passed_over = sources.find(path, settings)
        document, said = _one(path, files, settings, doc_id)
        return document, [*said, *passed.told(path, passed_over)]
    if sys.stdin is None:
        raise InputError("standard input is closed: give a file or a folder")
    with tempfile.TemporaryDirectory() as folder:
        return _one("standard input", [stdin.spool(sys.stdin.buffer, Path(folder))], settings, doc_id)


def _one(path: str, files: list[File], settings: InputConfig, doc_id: str | None) -> tuple[Document, list[str]]:
    first: Document | None = None
    ids: list[str] = []
    dropped: list[Dropped] = []
    for row in documents.read(files, settings.model_copy(update={"limit": None})):
        if isinstance(row, Dropped):
            if len(dropped) < FEW or doc_id in (row.row_id, row.doc_id):
                dropped.append(row)
        elif row.doc_id == doc_id:
            return row, []
        elif len(ids) <= FEW:
            first = first or row
            ids.append(row.doc_id)
            if doc_id is None and len(ids) > FEW:
                break
    if doc_id is not None:
        raise _unknown(path, doc_id, ids, dropped)
    if first is None:
        raise InputError(f"{path}: no document can be read: {_listed([row.detail for row in dropped])}")
    if len(ids) > 1:
        which = f"{path} holds several documents, and a question is about one: choose it by its id, of {_listed(ids)}"
        raise ConfigError(which, ("--doc-id", ids[0]))
    return first, [f"set aside ({row.reason}): {row.detail}" for row in dropped]


def _unknown(path: str, doc_id: str, ids: list[str], dropped: list[Dropped]) -> InputError:
    """Why there is no document of this id: it cannot be read, or nothing is called so."""
    for row in dropped:
        if doc_id in (row.row_id, row.doc_id):
            return InputError(f"{path}: this document cannot be read ({row.reason}): {row.detail}")
    return InputError(f"{path}: no document has the id {doc_id!r}. There are {_listed(ids)}")


def _listed(found: list[str]) -> str:
    more = ["…"] if len(found) > FEW else []
    return "\n".join(["", *(f"  {each}" for each in [*islice(found, FEW), *more])]) if found else "none"
