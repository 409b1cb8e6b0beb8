import asyncio
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datagen import shards
from datagen.checks.neighbours import Neighbours
from datagen.embed import encoder
from datagen.records import Embedding, Judgement
from datagen.run.shard import Shard
from datagen.stages import embed
from datagen.text import prose_view
from tests.checks.cases import NAME, TEXTS, candidate, made
from tests.servers import embeddings
from tests.servers.openai_server import serve


def neighbours(tmp_path: Path) -> Neighbours:
    run = made(tmp_path, TEXTS)
    return Neighbours(Shard(run.folder, NAME, run.config), [candidate()], {"d": TEXTS})


def test_the_nearest_chunks_are_tried(tmp_path):
    near = neighbours(tmp_path)
    found = asyncio.run(near.of(candidate(), 3, [0, 3], 9))
    assert found[0] == 5
    assert sorted(found) == [1, 2, 4, 5]
    assert asyncio.run(near.of(candidate(), 3, [0, 3], 2)) == found[:2]


def test_the_encoder_is_asked_once_and_outside_of_the_event_loop(tmp_path, monkeypatch):
    asked = []

    def encode(texts, chunks, settings):
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        asked.append(texts)
        return np.ones((len(texts), 384), np.float16)

    async def many() -> list[list[int]]:
        return await asyncio.gather(*(near.of(candidate(), 3, [0, 3], 2) for _ in range(5)))

    monkeypatch.setattr(encoder, "encode_queries", encode)
    near = neighbours(tmp_path)
    assert asked == []
    found = asyncio.run(many())
    assert len(asked) == 1
    assert all(each == found[0] for each in found)


def test_a_model_judges_where_the_encoder_is_behind_servers(tmp_path):
    with serve() as server:
        served = {"embed__model": "scripted", "embed__endpoints": [{"base_url": server.url}]}
        run = made(tmp_path, TEXTS[:5], dimensions=embeddings.DIMENSIONS, judge__checks=["quality", "completeness"])
        run.go(**served)
        assert server.stats.requests == 2  # for the question, while it is judged and when it is written
    (row,) = run.rows("judge", Judgement)
    assert row.checks == ["quality", "completeness"]


def test_questions_are_embedded_in_the_space_of_the_vectors(tmp_path):
    said = ["The harbour froze.", "A ship sank.", "Bread was dear.", "The miller died.", "Sails were mended."]
    cues = [f"{i}\n00:00:{i:02d},000 --> 00:00:{i + 1:02d},000\n{text}\n" for i, text in enumerate(said * 2, 1)]
    texts = ["".join(cues[i : i + 2]) for i in range(0, 10, 2)]
    run = made(tmp_path, texts)
    encoded = embed.encode({"d": texts}, {"d": ()}, run.config.embed, lambda n: None)["d"]
    rows = [Embedding("d", i, vector) for i, vector in zip(encoded[0], encoded[1], strict=True)]
    shards.write_rows(f"{run.folder}/embed/{NAME}.parquet", Embedding, rows, {})
    again = candidate(question=f"{said[0]}\n{said[1]}\n")
    near = Neighbours(Shard(run.folder, NAME, run.config), [again], {"d": texts})
    assert (near._vectors["d"] @ near._questions[again.qa_id]).argmax() == 0
    alone = encoder.encode_queries([again.question], prose_view.compared(texts), run.config.embed)
    assert near._questions[again.qa_id].tobytes() == alone[0].astype(np.float32).tobytes()


SCORES = """
import sys
from datagen.checks.neighbours import Neighbours
from tests.checks.cases import TEXTS, candidate
texts = [f"{text} {' '.join(f'word{i}' for i in range(40 - n))}" for n, text in enumerate(TEXTS * 3)]
print(Neighbours(None, [], {"d": texts}).by_words(candidate(), 3).tobytes().hex())
"""


def test_words_weigh_the_same_in_every_process():
    seeds = [{**os.environ, "PYTHONHASHSEED": str(seed)} for seed in range(4)]
    runs = [subprocess.run([sys.executable, "-c", SCORES], env=e, capture_output=True, check=True) for e in seeds]
    assert len({run.stdout for run in runs}) == 1
