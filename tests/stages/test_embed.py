import shutil

import numpy as np
import pytest

from datagen import shards
from datagen.config import model as configs
from datagen.config.data import EmbedConfig
from datagen.embed import encoder
from datagen.errors import StaleStage, UserError
from datagen.records import Chunk, Embedding, Judgement, texts_by_document
from datagen.run import identity
from datagen.run.run import Run
from datagen.run.shard import Shard
from datagen.stages import embed
from tests.servers import embeddings
from tests.servers.openai_server import serve
from tests.servers.settings import Settings


def test_every_chunk_has_its_vector(run):
    folder, config = run
    for name in shards.names(f"{folder}/chunk"):
        chunks = shards.read_rows(f"{folder}/chunk/{name}.parquet", Chunk)
        rows = shards.read_rows(f"{folder}/embed/{name}.parquet", Embedding)
        assert [(r.doc_id, r.chunk_index) for r in rows] == [(c.doc_id, c.chunk_index) for c in chunks]
        vectors = np.stack([r.vector for r in rows])
        assert vectors.dtype == np.float16
        assert np.linalg.norm(vectors.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)
    encoded = encoder.encode_documents(texts_by_document(chunks), config.embed)
    assert vectors.tobytes() == np.concatenate([found for found, _ in encoded.values()]).tobytes()


def test_similar_texts_have_similar_vectors(run):
    texts = ["The import system finds a module.", "How the import system finds a package.", "Recipes for apple pie."]
    one, other, far = encoder.encode(texts, run[1].embed).astype(np.float32)
    assert one @ other > one @ far + 0.2


def test_subtitles_are_compared_by_what_is_said():
    said = ["the lamp of the tower", "the oil of the lamp", "a wall of stones", "the stones of the harbour wall"]
    cues = [f"{i}\n00:0{i}:01,000 --> 00:0{i}:04,000\n{text}\n" for i, text in enumerate(said, 1)]
    settings = EmbedConfig()
    given = {"a": cues, "b": said}
    found = embed.encode(given, {"a": set(), "b": set()}, settings, lambda n: None)
    assert (found["a"][1] == found["b"][1]).all()
    blank = [*cues, "5\n00:05:01,000 --> 00:05:04,000\n"]  # nothing is said: its cue is all that it has
    assert embed.encode({"a": blank}, {"a": set()}, settings, lambda n: None)["a"][2].all()


def test_programs_are_compared_by_their_comments():
    told = "the lamp of the tower is lit by the keeper, who has bought its oil from a merchant of the town, and then "
    said = [told + "it burns until the sun is seen over the sea again"] * 2
    code = [f"# {said[0]}\nimport os\nfrom a import b\n", f"# {said[1]}\nfor c in d:\n    c.sort()\n"]
    code += ["import time\n\n\ndef e(f):\n    return f\n", "# by hand\nclass G:\n    pass\n"]
    vectors = embed.encode({"a": code}, {"a": set()}, EmbedConfig(), lambda n: None)["a"][1]
    assert (vectors[0] == vectors[1]).all()
    assert (vectors[2] != vectors[3]).any()


def test_a_shard_without_chunks_needs_no_model(tmp_path, settings):
    shards.write_rows(f"{tmp_path}/chunk/shard-00000.parquet", Chunk, [])
    config = settings("unused", embed__model="no/such-model")
    assert embed.process(Shard(str(tmp_path), "shard-00000", config)).rows == []


def test_identity_holds_the_model_and_not_the_device(run):
    folder, config = run
    stored = identity.load(f"{folder}/embed")
    assert stored is not None
    assert stored.fingerprints == {"encoder": encoder.identity(config.embed)}
    assert set(stored.settings) == {"embed.model", "embed.revision", "embed.dtype"}
    assert list(stored.upstream) == ["chunk"]


def test_another_threshold_needs_no_new_vectors(run, go, tmp_path):
    folder, config = run
    for name in ("chunk", "embed", "cluster"):
        shutil.copytree(f"{folder}/{name}", tmp_path / name)
    looser = configs.merge(config, {"cluster.min_cohesion": 0.4})
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "embed").rglob("*.parquet")}
    go(tmp_path, looser, "embed")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "embed").rglob("*.parquet")}
    with pytest.raises(StaleStage, match=r"cluster\.min_cohesion: 0\.3 there, 0\.4 now"):
        go(tmp_path, looser, "cluster")


@pytest.fixture
def served(corpus, settings):
    """A configuration whose encoder is at an address."""

    def at(url: str):
        small = {"chunk__max_tokens": 64, "chunk__documents_per_shard": 1, "cluster__min_cohesion": 0.3}
        return settings(corpus, **small, embed__model="scripted", embed__endpoints=[{"base_url": url}])

    return at


