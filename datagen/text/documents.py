"""Raw documents as rows: what can be read becomes a Document, what cannot becomes a Dropped that says why.

The text of JSON lines (`jsonl`) and of parquet (`arrow`) is left as it is. A text file is one document: its line ends
become `\\n`, as Python's text mode reads them, because paragraphs are found by blank lines. Its encoding is
`input.encoding`, or detected, and a file that fits none with confidence is dropped.

A row without an id (absent, null or blank) is named after its place: "name:line", in parquet and hf "name:row" with
rows from 0, for a text file "name". A row's other columns are kept as one JSON object with sorted keys: NaN and the
infinities become null, dates and times ISO 8601, bytes base64, a decimal or anything else JSON lacks its string.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from datagen.config.data import InputConfig
from datagen.errors import InputError
from datagen.executors.local import cores
from datagen.records import Document, Dropped
from datagen.text import arrow, decode, jsonl, kinds, repository, sources
from datagen.text.decode import BadDocument
from datagen.text.files import File
from datagen.text.formats.reader import Readers
from datagen.text.rows import MB, canonical, check_size, check_text, damaged, dropped, shown


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
    if file.kind == "foreign":
        raise InputError(
            f"{file.path}: it is {file.what}, whatever its name says" + (f": {file.help}" if file.help else "")
        )
    if file.kind == "folder":
        return
    if file.kind == "hf":
        arrow.check_columns(file, sources.load_hf(file, settings).features.arrow_schema, settings)
        return
    with sources.opened(file) as stream:
        if file.kind == "parquet" and stream.peek(1):  # one of zero bytes is an empty file, dropped as any other
            parquet = arrow.opened(file, stream)
            arrow.check_columns(file, parquet.schema_arrow, settings)
            arrow.batch_size(file, stream, settings)
        elif file.kind == "jsonl":
            jsonl.check(file, stream)


def read(files: list[File], settings: InputConfig) -> Iterator[Document | Dropped]:
    """Every row of every file, in order, until `settings.limit` documents are read. Raises what `check` raises,
    and UserError where what reads other formats does not start.

    Of what was read only the ids and their places are kept, to find duplicates: about 170 bytes a document.
    """
    check(files, settings)
    places: dict[str, str] = {}
    others = [each for file in files for each in file.parts or (file,) if each.kind in kinds.NEEDS]
    with closing(Readers(others, settings.max_document_mb * MB, cores(), settings.encoding)) as readers:
        if others:
            readers.check({module for each in others for module in kinds.NEEDS[each.kind]})
        for file in files:
            seen = False
            for row in _of_file(file, settings, readers):
                seen = True
                if isinstance(row, Document):
                    first = places.setdefault(row.doc_id, row.source)
                    if first != row.source:
                        what = f"the id {shown(row.doc_id)} was taken before, by {first[-80:]}"
                        row = dropped(BadDocument("duplicate id", what, row.doc_id), row.source)
                yield row
                if len(places) == settings.limit:
                    return
            if not seen:
                yield dropped(BadDocument("empty file", "the file holds no document"), file.name)


def _of_file(file: File, settings: InputConfig, readers: Readers) -> Iterator[Document | Dropped]:
    """Its rows; of a file that can't be used, among others that can, one that says why."""
    try:
        _check(file, settings)
    except InputError as e:
        yield dropped(BadDocument("unusable file", str(e).removeprefix(f"{file.path}: ")), file.name)
        return
    yield from _rows(file, settings, readers)


def _rows(file: File, settings: InputConfig, readers: Readers) -> Iterator[Document | Dropped]:
    if file.kind == "folder":
        return repository.rows(file, settings, lambda part: _rows(part, settings, readers))
    if file.kind in kinds.NEEDS:
        return _extracted_rows(file, settings, readers)
    if file.kind == "hf":
        data = sources.load_hf(file, settings).with_format("arrow")
        return arrow.rows(file, data.iter(batch_size=arrow.BATCH), settings)
    if file.kind == "parquet":
        return arrow.of_parquet(file, settings)
    if file.kind == "json":
        return jsonl.of_object(_text_rows(file, settings, jsonl.decoded), settings)
    if file.kind == "jsonl":
        return jsonl.rows(file, settings)
    return _text_rows(file, settings, partial(decode.decode, encoding=settings.encoding))


def _text_rows(
    file: File, settings: InputConfig, decoded: Callable[[bytes], tuple[str, str]]
) -> Iterator[Document | Dropped]:
    try:
        with sources.opened(file) as stream:
            raw = stream.read(settings.max_document_mb * MB + 1)
    except sources.DAMAGE as e:
        yield dropped(damaged(file, e), file.name)
        return
    if not raw:
        return
    try:
        check_size(len(raw), settings)
        text, encoding = decoded(raw)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        check_text(text, "the text")
        yield Document(doc_id=file.name, source=file.name, encoding=encoding, metadata=_of_kind(file), text=text)
    except BadDocument as bad:
        yield dropped(bad, file.name)


def _of_kind(file: File) -> str:
    """What a text file's metadata says: its kind, where it is more than plain text or Markdown."""
    kind = kinds.of_name(file.name)
    return "{}" if kind is None or kind in kinds.PLAIN else canonical({"kind": kind})


def _extracted_rows(file: File, settings: InputConfig, readers: Readers) -> Iterator[Document | Dropped]:
    """The one document in a file of another format."""
    try:
        text, encoding, known = readers.read(file)
        check_size(len(text), settings)
        check_text(text, "the text")
        yield Document(file.name, file.name, encoding, canonical(known), text)
    except sources.DAMAGE as e:
        yield dropped(damaged(file, e), file.name)
    except BadDocument as bad:
        if sources.size(file):
            yield dropped(bad, file.name)
