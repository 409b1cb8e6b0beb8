"""A folder that is one document, such as a repository: its files one by one, each under a line with its path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from datagen.config.data import InputConfig
from datagen.records import Document, Dropped
from datagen.text.decode import BadDocument
from datagen.text.files import File
from datagen.text.formats.extracted import HEADING, MOST_HEADINGS
from datagen.text.rows import canonical, check_size, dropped

HEADER = "===== {} ====="


def rows(
    folder: File, settings: InputConfig, read: Callable[[File], Iterable[Document | Dropped]]
) -> Iterator[Document | Dropped]:
    """The document, after a row for each part that cannot be read.

    read: gives what a part holds. The paths are the headings of the metadata, which also has how many files there are,
    and how many were left out, by reason.
    """
    texts: list[str] = []
    headings: list[tuple[int, int, str]] = []
    length = 0
    for part in folder.parts:
        for row in read(part):
            if isinstance(row, Dropped):
                yield row
                continue
            text = f"{HEADER.format(part.name)}\n\n{row.text.strip(chr(10))}"
            length += 2 * bool(texts)
            if len(headings) < MOST_HEADINGS:
                headings.append((length, 1, part.name[:HEADING]))
            texts.append(text)
            length += len(text)
            try:
                check_size(length, settings)
            except BadDocument as bad:
                yield dropped(bad, folder.name)
                return
    if texts:
        known = {"kind": "folder", "files": len(texts), "left_out": dict(folder.left_out), "headings": headings}
        metadata = canonical({name: value for name, value in known.items() if value})
        yield Document(folder.name, folder.name, "utf-8", metadata, "\n\n".join(texts))