def test_a_server_embeds_chunks_and_questions(served, go, tmp_path):
    with serve() as server:
        config = served(server.url)
        assert embed.STAGE.main_process_only(config)
        go(tmp_path, config, "chunk", "embed", "cluster", "generate", "judge")
    for name in shards.names(f"{tmp_path}/chunk"):
        chunks = shards.read_rows(f"{tmp_path}/chunk/{name}.parquet", Chunk)
        rows = shards.read_rows(f"{tmp_path}/embed/{name}.parquet", Embedding)
        expected = np.array([embeddings.vector(c.text) for c in chunks])
        assert np.abs(np.stack([r.vector for r in rows]) - expected).max() < 1e-3
    judged = [
        row
        for name in shards.names(f"{tmp_path}/judge")
        for row in shards.read_rows(f"{tmp_path}/judge/{name}.parquet", Judgement)
    ]
    assert judged
    assert {len(row.question_vector) for row in judged} == {embeddings.DIMENSIONS}


def test_the_address_of_a_server_is_no_part_of_the_identity(served, go, tmp_path):
    with serve() as server:
        go(tmp_path, served(server.url), "chunk", "embed")
    go(tmp_path, served("http://127.0.0.1:9/v1"), "embed")  # nobody is asked
    stored = identity.load(f"{tmp_path}/embed")
    assert stored is not None
    assert stored.fingerprints == {"encoder": "served scripted@main"}
    assert "127.0.0.1" not in str(stored)


def test_a_shard_is_written_whole_or_not_at_all(served, go, tmp_path):
    whole = tmp_path / "whole"
    with serve() as server:
        go(whole, served(server.url), "chunk", "embed")
    refused: list[int] = []

    def too_long(body, asked) -> str | None:
        refused.append(len(body["input"]))
        return "context" if len(refused) == 8 else None

    run = tmp_path / "run"
    with (
        serve(Settings(faults=too_long)) as server,
        pytest.raises(UserError, match=r"longer than embed\.model 'scripted'"),
    ):
        go(run, served(server.url), "chunk", "embed")
    done = shards.names(f"{run}/embed")
    assert 0 < len(done) < len(shards.names(f"{whole}/embed"))
    with serve() as server:
        go(run, served(server.url), "embed")
        asked = server.stats.received.total()
    left = [name for name in shards.names(f"{whole}/embed") if name not in done]
    assert asked == sum(-(-len(shards.read_rows(f"{run}/chunk/{n}.parquet", Chunk)) // 16) for n in left)
    for name in shards.names(f"{whole}/embed"):
        file = f"embed/{name}.parquet"
        assert (run / file).read_bytes() == (whole / file).read_bytes()


def test_a_chunk_without_a_usable_vector_is_set_aside_and_the_rest_goes_on(run, go, tmp_path, monkeypatch):
    folder, config = run
    shutil.copytree(f"{folder}/chunk", tmp_path / "chunk")
    name = shards.names(f"{folder}/chunk")[0]
    chunks = shards.read_rows(f"{folder}/chunk/{name}.parquet", Chunk)
    bad = chunks[1]
    good = encoder.encode_documents

    def faulty(documents, *given):
        found = {}
        for doc_id, (vectors, usable) in good(documents, *given).items():
            at = np.array([doc_id == bad.doc_id and text == bad.text for text in documents[doc_id]], bool)
            found[doc_id] = np.where(at[:, None], 0, vectors), usable & ~at
        return found

    monkeypatch.setattr(encoder, "encode_documents", faulty)
    for stage in ("embed", "cluster"):
        go(tmp_path, config, stage)
    (row,) = [d for d in Run(str(tmp_path)).dropped("embed") if d.doc_id == bad.doc_id]
    assert (row.row_id, row.status, row.reason) == (f"{bad.doc_id}#1", "failed", "no usable vector")
    texts = {c.chunk_index: c.text for c in chunks if c.doc_id == bad.doc_id}
    clusters = [c for c in Run(str(tmp_path)).rows("cluster") if c.doc_id == bad.doc_id]
    assert all(1 not in c.chunk_indices and max(c.chunk_indices) < len(texts) for c in clusters)
    before = [c for c in Run(str(folder)).rows("cluster") if c.doc_id != bad.doc_id]
    assert [c for c in Run(str(tmp_path)).rows("cluster") if c.doc_id != bad.doc_id] == before


def test_vectors_of_another_size_than_those_before_are_noticed(tmp_path, settings):
    """A server that has begun to serve another model."""
    chunks = [Chunk("d", i, 0, 7, 3, f"Text {i}.") for i in range(3)]
    for name in ("shard-00000", "shard-00001"):
        shards.write_rows(f"{tmp_path}/chunk/{name}.parquet", Chunk, chunks)
    with serve() as server:
        config = settings("unused", embed__model="scripted", embed__endpoints=[{"base_url": server.url}])
        first = embed.process(Shard(str(tmp_path), "shard-00000", config))
        shards.write_rows(f"{tmp_path}/embed/shard-00000.parquet", Embedding, first.rows)
        assert len(embed.process(Shard(str(tmp_path), "shard-00001", config)).rows) == 3
    with serve(Settings(faults=lambda body, asked: "wider")) as server:
        config = settings("unused", embed__model="scripted", embed__endpoints=[{"base_url": server.url}])
        with pytest.raises(UserError, match="of 33 numbers for shard-00001, and gave 32 for shard-00000"):
            embed.process(Shard(str(tmp_path), "shard-00001", config))
