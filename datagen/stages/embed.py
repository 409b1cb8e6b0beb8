"""embed: a unit vector for every chunk but boilerplate, kept as float16 shards.

Its own stage, run by the `cluster` command, so that another threshold does not cost another embedding pass.
"""

import shlex
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import numpy as np

from datagen import records, shards
from datagen.config.data import EmbedConfig
from datagen.config.model import Config
from datagen.embed import encoder
from datagen.errors import UserError
from datagen.executors import local as executors
from datagen.records import BOILERPLATE, NO_VECTOR, Chunk, Dropped, Embedding
from datagen.run import tables
from datagen.run.paths import RunPaths
from datagen.run.run import Run
from datagen.run.shard import Output, Shard
from datagen.stages.stage import PerShard, Stage
from datagen.text import boilerplate, prose_view


def process(shard: Shard) -> Output:
    """The vectors of a shard's chunks, in their order. A chunk without a usable one is set aside, and so is one that is
    no part of what its document is about (see `text.boilerplate`): it can be in no cluster.
    """
    texts = records.texts_by_document(shard.rows("chunk", Chunk))
    left = boilerplate.flags(texts)
    executors.tick(sum(map(len, left.values())))
    encoded = encode(texts, left, shard.config.embed, executors.tick)
    output = Output([])
    for doc_id, (places, vectors, usable) in encoded.items():
        if len(vectors):
            _check_size(shard, vectors.shape[1])
        good = dict(zip(places, usable, strict=True))
        for at, vector in zip(places, vectors, strict=True):
            if good[at]:
                output.rows.append(Embedding(doc_id, at, vector))
        for at, text in enumerate(texts[doc_id]):
            row_id = f"{doc_id}#{at}"
            if at in left[doc_id]:
                detail = f"{left[doc_id][at]}: {text[:60]!r}"
                output.dropped.append(Dropped("chunk", row_id, doc_id, "rejected", BOILERPLATE, detail))
            elif not good[at]:
                detail = f"embed.model {shard.config.embed.model} gave zeros, or no numbers, for {text[:60]!r}"
                output.dropped.append(Dropped("chunk", row_id, doc_id, "failed", NO_VECTOR, detail))
    return output


Encoded = dict[str, tuple[list[int], np.ndarray, np.ndarray]]


def encode(
    texts: Mapping[str, Sequence[str]],
    left: Mapping[str, Container[int]],
    settings: EmbedConfig,
    on_progress: Callable[[int], None],
) -> Encoded:
    """For each document by its id: the numbers of its chunks but those `left` out, their vectors, (n, dim) float16, and
    (n,) which of these are usable.
    """
    places = {doc_id: [i for i in range(len(of)) if i not in left[doc_id]] for doc_id, of in texts.items()}
    asked = {}
    for doc_id, kept in places.items():
        if kept:
            compared = prose_view.compared(texts[doc_id])
            asked[doc_id] = [compared[i] for i in kept]
    found = encoder.encode_documents(asked, settings, on_progress)
    none = np.zeros((0, 0), np.float16), np.zeros(0, bool)
    return {doc_id: (kept, *found.get(doc_id, none)) for doc_id, kept in places.items()}


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
STAGE = Stage(tables.EMBED, ("embed",), WORK, fingerprints, main_process_only, names_gpu, check, version=4)
