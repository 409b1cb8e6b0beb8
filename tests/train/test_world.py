import numpy as np
import pyarrow.parquet as pq
import pytest

import datagen
from datagen.grounding import tags
from datagen.train import world


@pytest.mark.parametrize("name", ["fixed", "read"])
def test_a_row_s_labels_hold(name):
    rng = np.random.default_rng(0)
    row = world.row(3, name, 1.0, 0.0, rng, 7)
    info = row["extra_info"]
    context, _, question = row["prompt"][0]["content"].rpartition("\n")
    chunks = tags.read_context(context)
    assert question == info["question"]
    assert len(chunks) == info["n_chunks"] == world.CHUNKS[name]
    for topic, chunk in zip(question.split(","), info["ref_chunks"], strict=True):
        quote = chunks[chunk].removeprefix(topic)
        assert quote in info["answer"]
        assert quote.startswith(f"#{chunk}")
        assert name == "fixed" or chunks[chunk].startswith(topic)
    gold = tags.render_response(info["ref_chunks"], info["answer"])
    reward = datagen.score(row, gold)
    assert reward is not None
    assert reward.total == pytest.approx(2.0)


def test_what_is_written_is_a_dataset_and_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr(world, "PARTS", tuple((n, s, 20, r) for n, s, _, r in world.PARTS))
    world.write(tmp_path / "a", k=4, seed=1)
    world.write(tmp_path / "b", k=4, seed=1)
    for file in ("data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet", "model/config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    warm = pq.read_table(tmp_path / "a" / "warm" / "data" / "train-00000-of-00001.parquet").to_pylist()
    right = [row["extra_info"]["ref_chunks"] for row in warm]
    assert len(right) == 20
    assert all(len(chunks) == 4 for chunks in right)
