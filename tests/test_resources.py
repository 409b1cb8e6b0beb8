import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from datagen import resources
from datagen.errors import ConfigError


def installed_copy(package: Path) -> ModuleType:
    """The module, loaded from a package folder laid out as a wheel or a checkout has it."""
    package.mkdir(parents=True)
    file = shutil.copy(resources.__file__, package / "resources.py")
    spec = importlib.util.spec_from_file_location("resources_copy", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put(file: Path, text: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["task", "task.md", "prompts/task.md", "prompts/task", "./prompts/task"])
def test_a_bundled_file_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = resources.path("prompts", name)
    assert found.name == "task.md"
    assert found.is_file()


def test_names_lists_what_is_bundled():
    assert {"cloze", "task"} <= set(resources.names("prompts"))


def test_a_file_that_exists_wins(tmp_path, monkeypatch):
    mine = put(tmp_path / "prompts" / "task.md", "mine")
    monkeypatch.chdir(tmp_path)
    assert resources.path("prompts", "prompts/task.md").read_text(encoding="utf-8") == "mine"
    assert resources.path("prompts", mine) == mine
    assert resources.path("configs", str(mine)) == mine


def test_a_missing_name_says_what_there_is():
    with pytest.raises(ConfigError, match=r"taks: no such file.*'task'.*cloze.*task"):
        resources.path("prompts", "taks")


def test_a_checkout(tmp_path):
    module = installed_copy(tmp_path / "datagen")
    file = put(tmp_path / "configs" / "small" / "quick.yaml")
    put(tmp_path / "configs" / "notes.txt")
    assert module.path("configs", "small/quick") == file
    assert module.names("configs") == ["small/quick"]


def test_a_wheel_reads_its_own_folder_only(tmp_path):
    module = installed_copy(tmp_path / "datagen")
    put(tmp_path / "prompts" / "other.md")  # beside an installed package: anyone's
    file = put(tmp_path / "datagen" / "_resources" / "prompts" / "task.md")
    assert module.path("prompts", "task") == file
    assert module.names("prompts") == ["task"]
    with pytest.raises(ConfigError, match="bundled configs: none"):
        module.path("configs", "quickstart")
