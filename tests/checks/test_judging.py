"""Which checks are made, in which order, and those of one's own."""

import sys

import pytest

from datagen.checks import judging
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.errors import ConfigError, StaleStage
from datagen.records import Dropped, Judgement
from datagen.stages import select
from tests.checks import cases
from tests.checks.cases import ALL, asked, candidate, outcome
from tests.selection.made import Draft, gathered, kept, why
from tests.servers.settings import Settings

OWN = """
from pathlib import Path
from datagen.checks.asking import plain, request
from datagen.checks.check import Check, Figure, Rejected
from datagen.llm import objects, parsing
from datagen.selection.limit import Limit

PROMPT = str(Path(__file__).with_name("short.md"))

async def run(case, found):
    wanted = request(case, "short", None, answer=plain(case.candidate.answer))
    if not await parsing.ask(case.llm, wanted, objects.read_verdict, 0):
        raise Rejected("long", "")

CHECK = Check("short", run, prompt=PROMPT)
"""


def test_a_good_candidate_passes_every_check(only_two):
    run = only_two(judge__checks=ALL)
    row = outcome(run, cases.rated(9))
    assert isinstance(row, Judgement)
    assert (row.rating, row.rating_reason, row.checks) == (9, "so", ALL)
    assert (row.ref_chunks, row.redundant, row.alt_chunks) == ([0, 3], [], [])
    assert (row.closed_book, row.sufficiency, row.pass_rate) == (0, 1, None)
    assert asked(run) == {"quality": 1, "closed_book": 2, "sufficiency": 1, "necessity": 2, "completeness": 3}


def test_lint_comes_first_and_costs_nothing(only_two):
    run = only_two(candidate(question="Who is named in the passage above?"), judge__checks=ALL)
    row = outcome(run)
    assert isinstance(row, Dropped)
    assert row.reason == "points at the text"
    assert asked(run) == {}


def test_a_check_that_is_switched_on_later_asks_for_itself_alone(only_two):
    run = only_two(judge__checks=["quality", "sufficiency"])
    outcome(run, cases.rated(9))
    first = asked(run)
    with pytest.raises(StaleStage, match=r"judge\.checks"):
        outcome(run, cases.rated(9), judge__checks=["quality", "sufficiency", "necessity"])
    run.go(Settings(reply=cases.rated(9)), resume="never", judge__checks=["quality", "sufficiency", "necessity"])
    assert run.requests == 2
    assert asked(run) == first | {"necessity": 2}
    (row,) = run.rows("judge", Judgement)
    assert row.checks == ["quality", "sufficiency", "necessity"]


def test_a_prompt_for_no_check():
    config = configs.load(None, {"judge.method": "llm", "judge.prompts": {"lint": "x"}})
    with pytest.raises(ConfigError, match=r"'lint' has no prompt; those that do: quality, closed_book"):
        judging.load_prompts(config)


def test_a_check_of_ones_own_runs_after_the_bundled_ones(only_two, tmp_path, monkeypatch):
    """It asks by a prompt of its own, which has its usage, and an edit of its source is noticed."""
    (tmp_path / "short.md").write_text("Is this answer short? {{answer}}")
    source = tmp_path / "my_short_check.py"
    source.write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_short_check", raising=False)
    run = only_two(judge__checks=["my_short_check:CHECK", "quality"])
    row = outcome(run, lambda body: "[[Yes]]" if "short?" in str(body) else cases.rated(9)(body))
    assert isinstance(row, Judgement)
    assert row.checks == ["quality", "short"]
    assert asked(run) == {"quality": 1, "short": 1}
    source.write_text(OWN + "# another\n")
    with pytest.raises(StaleStage, match="source of my_short_check"):
        outcome(run)


def test_select_holds_what_a_check_of_ones_own_found_against_its_limits(tmp_path, monkeypatch):
    found = 'figure=Figure("pass_rate", "x"), limits=(Limit("pass_rate", "min_sufficiency", "not mine"),)'
    (tmp_path / "my_limits.py").write_text(OWN.replace("prompt=PROMPT", found))
    monkeypatch.syspath_prepend(tmp_path)
    drafts = [Draft("a", shares={"pass_rate": 0.9}), Draft("b", shares={"pass_rate": 0.4})]
    config = configs.load(None, {"judge.method": "llm", "judge.checks": ["quality", "my_limits:CHECK"]})
    rows, documents = gathered(drafts, {"a": [9] * 3, "b": [9] * 3}, None)
    fates = select.decide(rows, documents, lambda _: (), configs.merge(config, {"select.min_sufficiency": 0.5}))
    assert kept(fates) == ["a/c0/q0"]
    assert why(fates) == {"b/c0/q0": ("not mine", "share 0.4, select.min_sufficiency is 0.5")}
    assert kept(select.decide(rows, documents, lambda _: (), Config())) == ["a/c0/q0", "b/c0/q0"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ('"short", run', '"quality", run'),
        ("prompt=PROMPT", 'figure=Figure("share", "x")'),
        ("prompt=PROMPT", 'limits=(Limit("pass_rate", "min_share", "x"),)'),
        ("prompt=PROMPT", 'limits=(Limit("share", "min_rating", "x"),)'),
    ],
)
def test_what_a_check_of_ones_own_cannot_be_called(tmp_path, monkeypatch, changed, says):
    (tmp_path / "my_other_check.py").write_text(OWN.replace(changed, says))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_other_check", raising=False)
    config = configs.load(None, {"judge.checks": ["quality", "my_other_check:CHECK"]})
    with pytest.raises(ConfigError, match="my_other_check:CHECK"):
        judging.chosen(config)
