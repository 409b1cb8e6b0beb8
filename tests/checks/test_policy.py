import pytest

from datagen.llm import usage as usages
from datagen.records import Judgement
from datagen.run.paths import RunPaths
from datagen.stages import judge
from tests.checks.cases import TEXTS, outcome, rated
from tests.servers import model
from tests.servers.openai_server import serve
from tests.servers.settings import Settings


def test_the_policy_answers_from_the_whole_document(only_two):
    turns = iter(range(4))

    def policy(body: dict) -> str:
        if body["model"] != "policy":
            return rated(9)(body)
        assert body["temperature"] == 1.0
        assert all(text in body["messages"][0]["content"] for text in TEXTS[:5])
        return ["<answer>Orr; 1862</answer> <answer>", "I know it.", model.reply(body), model.reply(body)][next(turns)]

    with serve(Settings(reply=policy)) as other:
        run = only_two(
            judge__checks=["quality", "policy"],
            judge__policy_engine={"model": "policy", "endpoints": [{"base_url": other.url}], "price": {"prompt": 2}},
            engine__price={"prompt": 1},
        )
        row = outcome(run, policy)
        assert other.stats.requests == 4
    assert isinstance(row, Judgement)
    assert row.pass_rate == 0.75  # the answer counts; what it cites is for the reward
    usage = usages.usage(RunPaths(run.folder), "judge", judge.STAGE.models(run.config))
    tokens = {check: part["prompt_tokens"] for check, part in usage["checks"].items()}
    assert usage["checks"]["policy"]["dollars"] == pytest.approx(2 * tokens["policy"] / 1e6, abs=1e-6)
    assert usage["dollars"] == pytest.approx((sum(tokens.values()) + tokens["policy"]) / 1e6, abs=1e-5)
