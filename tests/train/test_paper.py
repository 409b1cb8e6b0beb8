"""The published recipe, as it is shipped, with a small model and a judge at a real server."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datagen.train.log import METRICS, read
from tests.servers import model
from tests.servers.openai_server import serve
from tests.servers.settings import Settings
from tests.train.calls import train
from tests.train.train_worlds import row

SMALL = (
    "batch=2",
    "mini_batch=2",
    "rollout.max_tokens=24",
    "rollout.n=4",
    "reward.overlong_buffer=20",
    "save_every=100",
)


def dataset(folder: Path, **info: Any) -> Path:
    """In the layout that LongRLVR's data is published in, with a validation file beside it."""
    folder.mkdir()
    for split, n in (("train", 4), ("val", 3)):
        rows = [row(i) for i in range(n)]
        for r in rows:
            r["reward_model"] = {"ground_truth": r["extra_info"].pop("answer"), "style": "rule"}
            r["extra_info"].pop("qa_id")
            r["extra_info"] |= info
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{'train' if split == 'train' else 'validation'}.parquet")
    return folder


def paper(data: Path, out: Path, url: str, code: int = 0) -> str:
    smaller = [word for setting in SMALL for word in ("--set", f"train.{setting}")]
    judge = ("--base-url", url, "--set", "train.engine.model=judge", "--set", "train.engine.max_attempts=1")
    return train(data, "-c", "train-paper", "--model", "tiny", "-o", out, *judge, *smaller, code=code)


def test_five_passes_after_the_whole_validation_split_with_a_judge_that_sees_the_evidence(tmp_path):
    data, out = dataset(tmp_path / "data", ref_chunks_text=["the ash", "the birch"]), tmp_path / "out"
    seen: list[str] = []

    def judged(body: dict[str, Any]) -> str:
        seen.append(body["messages"][0]["content"])
        return model.reply(body)

    with serve(Settings(reply=judged)) as server:
        paper(data, out, server.url)
    first, *_ = rows = read(out / METRICS)
    assert (first["step"], first["eval/prompts"]) == (0, 3)
    drawn = [row["groups_drawn"] for row in rows if "reward" in row]
    assert sum(drawn[:-1]) <= 18 < sum(drawn)  # five passes over four rows; the last batch is begun within them
    assert json.loads((out / "stage.json").read_text())["fingerprints"]["grader"]
    assert len(seen) == 12  # the pairs that it is tried out with; the tiny model writes nothing that can be read
    assert all("<evidence>" in text for text in seen)


def test_a_judge_that_does_not_go_by_the_evidence_is_refused(tmp_path):
    data = dataset(tmp_path / "data", ref_chunks_text=["the ash", "the birch"])
    with serve(Settings(reply=json.dumps({"reference": "a", "other": "b", "same": True}))) as server:
        told = paper(data, tmp_path / "out", server.url, code=1)
    assert "judge can't tell whether two answers say the same" in told
    assert not (tmp_path / "out" / METRICS).exists()


def test_a_dataset_without_the_text_of_the_evidence_is_refused(tmp_path):
    with serve(Settings(reply=model.reply)) as server:
        told = paper(dataset(tmp_path / "data"), tmp_path / "out", server.url, code=1)
        assert server.stats.requests == 0
    assert "train.parquet, row 1: extra_info.ref_chunks_text, the text of the labelled chunks, is not there" in told
