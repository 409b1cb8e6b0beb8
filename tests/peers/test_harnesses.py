"""Harnesses as they are, through `serve`: each row is scored as the strict reader scores the response behind it.

HARNESS_PYTHON   an interpreter of an environment with lm_eval[api] and evalscope; the tests of one that is absent skip
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from datagen.grounding import tags, verify
from tests.serve.serving import code, document, finder, serving
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

pytestmark = pytest.mark.peers

ROWS = 120
QUESTION = "What is the keeper's code?"
EXAMPLES = Path(__file__).parents[2] / "examples" / "harness"
PYTHON = os.environ.get("HARNESS_PYTHON", "")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def has(module: str) -> bool:
    return bool(PYTHON) and subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0


def answers(body: dict) -> str:
    """A right answer of three, then a wrong one, one in the reasoning alone, and one that stands there twice."""
    right = finder(body)
    reading = tags.read_response(right)
    assert reading.answer
    number = int(reading.answer[1:6])
    said = {
        3: right.replace(reading.answer, "K99999-000000"),
        4: f"It is {reading.answer}.\n<useful_chunks>\n<CHUNK_1>\n</useful_chunks>\n<answer>\nunknown\n</answer>",
        5: f"{right}\n<answer>{reading.answer}</answer>",
    }
    return said.get(number % 6, right)


def strict() -> dict[str, bool]:
    """What the strict reader says of each row's response, by the row's answer."""
    found = {}
    for seed in range(ROWS):
        body = {"messages": [{"role": "user", "content": tags.render_context([document(seed)])}]}
        reading = tags.read_response(answers(body))
        found[code(seed)] = reading.parsed and verify.exact(code(seed), reading.answer or "")
    return found


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    lines = [{"document": document(i), "question": QUESTION, "answer": code(i)} for i in range(ROWS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def go(folder: Path, *words: str) -> str:
    env = os.environ | OFFLINE | {"OPENAI_API_KEY": "any", "HF_HOME": str(folder / "hf")}
    done = subprocess.run([PYTHON, *words], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.skipif(not has("lm_eval"), reason="HARNESS_PYTHON names no interpreter with lm_eval")
def test_lm_evaluation_harness(rows: Path):
    with serve(Settings(reply=answers)) as behind, serving(behind.url) as url:
        where = f"model=scripted,base_url={url}/chat/completions,num_concurrent=8,max_retries=1"
        go(
            rows,
            *("-m", "lm_eval", "--model", "local-chat-completions", "--apply_chat_template", "--model_args", where),
            *("--include_path", str(EXAMPLES), "--tasks", "keeper", "--log_samples", "--output_path", "results"),
        )
    (samples,) = (rows / "results").rglob("samples_keeper_*.jsonl")
    found = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(found) == ROWS
    scored = {each["target"]: bool(each["exact_match"]) for each in found}
    assert scored == strict()
    assert 0.4 < sum(scored.values()) / ROWS < 0.6


@pytest.mark.skipif(not has("evalscope"), reason="HARNESS_PYTHON names no interpreter with evalscope")
def test_evalscope(rows: Path):
    lines = [json.loads(line) for line in (rows / "rows.jsonl").read_text().splitlines()]
    data = rows / "data"
    data.mkdir()
    asked = [{"query": f"{r['document']}\n\nQuestion: {r['question']}", "response": r["answer"]} for r in lines]
    (data / "keeper.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    where = json.dumps({"general_qa": {"local_path": str(data), "subset_list": ["keeper"]}})
    with serve(Settings(reply=answers)) as behind, serving(behind.url) as url:
        go(
            rows,
            *("-m", "evalscope.cli.cli", "eval", "--model", "scripted", "--api-url", url, "--api-key", "any"),
            *("--eval-type", "openai_api", "--datasets", "general_qa", "--dataset-args", where),
            *("--eval-batch-size", "8", "--generation-config", '{"temperature": 0}', "--work-dir", "outputs"),
        )
    (reviews,) = (rows / "outputs").rglob("reviews/**/*.jsonl")
    found = [json.loads(line) for line in reviews.read_text().splitlines()]
    assert len(found) == ROWS
    scored = {row["target"][0]: row["sample_score"]["score"]["value"]["Rouge-L-R"] == 1.0 for row in found}
    assert scored == strict()
