"""Exports in the hands of the trainers themselves: `make test-peers`.

PEERS_PYTHON  an interpreter that has TRL, verl, OpenRLHF and verifiers
SLIME         a checkout of slime, which no package index has; without it, slime is passed over
"""

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import datagen
from datagen.dataset import read
from datagen.export import targets
from datagen.grounding import tags, verify
from datagen.train import tiny
from tests.export.test_reward_file import labellings
from tests.grounding.test_tags import RECORDED
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

pytestmark = pytest.mark.peers

PYTHON = os.environ.get("PEERS_PYTHON", "")
SLIME = os.environ.get("SLIME", "")
FRAMEWORKS = sorted(set(targets.TARGETS) - {"jsonl"})


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run on the quickstart corpus."""
    folder = tmp_path_factory.mktemp("run")
    ours("quickstart-corpus", str(folder / "corpus"))
    ours("run", "-c", "quickstart", "--input", str(folder / "corpus"), "-o", str(folder / "run"), "--limit", "12")
    return folder / "run"


@pytest.fixture(scope="module")
def model(run: Path, tmp_path_factory) -> Path:
    rows = [row for row, _ in zip(read.rows(read.find(str(run))["train"]), range(8), strict=False)]
    texts = [message["content"] for row in rows for message in row.messages]
    return tiny.build(tmp_path_factory.mktemp("model"), texts, 2000)


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> dict[str, Path]:
    """By verifier: recorded outputs under three labellings, and made ones, with what `datagen.score` gives them."""
    folder, found = tmp_path_factory.mktemp("cases"), {}
    for verifier in verify.VERIFIERS:
        lines = [json.dumps(case) for case in all_cases(verifier)]
        found[verifier] = folder / f"{verifier}.jsonl"
        found[verifier].write_text("\n".join(lines) + "\n")
    return found


def all_cases(verifier: str) -> list[dict]:
    answers = ["the red oak", "red oak", "The Red Oak.", "not the red oak", "oaks", "1,850", "x > 3", "", "oak; elm"]
    outputs = [tags.render_response(ids, answer) for ids in ([], [0], [0, 1], [0, 0, 7]) for answer in answers]
    pairs = [(output, truth) for output in outputs for truth in ("the red oak", "1850", "x < 3")]
    if RECORDED.exists():
        for line in gzip.decompress(RECORDED.read_bytes()).decode().splitlines():
            output = json.loads(line)["response"]
            pairs.append((output, tags.read_response(output).answer or "1850"))
    made = []
    for output, truth in pairs:
        for refs in labellings(tags.read_response(output).useful_chunks):
            row = {"reward_model": {"ground_truth": truth}, "extra_info": {"ref_chunks": refs}}
            score = datagen.score(row, output, verifier=verifier)
            assert score
            made.append({"response": output, "ref_chunks": refs, "ground_truth": truth, "score": score.total})
    return made


def ours(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "datagen", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def export(run: Path, to: str, model: Path, target: Path, *more: str) -> Path:
    ours("export", str(run), "--to", to, "--model", str(model), "-o", str(target), *more)
    return target


def theirs(folder: Path, *command: str, **environment: str) -> str:
    """What a command of the trainer's interpreter prints. It has to succeed."""
    paths = os.pathsep.join(filter(None, [str(folder), SLIME]))
    env = os.environ | {"PYTHONPATH": paths, "TOKENIZERS_PARALLELISM": "false", **environment}
    done = subprocess.run([PYTHON, *command], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("verifier", sorted(verify.VERIFIERS))
@pytest.mark.parametrize("to", FRAMEWORKS)
def test_the_trainers_own_code_gives_the_same_rewards(to, verifier, run, model, cases, tmp_path):
    if to == "slime" and not SLIME:
        pytest.skip("SLIME names no checkout")
    folder = export(run, to, model, tmp_path / "out", "--verifier", verifier)
    assert "rewards are right" in theirs(folder, "selfcheck.py")
    said = theirs(folder, "selfcheck.py", str(cases[verifier]))
    n = len(cases[verifier].read_text().splitlines())
    assert f"all {n} rewards are right" in said


def test_trl_trains_two_steps(run, model, tmp_path):
    folder = export(run, "trl", model, tmp_path / "out", "--max-prompt-tokens", "12000")
    small = "--max_steps 2 --num_generations 2 --generation_batch_size 4 --gradient_accumulation_steps 4 --use_cpu True"
    off = "--bf16 False --gradient_checkpointing False --max_completion_length 8 --report_to none --save_strategy no"
    off += " --eval_strategy no --eval_on_start False"
    said = theirs(folder, "train_trl.py", *small.split(), *off.split())
    assert len(re.findall(r"'grad_norm'", said)) >= 2 or "train_runtime" in said
    assert (folder / "checkpoints" / "model.safetensors").exists()


def test_vf_eval_scores_a_server(run, model, tmp_path):
    folder = export(run, "verifiers", model, tmp_path / "out")
    rows = list(read.rows([folder / "longrlvr_env" / "train.parquet"]))

    def gold(body: dict) -> str:
        (row,) = [row for row in rows if row.messages[0]["content"] == body["messages"][-1]["content"]]
        return tags.render_response(row.ref_chunks, row.answer)

    asked = "--env.agent.harness.id null --env.agent.runtime.type subprocess -n 3 --no-rich --no-push --model m"
    with serve(Settings(reply=gold)) as server:
        client = [
            "--client.base-url",
            server.url,
            "--client.api-key-var",
            "KEY",
            "--output-dir",
            str(tmp_path / "evals"),
        ]
        code = "import sys; from verifiers.v1.cli.eval.main import main; main(sys.argv[1:])"
        theirs(folder, "-c", code, "longrlvr-env", *asked.split(), *client, KEY="x")
    (file,) = (tmp_path / "evals").rglob("traces.jsonl")
    traces = [trace for line in file.read_text().splitlines() for trace in json.loads(line)["traces"]]
    assert [trace["rewards"]["longrlvr"]["score"] for trace in traces] == [2.0] * 3
    assert [trace["metrics"] for trace in traces] == [
        dict.fromkeys(("answer", "precision", "recall", "fbeta"), 1.0)
    ] * 3


def test_verl_composes_every_override(run, model, tmp_path):
    folder = export(run, "verl", model, tmp_path / "out")
    script = (folder / "run_verl.sh").read_text()
    check = """
import sys
from hydra import compose, initialize_config_module
with initialize_config_module("verl.trainer.config", version_base=None):
    config = compose("ppo_trainer", overrides=sys.argv[1:])
print(config.data.max_prompt_length, config.reward.custom_reward_function.reward_kwargs.eta)
"""
    assert "0.1" in theirs(folder, "-c", check, *words(script, "verl.trainer.main_ppo"))


def test_openrlhf_parses_every_option(run, model, tmp_path):
    folder = export(run, "openrlhf", model, tmp_path / "out")
    options = words((folder / "run_openrlhf.sh").read_text(), "openrlhf.cli.train_ppo_ray")
    # Its command line is read where it is started, beside imports of DeepSpeed and vLLM that no CPU has.
    check = """
import ast, pathlib, sys
from importlib.util import find_spec
file = pathlib.Path(find_spec("openrlhf").origin).parent / "cli" / "train_ppo_ray.py"
tree = ast.parse(file.read_text())
(main,) = [n for n in tree.body if isinstance(n, ast.If)]
calls = [n for n in ast.walk(main) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "add_argument"]
assert len(calls) > 100
known = {c.args[0].value for c in calls if isinstance(c.args[0], ast.Constant)}
known |= {"--actor." + c.args[0].values[-1].value.lstrip(".") for c in calls if isinstance(c.args[0], ast.JoinedStr)}
unknown = [a for a in sys.argv[1:] if a.startswith("--") and a not in known]
assert not unknown, unknown
"""
    theirs(folder, "-c", check, *options)


def words(script: str, module: str) -> list[str]:
    """The options that a launch gives to a module."""
    command = script[script.index(module) + len(module) :].replace("\\\n", " ").replace('"$@"', "")
    return shlex.split(command.replace("$PWD", "/x").replace("$validation", "validation"))
