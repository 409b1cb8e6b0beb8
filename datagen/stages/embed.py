"""embed: a unit vector for every chunk, kept as float16 shards.

Its own stage, run by the `cluster` command, so that another similarity threshold does not cost another embedding pass.
"""

import shlex
from typing import Any

from datagen import records, shards
from datagen.config.model import Config
from datagen.embed import encoder
from datagen.errors import UserError
from datagen.executors import local as executors
from datagen.records import NO_VECTOR, Chunk, Dropped, Embedding
from datagen.run import tables
from datagen.run.paths import RunPaths
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.stages.stage import PerShard, Stage


def process(shard: Shard) -> Output:
    """The vectors of a shard's chunks, in their order. A chunk without a usable one is set aside."""
    chunks = shard.rows("chunk", Chunk)
    encoded = encoder.encode_documents(records.texts_by_document(chunks), shard.config.embed, executors.tick)
    vectors = [vector for found, _ in encoded.values() for vector in found]
    usable = [good for _, found in encoded.values() for good in found]
    if chunks:
        _check_size(shard, len(vectors[0]))
    output = Output([])
    for c, vector, good in zip(chunks, vectors, usable, strict=True):
        if good:
            output.rows.append(Embedding(c.doc_id, c.chunk_index, vector))
        else:
            detail = f"embed.model {shard.config.embed.model} gave zeros, or no numbers, for {c.text[:60]!r}"
            row_id = f"{c.doc_id}#{c.chunk_index}"
            output.dropped.append(Dropped("chunk", row_id, c.doc_id, "failed", NO_VECTOR, detail))
    return output


def _check_size(shard: Shard, size: int) -> None:
    """Raise UserError where another shard's vectors have another size: whoever embeds has changed the model."""
    for name in RunPaths(shard.run).names("embed"):
        found = shards.read_table(RunPaths(shard.run).shard("embed", name), ["vector"])["vector"]
        if len(found) and len(found[0]) != size:
            raise UserError(
                f"embed.model {shard.config.embed.model} gives vectors of {size} numbers for {shard.name}, and gave "
                f"{len(found[0])} for {name}: it has become another. To embed all with the one of now:\n"
                f"  longrlvr-data cluster -o {shlex.quote(shard.run)} --resume never"
            )
        if len(found):
            return  # all that are there were held against each other


def fingerprints(config: Config, run: Run) -> dict[str, Any]:
    """Which model, and which version of it."""
    return {"encoder": encoder.identity(config.embed)}


def main_process_only(config: Config) -> bool:
    """Whether the encoder owns a GPU."""
    return encoder.main_process_only(config.embed)


def names_gpu(config: Config) -> bool:
    """Whether the settings say that the encoder is on a GPU."""
    return encoder.names_gpu(config.embed)


def check(config: Config) -> None:
    """Raise UserError where there is no encoder."""
    encoder.check(config.embed)


WORK = PerShard(process, reports_progress=True)
STAGE = Stage(tables.EMBED, ("embed",), WORK, fingerprints, main_process_only, names_gpu, check, version=3)
