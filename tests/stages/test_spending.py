"""What a run has spent, and may still spend: every model that is asked counts with its own prices."""

import pytest

from datagen.errors import ConfigError
from datagen.llm.drive import OverBudget
from datagen.records import Judgement
from datagen.run.run import Run as Folder
from datagen.stages import judge, spending
from tests.checks.cases import made, outcome
from tests.commands.calls import call
from tests.servers.openai_server import serve

TEXTS = ["One.", "Two.", "Three.", "Four."]
PRICE = {"prompt": 2.0, "completion": 10.0}
OWN = """
from datagen.checks.check import Check
from datagen.llm.base import Request

async def run(case, found):
    await case.llm.complete(Request("own", [{"role": "user", "content": "Well?"}], {"max_tokens": 9}))

CHECK = Check("mine", run, engine=lambda config: config.judge.policy_engine)
"""


@pytest.fixture
def own(tmp_path, monkeypatch) -> str:
    """A check of one's own that asks a model of its own, and does not say in its request what it is for."""
    (tmp_path / "own_priced.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return "own_priced:CHECK"


def test_a_model_that_a_check_asks_has_its_own_price(tmp_path, own):
    with serve() as other:
        engine = {"model": "own", "endpoints": [{"base_url": other.url}], "price": {"prompt": 1e6, "completion": 1}}
        given = {"judge__checks": ["quality", own], "judge__policy_engine": engine, "engine__price": PRICE}
        run = made(tmp_path, TEXTS, **given)
        with pytest.raises(OverBudget):
            outcome(run, max_cost=1)
        assert other.stats.requests == 0
        assert isinstance(outcome(run, max_cost=1000), Judgement)
        spent = spending.usage(Folder(run.folder), judge.STAGE, run.config)
        assert spent["checks"]["mine"]["dollars"] > 1
        assert spent["dollars"] == pytest.approx(sum(part["dollars"] for part in spent["checks"].values()))
        limit = spending.budget(Folder(run.folder), judge.STAGE, run.config)
        assert (limit.most, limit.spent) == (1000, spent["dollars"])


POLICY = {"model": "p", "endpoints": [{"base_url": "http://nowhere/v1"}]}


@pytest.mark.parametrize("given", [{}, {"judge.policy_engine": POLICY, "engine.price": PRICE}])
def test_a_limit_needs_the_prices_of_all_models_that_are_asked(tmp_path, given):
    run = made(tmp_path, TEXTS, **{"judge.checks": ["quality", "policy"]} | given)
    name = "p" if given else "scripted"
    with pytest.raises(ConfigError, match=rf"max_cost needs the prices of {name}, .* judge asks: set .*price"):
        outcome(run, max_cost=1)
    assert run.requests == 0


def test_a_limit_without_prices_is_refused_before_any_work(tmp_path):
    (tmp_path / "a.txt").write_text("Some words.")
    asking = ("--set", "generate.method=llm", "--set", "judge.method=llm", "--model", "m", "--max-cost", "5")
    result = call(
        "run", "--input", tmp_path / "a.txt", "-o", tmp_path / "run", *asking, "--base-url", "http://nowhere/v1"
    )
    assert (result.exit_code, (tmp_path / "run").exists()) == (2, False)
    assert "max_cost needs the prices of m" in result.stderr
