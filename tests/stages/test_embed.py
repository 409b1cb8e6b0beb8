import shutil

import numpy as np
import pytest

from datagen import config as configs
from datagen import identity, shards
from datagen.embed import encoder
from datagen.errors import StaleStage
from datagen.records import Chunk, Embedding
from datagen.stage import Shard
from datagen.stages import embed


def test_every_chunk_has_its_vector(run):
    folder, config = run
    for name in shards.names(f"{folder}/chunk"):
        chunks = shards.read_rows(f"{folder}/chunk/{name}.parquet", Chunk)
        rows = shards.read_rows(f"{folder}/embed/{name}.parquet", Embedding)
        assert [(r.doc_id, r.chunk_index) for r in rows] == [(c.doc_id, c.chunk_index) for c in chunks]
        vectors = np.stack([r.vector for r in rows])
        assert vectors.dtype == np.float16
        assert np.linalg.norm(vectors.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)
    assert vectors.tobytes() == encoder.encode([c.text for c in chunks], config.embed).tobytes()


def test_similar_texts_have_similar_vectors(run):
    texts = ["The import system finds a module.", "How modules are located when imported.", "A recipe for apple pie."]
    one, other, far = encoder.encode(texts, run[1].embed).astype(np.float32)
    assert one @ other > one @ far + 0.3


def test_a_shard_without_chunks_needs_no_model(tmp_path, settings):
    shards.write_rows(f"{tmp_path}/chunk/shard-00000.parquet", Chunk, [])
    config = settings("unused", embed__model="no/such-model")
    assert embed.process(Shard(str(tmp_path), "shard-00000", config)).rows == []


def test_identity_holds_the_model_and_not_the_device(run):
    folder, config = run
    stored = identity.load(f"{folder}/embed")
    assert stored is not None
    assert stored.facts == {"encoder": encoder.identity(config.embed)}
    assert set(stored.settings) == {"embed.model", "embed.revision", "embed.batch_size"}
    assert list(stored.upstream) == ["chunk"]


def test_another_threshold_needs_no_new_vectors(run, go, tmp_path):
    folder, config = run
    for name in ("chunk", "embed", "cluster"):
        shutil.copytree(f"{folder}/{name}", tmp_path / name)
    looser = configs.merge(config, {"cluster.min_similarity": 0.5})
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "embed").rglob("*.parquet")}
    go(tmp_path, looser, "embed")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "embed").rglob("*.parquet")}
    with pytest.raises(StaleStage, match=r"cluster\.min_similarity: 0\.6 there, 0\.5 now"):
        go(tmp_path, looser, "cluster")
