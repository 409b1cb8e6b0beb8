import asyncio
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from datagen import plugins
from datagen.checks.check import Check, Rejected
from datagen.errors import ConfigError
from datagen.tasks.task import Task

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"


@pytest.fixture
def module(tmp_path, monkeypatch) -> Path:
    """The check of the page about it, as a module that can be imported."""
    file = tmp_path / "my_checks.py"
    file.write_text(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_checks", raising=False)
    return file


@pytest.mark.parametrize("name", plugins.CHECKS)
def test_a_bundled_check_goes_by_its_name(name):
    assert plugins.load(name, plugins.CHECKS, Check, "judge.checks").name == name


@pytest.mark.parametrize("name", plugins.TASKS)
def test_a_bundled_task_goes_by_its_name(name):
    assert plugins.load(name, plugins.TASKS, Task, "generate.method").per_cluster


def test_a_check_of_ones_own(module):
    check = plugins.load("my_checks:CHECK", plugins.CHECKS, Check, "judge.checks")
    short, long = (SimpleNamespace(candidate=SimpleNamespace(answer=answer)) for answer in ("a b c", "a b c d"))
    asyncio.run(check.run(short, None))  # pyright: ignore[reportArgumentType]
    with pytest.raises(Rejected, match="a long answer"):
        asyncio.run(check.run(long, None))  # pyright: ignore[reportArgumentType]


def test_an_edit_is_another_fingerprint(module):
    before = plugins.fingerprints("lint", "my_checks:CHECK")
    assert len(before) == 1
    module.write_text(module.read_text().replace("LONGEST = 3", "LONGEST = 4"))
    assert plugins.fingerprints("lint", "my_checks:CHECK") != before


@pytest.mark.parametrize(
    ("name", "says"),
    [("nosuch_module:CHECK", "nosuch_module"), ("my_checks:CHEKC", "my_checks:CHECK"), ("my_checks:LONGEST", "int")],
)
def test_what_cannot_be_loaded_is_said_with_its_setting(module, name, says):
    with pytest.raises(ConfigError, match=f"judge.checks.*{says}"):
        plugins.load(name, plugins.CHECKS, Check, "judge.checks")


def test_a_mistyped_name_is_no_import_path():
    with pytest.raises(ValueError, match="did you mean 'necessity'"):
        plugins.known("neccessity", plugins.CHECKS)
