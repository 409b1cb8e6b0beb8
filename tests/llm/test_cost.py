"""What requests cost, and the most that they can cost."""

import pytest

from datagen.config.llm import PriceConfig
from datagen.llm import cost
from datagen.llm.base import Completion, Request
from datagen.llm.cost import Budget

PRICE = PriceConfig(prompt=2.0, cached=0.5, completion=10.0)


def test_what_a_reply_costs():
    found = Completion("k", "x", prompt_tokens=1000, cached_tokens=400, completion_tokens=50)
    assert cost.cost_of(PRICE, found) == pytest.approx((600 * 2 + 400 * 0.5 + 50 * 10) / 1e6)
    assert cost.cost_of(PriceConfig(prompt=2.0), found) == pytest.approx(1000 * 2 / 1e6)  # cached as the others
    assert cost.cost_of(PriceConfig(prompt=2.0, cached=0.0), found) == pytest.approx(600 * 2 / 1e6)
    assert cost.cost_of(PRICE, Completion("k", error="server error")) == 0


@pytest.mark.parametrize("said", ["", "Hi", "日本語のテキスト", "🐫🐪", "a" * 1000])
@pytest.mark.parametrize("schema", [None, {"type": "object", "properties": {"x": {"type": "string"}}}])
def test_the_worst_case_is_reserved(said, schema):
    """A token for every byte, what a template puts around it, the schema, and as long a reply as is allowed."""
    asked = Request("m", [{"role": "user", "content": said}], {"max_tokens": 10}, schema)
    worst = Completion(asked.key, prompt_tokens=len(said.encode()) + 8 + bool(schema) * 30, completion_tokens=10)
    budget = Budget(PRICE, most=1.0)
    assert budget.reserve(asked)
    assert budget.reserved >= cost.cost_of(PRICE, worst)
    budget.settle(asked, worst)
    assert budget.reserved == pytest.approx(0)
    assert budget.spent == pytest.approx(cost.cost_of(PRICE, worst))


def test_what_cannot_be_paid_is_not_reserved():
    budget, asked = (
        Budget(PRICE, most=0.001),
        Request("m", [{"role": "user", "content": "x" * 300}], {"max_tokens": 10}),
    )
    assert budget.reserve(asked)
    assert not budget.reserve(asked)
    budget.settle(asked, Completion(asked.key, error="server error"))
    assert budget.reserve(asked)
    assert Budget(PRICE).reserve(asked)
