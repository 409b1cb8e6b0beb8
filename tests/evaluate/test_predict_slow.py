"""A real model of random weights, and more text than should be in memory at once."""

import threading
from pathlib import Path

import pytest

from datagen import shards
from datagen.evaluate.prediction import Prediction
from tests import memory
from tests.commands.calls import call
from tests.evaluate import made
from tests.servers import tiny_model
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

pytestmark = pytest.mark.slow


def arguments(url: str, data: Path, out: Path, *more: str) -> list[str]:
    asked = ["evaluate", "run", "--benchmark", "ruler-qa", "--data", str(data), "--model", "tiny", "--base-url", url]
    return [*asked, "-o", str(out), *more]


def test_a_real_model_from_question_to_prediction(tmp_path):
    """It writes nonsense, the same whenever it is asked: what is stored is what it wrote, to the letter."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = tiny_model.build(tmp_path / "tiny", context=8192)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    wrote, lock = {}, threading.Lock()

    def generate(body) -> str:
        with lock, torch.no_grad():
            prompt = tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True, tokenize=False)
            ids = tokenizer(prompt, return_tensors="pt").input_ids
            out = model.generate(ids, do_sample=False, max_new_tokens=body["max_tokens"])
            text = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        wrote[body["messages"][0]["content"]] = text
        return text

    made.hotpotqa(tmp_path / "dev.json")
    data = tmp_path / "qa_2.parquet"
    assert call("evaluate", "ruler", tmp_path / "dev.json", "--tokens", "500", "-o", data).exit_code == 0
    more = ("--set", f"chunk.tokenizer=hf:{folder}", "--set", "chunk.max_tokens=64", "--max-response-tokens", "40")
    with serve(Settings(reply=generate, says={"max_model_len": 8192})) as server:
        result = call(*arguments(server.url, data, tmp_path / "out", *more))
        again = call(*arguments(server.url, data, tmp_path / "again", *more))
    assert (result.exit_code, again.exit_code) == (0, 0), result.stderr
    (rows,) = (shards.read_rows(str(path), Prediction) for path in (tmp_path / "out").glob("*.parquet"))
    assert len(rows) == 7
    for row in rows:
        (prompt,) = (prompt for prompt in wrote if row.question in prompt)
        assert row.response == wrote[prompt]
        assert row.response.strip()
        assert row.gold_chunks
    name = "predictions-00000.parquet"
    assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_memory_does_not_grow_with_the_benchmark(tmp_path):
    """Four times as many questions, of 200,000 characters each."""
    text = made.prose("long", 3_000)
    peaks = {}
    for n in (160, 640):
        data = made.write(tmp_path / f"{n}.json", [made.longbench_row(i, f"Tale {i}. {text}") for i in range(n)])
        with serve(Settings(reply="<answer>A</answer>", latency=0.02)) as server:
            command = ["evaluate", "run", "--benchmark", "longbench-v2", "--data", str(data), "--model", "any"]
            done = memory.python("-m", "datagen", *command, "--base-url", server.url, "-o", str(tmp_path / f"out{n}"))
        assert done.code == 0, done.stderr
        peaks[n] = done.peak
    print(peaks)
    assert peaks[640] < peaks[160] + 60  # the text alone has 150 MB
