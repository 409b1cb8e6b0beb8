"""embed: a unit vector for every chunk, kept as float16 shards.

Its own stage, run by the `cluster` command, so that another similarity threshold does not cost another embedding pass.
"""

from typing import Any

from datagen.config.model import Config
from datagen.embed import encoder
from datagen.executors import local as executors
from datagen.records import Chunk, Embedding
from datagen.run.shard import Output, Shard
from datagen.stages.stage import Stage


def process(shard: Shard) -> Output:
    chunks = shard.rows("chunk", Chunk)
    vectors = encoder.encode([c.text for c in chunks], shard.config.embed, executors.tick)
    return Output([Embedding(c.doc_id, c.chunk_index, v) for c, v in zip(chunks, vectors, strict=True)])


def facts(config: Config, run: str) -> dict[str, Any]:
    return {"encoder": encoder.identity(config.embed)}


def alone(config: Config) -> bool:
    return encoder.alone(config.embed)


STAGE = Stage(
    name="embed",
    record=Embedding,
    takes="chunk",
    makes="chunk",
    reads=("chunk",),
    settings=("embed",),
    process=process,
    facts=facts,
    alone=alone,
    ticks=True,
    version=2,
)
