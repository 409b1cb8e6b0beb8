"""chunk: read raw documents and cut them into token-bounded chunks with exact offsets. Fixes the sharding, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from datagen import shards
from datagen.config.model import Config
from datagen.errors import DamagedFile, InputError
from datagen.records import Chunk, Document, Dropped
from datagen.run import hashes, tables
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Source, Stage
from datagen.text import documents, sources, splitter, tokenizers
from datagen.text.formats import reader

SHARD_CHARS = 500_000  # a book or two: few enough to spread over workers, enough to be worth a file


def read(config: Config) -> Iterator[tuple[str, list[Document | Dropped]]]:
    """The input in shards: (name, documents and rows set aside), in the order of the input.

    Raises InputError for input that cannot be read, and with `input.strict` for the first row that is set aside.
    """
    files, _ = sources.find(config.input.path or "", config.input)
    documents.check(files, config.input)
    if config.input.strict:
        for row in documents.read(files, config.input):
            if isinstance(row, Dropped):
                raise InputError(f"{row.detail} (--strict stops at the first bad row; nothing was written)")
    batch: list[Document | Dropped] = []
    n_documents = n_chars = n_shards = 0
    for row in documents.read(files, config.input):
        size = len(row.text) if isinstance(row, Document) else 0
        full = n_documents == config.chunk.documents_per_shard or n_chars + size > SHARD_CHARS
        if full and n_documents and isinstance(row, Document):
            yield f"shard-{n_shards:05d}", batch
            batch, n_documents, n_chars, n_shards = [], 0, 0, n_shards + 1
        batch.append(row)
        n_documents += isinstance(row, Document)
        n_chars += size
    if batch:
        yield f"shard-{n_shards:05d}", batch


def process(shard: Shard, read: list[Document | Dropped]) -> Output:
    """Cut what was read for a shard."""
    settings = shard.config.chunk
    tokenizer = tokenizers.load(settings.tokenizer)
    rows: list[Chunk] = []
    kept: list[Document] = []
    dropped: list[Dropped] = []
    for document in read:
        if isinstance(document, Dropped):
            dropped.append(document)
            continue
        chunks = cut(document, tokenizer, settings.max_tokens, settings.published)
        n_tokens = sum(c.n_tokens for c in chunks)
        if n_tokens < settings.min_document_tokens:
            reason, limit = "too short", f"chunk.min_document_tokens is {settings.min_document_tokens}"
        elif settings.max_document_tokens and n_tokens > settings.max_document_tokens:
            reason, limit = "too long", f"chunk.max_document_tokens is {settings.max_document_tokens}"
        else:
            rows += chunks
            kept.append(document)
            continue
        detail = f"{document.source}: {n_tokens:,} tokens, {limit}"
        dropped.append(Dropped("document", document.doc_id, document.doc_id, "rejected", reason, detail))
    return Output(rows, dropped, {"documents": kept})


def cut(document: Document, tokenizer: tokenizers.Tokenizer, max_tokens: int, published: bool = False) -> list[Chunk]:
    """A document's chunks, at most `max_tokens` each, cut as `splitter.split` does. Raises as that does."""
    text = document.text
    return [
        Chunk(document.doc_id, i, start, end, n_tokens, text[start:end])
        for i, (start, end, n_tokens) in enumerate(splitter.split(text, tokenizer, max_tokens, published))
    ]


def fingerprints(config: Config, run: Run) -> dict[str, Any]:
    """What the input and the tokenizer hold, and what reads documents of other formats, where there are any."""
    files, _ = sources.find(config.input.path or "", config.input)
    documents.check(files, config.input)
    try:
        cache = hashes.load(run)
    except DamagedFile:  # all that it holds is made again of the files themselves
        shards.remove(run.input_hashes)
        cache = {}
    before = json.dumps(cache, sort_keys=True)
    content = sources.fingerprint(files, cache, config.input)
    if json.dumps(cache, sort_keys=True) != before:
        hashes.save(run, cache)
    found = {"input content": content, "tokenizer": tokenizers.load(config.chunk.tokenizer).identity}
    versions = reader.versions({each.kind for file in files for each in (file, *file.parts)})
    return found | ({"readers of documents": versions} if versions else {})


LAYOUT = frozenset(
    {"input content", "input.limit", "input.max_document_mb", "input.text_column", "input.id_column", "input.encoding"}
    | {"input.hf_subset", "input.hf_split", "input.hf_revision", "input.extensions", "input.folder_is_document"}
    | {"readers of documents", "chunk.documents_per_shard"}
)
STAGE = Stage(tables.CHUNK, ("input", "chunk"), Source(read, process, LAYOUT), fingerprints, version=3)
