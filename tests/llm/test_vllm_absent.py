"""What is said before vLLM is even looked at, wherever it is not installed."""

import importlib.util
import subprocess
import sys

import pytest

from datagen.config.llm import EngineConfig
from datagen.errors import ConfigError, MissingExtra
from datagen.llm.vllm import VLLMBackend
from tests.llm.asking import answers


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_the_package_its_extra_is_named():
    with pytest.raises(MissingExtra, match=r"pip install 'longrlvr-data\[vllm\]'"):
        VLLMBackend(EngineConfig(kind="vllm", model="some/model"))


@pytest.fixture
def installed(tmp_path, monkeypatch) -> None:
    """A package of that name, to be found and never imported."""
    (tmp_path / "vllm.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_several_copies_of_a_model_need_a_server():
    said = "data_parallel_size is 4, .* `vllm serve some/model --data-parallel-size 4` .* --base-url"
    with pytest.raises(ConfigError, match=said):
        VLLMBackend(EngineConfig(kind="vllm", model="some/model", vllm={"data_parallel_size": 4}))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["model", "revision"])
def test_what_the_engine_sets_itself_is_set_there(name):
    with pytest.raises(ConfigError, match=rf"engine\.vllm: {name} .*engine\.{name}"):
        VLLMBackend(EngineConfig(kind="vllm", model="some/model", vllm={name: "x"}))


@pytest.mark.usefixtures("installed")
def test_without_a_request_nothing_is_loaded():
    assert answers(VLLMBackend(EngineConfig(kind="vllm", model="some/model")), []) == []


def test_the_module_itself_imports_neither_vllm_nor_torch():
    code = "import datagen.llm.vllm, sys; sys.exit(bool({'vllm', 'torch', 'transformers'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
