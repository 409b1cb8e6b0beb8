"""Nothing that comes with a model or a checkpoint is run: not its code, not a pickle."""

import ast
import json
from pathlib import Path

import pytest
import torch

import datagen
from datagen.config.train import TrainConfig
from datagen.errors import ConfigError
from datagen.llm import vllm
from datagen.train import models, tiny
from datagen.train.parallel import World

SOURCES = sorted(Path(datagen.__file__).parent.rglob("*.py"))
LOADERS = {"from_pretrained", "from_config", "SentenceTransformer"}
OF_TOKENIZERS = ("datagen/text/tokenizers.py",)  # a library that reads JSON and knows no code
CODE = "import pathlib\npathlib.Path({!r}).touch()\n"
CPU = World(0, 1, torch.device("cpu"))


def calls(source: Path) -> list[ast.Call]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def given(call: ast.Call, name: str) -> list[object]:
    return [getattr(k.value, "value", None) for k in call.keywords if k.arg == name]


def test_code_of_models_is_refused_wherever_one_is_loaded():
    found = [(s, c) for s in SOURCES if not str(s).endswith(OF_TOKENIZERS) for c in calls(s) if name_of(c) in LOADERS]
    assert len(found) >= 5
    for source, call in found:
        assert given(call, "trust_remote_code") == [False], f"{source}:{call.lineno}"


def test_only_tensors_and_plain_values_are_unpickled():
    for source in SOURCES:
        for call in calls(source):
            loads = ast.unparse(call.func)
            if loads == "torch.load":
                assert given(call, "weights_only") == [True], f"{source}:{call.lineno}"
            assert loads not in ("pickle.load", "pickle.Unpickler", "joblib.load"), f"{source}:{call.lineno}"
            assert True not in given(call, "allow_pickle"), f"{source}:{call.lineno}"


@pytest.mark.parametrize("load", [models.config_of, models.tokenizer_of])
def test_code_that_comes_with_a_model_is_not_run(load, tmp_path):
    folder = tiny.build(tmp_path / "model", ["ash birch"], 300)
    (folder / "own.py").write_text(CODE.format(str(tmp_path / "ran")))
    for file, parts in (("config.json", ["AutoConfig"]), ("tokenizer_config.json", ["AutoTokenizer"])):
        written = json.loads((folder / file).read_text())
        written |= {"model_type": "ours", "tokenizer_class": "OurTokenizer"}
        classes = {part: ["own.Ours", None] if part == "AutoTokenizer" else "own.Ours" for part in parts}
        (folder / file).write_text(json.dumps(written | {"auto_map": classes}))
    with pytest.raises(ConfigError):
        load(TrainConfig(model="mine"), str(folder))
    assert not (tmp_path / "ran").exists()


def test_weights_that_would_be_unpickled_are_refused(tmp_path):
    folder = tiny.build(tmp_path / "model", ["ash birch"], 300)
    model = models.load(str(folder), TrainConfig(), CPU)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="safetensors"):
        models.load(str(folder), TrainConfig(model="mine"), CPU)


def test_vllm_is_not_asked_to_run_it_either():
    with pytest.raises(ConfigError, match=r"engine\.vllm: trust_remote_code"):
        vllm.check("engine.vllm", {"trust_remote_code": True})
