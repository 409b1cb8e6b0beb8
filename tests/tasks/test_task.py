"""A kind of question of one's own: the example of it, from generate to select."""

import shutil
import sys
from pathlib import Path

import pytest

from datagen.errors import ConfigError, StaleStage
from datagen.run.run import Run

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "custom_task.py"


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """The example's module, in a copy that may be edited."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "custom_task", raising=False)
    return Path(shutil.copy(EXAMPLE, tmp_path))


def test_a_task_of_ones_own(run, go, source, tmp_path):
    """Its candidates are made and proven, and an edit of its source is noticed."""
    done, config = run
    folder = tmp_path / "run"
    for stage in ("chunk", "embed", "cluster"):
        shutil.copytree(f"{done}/{stage}", folder / stage)
    config = config.model_copy(
        update={"generate": config.generate.model_copy(update={"method": "custom_task:TASK", "candidates": 2})}
    )
    ledger = go(folder, config, "generate", "judge", "select")
    candidates = list(Run(str(folder)).rows("generate"))
    assert candidates
    assert {row.generator for row in candidates} == {"custom_task"}
    assert max(row.sample for row in candidates) <= 1
    proven = list(Run(str(folder)).rows("judge"))
    assert [row.qa_id for row in proven] == [row.qa_id for row in candidates]
    assert {(row.rating, *row.checks) for row in proven} == {(10.0, "counted")}
    assert ledger["select"]["candidate"]["kept"] > 0
    source.write_text(source.read_text() + "# another\n")
    with pytest.raises(StaleStage, match="source of custom_task"):
        go(folder, config, "generate")


def test_what_no_rules_prove_needs_a_model_to_judge(settings, source, tmp_path):
    from datagen.stages import judge

    source.write_text(source.read_text().replace('Task("names", make, prove)', 'Task("names", make)'))
    config = settings(tmp_path, generate__method="custom_task:TASK")
    with pytest.raises(ConfigError, match=r"no rules .* custom_task:TASK") as e:
        judge.fingerprints(config, Run(str(tmp_path)))
    assert e.value.add == ("--set", "judge.method=llm")


def test_a_task_of_ones_own_may_ask_a_model(settings, tmp_path):
    """So a model's settings count for its identity, as they do not for the extractive one."""
    from datagen.config.model import settings_of

    own = settings_of(settings(tmp_path, generate__method="custom_task:TASK"), "generate")
    assert own.keys() > settings_of(settings(tmp_path), "generate").keys()
    assert "generate.sampling.temperature" in own
