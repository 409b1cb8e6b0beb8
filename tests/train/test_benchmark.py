"""A benchmark during training: asked and scored as `evaluate` does it, every k steps."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoTokenizer

from datagen import shards
from datagen.config.model import Config
from datagen.errors import ConfigError, InputError
from datagen.evaluate import layouts, summary
from datagen.evaluate.prediction import Prediction
from datagen.grounding import tags
from datagen.train import benchmark, tiny
from datagen.train.benchmark import Benchmark
from datagen.train.collect import Collector
from datagen.train.log import METRICS, read
from datagen.train.parallel import World
from datagen.train.types import Response
from tests.evaluate.test_benchmarks import prompt_row
from tests.train.calls import config, train
from tests.train.test_storage import SETTINGS
from tests.train.train_worlds import dataset

CPU = World(0, 1, torch.device("cpu"))
FILLER = "Nothing was to be seen, and the sea was calm. " * 12


def ruler(path: Path, n: int = 4) -> Path:
    """Questions as `evaluate ruler` builds them: the answer stands in one sentence of the document."""
    rows = []
    for i in range(n):
        fact = f"The ferry of Brin{i} leaves at {i + 3}:15."
        document = f"{FILLER}{fact} {FILLER}"
        row = {"item_id": f"qa_1/{i}", "task": "qa_1", "question": f"When does the ferry of Brin{i} leave?"}
        row |= {"outputs": [f"{i + 3}:15"], "document": document, "length": 256}
        rows.append(row | {"evidence": [[len(FILLER), len(FILLER) + len(fact)]]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Any:
    words = [FILLER, tags.render_response([0], "3:15"), "The ferry of Brin leaves at"]
    return AutoTokenizer.from_pretrained(tiny.build(tmp_path_factory.mktemp("model"), words, 400))


def loaded(tokenizer: Any, data: Path, room: int = 20_000, **settings: Any) -> Benchmark:
    given = {"train": {"model": "tiny", "eval": {"data": str(data)} | settings}, "chunk": {"max_tokens": 32}}
    whole = Config.model_validate(given)
    assert whole.train.eval
    return benchmark.load(whole.train.eval, whole, tokenizer, room, len(tokenizer))


class Says:
    """A sampler that gives each prompt the response that stands at its place."""

    def __init__(self, tokenizer: Any, said: list[str]) -> None:
        self.tokenizer, self.said = tokenizer, said
        self.temperatures: list[float] = []

    def sample(
        self, prompts: Sequence[torch.Tensor], seeds: Sequence[Any], temperature: float
    ) -> Iterator[list[tuple[int, list[Response]]]]:
        self.temperatures.append(temperature)
        assert all(len(each) == 1 for each in seeds)
        for i, _ in enumerate(prompts):
            tokens = self.tokenizer(self.said[i], add_special_tokens=False)["input_ids"]
            yield [(i, [Response([*tokens, self.tokenizer.eos_token_id], [0.0] * len(tokens), i != 3)])]

    def update_weights(self, model: Any) -> None: ...

    def close(self) -> None: ...


def same_as_score(metrics: dict[str, float], file: str, verifier: str = "exact") -> None:
    """What a run says is what `evaluate score` says of the responses that it kept."""
    found = summary.summary(summary.results(layouts.read(file), verifier))
    assert found["unanswered"] == 0
    assert metrics["strict"] == pytest.approx(found["strict"])
    assert metrics["evidence_recall"] == pytest.approx(found["evidence"]["recall"])
    assert metrics["evidence_precision"] == pytest.approx(found["evidence"]["precision"])
    assert metrics["format"] == pytest.approx(found["diagnostics"]["parsed"] / found["rows"])
    assert metrics["prompts"] == found["rows"]


def never(*_: Any) -> Any:
    raise AssertionError("the run's own verifier is not asked")


def test_a_prompt_shows_the_document_in_chunks_and_the_evidence_is_known(tokenizer, tmp_path):
    found = loaded(tokenizer, ruler(tmp_path / "qa_1.jsonl"), benchmark="ruler-qa")
    assert found.name == "ruler-qa"
    assert len(found.split) == len(found.asked) == 4
    for example, asked in zip(found.split.examples, found.asked, strict=True):
        text = tokenizer.decode(found.split.tokens[example.start : example.end])
        chunks = tags.read_context(text)
        assert len(chunks) == asked.n_chunks
        assert asked.gold_chunks
        assert any(asked.gold[0] in chunks[i] for i in asked.gold_chunks)
        assert asked.question in text
        assert asked.prompt_tokens == example.n_tokens
        assert asked.response is None


def test_the_strict_scores_of_known_responses(tokenizer, tmp_path):
    found = loaded(tokenizer, ruler(tmp_path / "qa_1.jsonl"), benchmark="ruler-qa")
    gold = [asked.gold_chunks or [] for asked in found.asked]
    said = [
        tags.render_response(gold[0], "At 3:15"),
        tags.render_response([0], "4:15"),  # right, and of another chunk
        tags.render_response(gold[2], "I have heard of 5:45"),
        "It is 6:15",  # no answer that can be read
    ]
    sampler = Says(tokenizer, said)
    rows, metrics = benchmark.evaluate(found, Collector(sampler, never, tokenizer, CPU), 0)  # pyright: ignore
    assert sampler.temperatures == [0.0]
    assert [row.response for row in rows] == said
    assert [row.finish for row in rows] == ["stop", "stop", "stop", "length"]
    assert metrics["prompts"] == 4
    assert metrics["strict"] == pytest.approx(2 / 4)
    assert metrics["format"] == pytest.approx(3 / 4)
    assert metrics["evidence_recall"] == pytest.approx(2 / 4)
    assert metrics["evidence_precision"] == pytest.approx(2 / 4)
    assert metrics["cut"] == pytest.approx(1 / 4)
    file = str(tmp_path / "predictions.parquet")
    shards.write_rows(file, Prediction, rows)
    same_as_score(metrics, file)


@pytest.mark.parametrize(("verifier", "strict"), [("exact", 0.0), ("contains", 1.0), ("llm", 0.0)])
def test_rows_of_a_dataset_are_verified_as_in_the_reward_and_no_model_is_asked(tokenizer, tmp_path, verifier, strict):
    pq.write_table(pa.Table.from_pylist([prompt_row(1)]), tmp_path / "a.parquet")
    asked = {"benchmark": "dataset", "data": str(tmp_path / "a.parquet")}
    whole = Config.model_validate({"train": {"model": "tiny", "eval": asked, "reward": {"verifier": verifier}}})
    assert whole.train.eval
    found = benchmark.load(whole.train.eval, whole, tokenizer, 20_000, len(tokenizer))
    sampler = Says(tokenizer, [tags.render_response([1], "a name Brin")])
    _, metrics = benchmark.evaluate(found, Collector(sampler, never, tokenizer, CPU), 0)  # pyright: ignore
    assert metrics["strict"] == strict


def test_a_benchmark_without_evidence_has_no_score_of_it(tokenizer, tmp_path):
    row = {"_id": "a", "domain": "d", "difficulty": "easy", "length": "short", "question": "Which?", "context": FILLER}
    row |= {f"choice_{letter}": f"the {letter}" for letter in "ABCD"} | {"answer": "B"}
    (tmp_path / "data.json").write_text(json.dumps([row]))
    found = loaded(tokenizer, tmp_path / "data.json", benchmark="longbench-v2")
    sampler = Says(tokenizer, [tags.render_response([0], "B")])
    _, metrics = benchmark.evaluate(found, Collector(sampler, never, tokenizer, CPU), 0)  # pyright: ignore
    assert metrics["strict"] == 1.0
    assert not [name for name in metrics if "evidence" in name]


def test_what_does_not_fit_is_set_aside_and_only_the_first_are_asked(tokenizer, tmp_path):
    file = ruler(tmp_path / "qa_1.jsonl", 5)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[1]["document"] += FILLER * 4
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = loaded(tokenizer, file, benchmark="ruler-qa", limit=None)
    room = sorted(example.n_tokens for example in whole.split.examples)[-2]
    found = loaded(tokenizer, file, room, benchmark="ruler-qa", limit=3)
    assert [example.qa_id for example in found.split.examples] == ["qa_1/0", "qa_1/2"]
    assert len(found.split.set_aside) == 1
    assert found.split.set_aside[0].startswith("qa_1/1: the prompt has ")
    with pytest.raises(InputError, match=r"no question that the model can be asked: qa_1/0: the prompt has"):
        loaded(tokenizer, file, 50, benchmark="ruler-qa")


def test_what_is_not_there_or_not_known(tokenizer, tmp_path):
    with pytest.raises(ConfigError, match=r"train.eval.benchmark: 'rular' is none of .*ruler-qa"):
        loaded(tokenizer, ruler(tmp_path / "qa_1.jsonl"), benchmark="rular")
    with pytest.raises(InputError, match="there is no such file"):
        loaded(tokenizer, tmp_path / "nothing.jsonl", benchmark="ruler-qa")


def test_a_run_scores_it_before_the_first_step_and_every_k_steps(tmp_path):
    data, out = dataset(tmp_path / "data"), tmp_path / "out"
    given = SETTINGS | {"eval": {"data": str(data), "every": 2}, "eval_every": 1, "eval_prompts": None}
    given["reward"] = SETTINGS["reward"] | {"verifier": "contains"}  # the scorer of the benchmark takes it, too
    told = train(data, "-c", config(tmp_path, **given), "-o", out, "--steps", 3)
    rows = [row for row in read(out / METRICS) if "eval/dataset/strict" in row]
    assert [row["step"] for row in rows] == [0, 2]
    assert "step 2/3 dataset: strict 0.000, evidence_recall " in told
    own = {row["step"]: row for row in read(out / METRICS) if "eval/reward" in row}
    for row in rows:
        assert row["eval/dataset/prompts"] == 2
        assert row["eval/dataset/strict"] == own[row["step"]]["eval/answer"]  # of the same rows, greedy as well
        assert row["eval/dataset/format"] == own[row["step"]]["eval/format"]
        kept = str(out / "samples" / f"dataset-{row['step']:06d}.parquet")
        same_as_score({name.rpartition("/")[2]: value for name, value in row.items()}, kept, "contains")
    assert f"{out}/samples/step-000003.parquet: what the model wrote last" in told  # in its rollouts


def test_other_settings_of_it_are_no_other_run(tmp_path):
    data, out = dataset(tmp_path / "data"), tmp_path / "out"
    file = ruler(tmp_path / "qa_1.jsonl", 2)
    train(data, "-c", config(tmp_path, **SETTINGS), "-o", out, "--steps", 1)
    given = SETTINGS | {"eval": {"data": str(file), "benchmark": "ruler-qa", "every": 1, "limit": 1}}
    told = train(data, "-c", config(tmp_path, **given), "-o", out, "--steps", 2)
    assert "step 2/2 ruler-qa: strict" in told
    assert [row["step"] for row in read(out / METRICS) if "eval/ruler-qa/strict" in row] == [2]


def test_data_that_is_not_there_stops_before_anything_is_written(tmp_path):
    data, out = dataset(tmp_path / "data"), tmp_path / "out"
    given = SETTINGS | {"eval": {"data": str(tmp_path / "nothing"), "benchmark": "ruler-qa"}}
    told = train(data, "-c", config(tmp_path, **given), "-o", out, code=1)
    assert "there is no such file or folder" in told
    assert not (out / METRICS).exists()
