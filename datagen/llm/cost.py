"""What requests cost, and a budget that is never exceeded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from datagen.config.llm import PriceConfig
from datagen.llm.base import Completion, Request

MILLION = 1_000_000
PER_MESSAGE = 32  # tokens that a chat template puts around a message, at most


def of(price: PriceConfig, usage: dict[str, Any]) -> float:
    """US dollars for these prompt_tokens, cached_tokens (part of them) and completion_tokens."""
    cached_price = price.prompt if price.cached is None else price.cached
    fresh = usage["prompt_tokens"] - usage["cached_tokens"]
    dollars = (
        fresh * price.prompt + usage["cached_tokens"] * cached_price + usage["completion_tokens"] * price.completion
    )
    return dollars / MILLION


@dataclass
class Budget:
    """Counts what was spent and reserves the most that what is in flight can cost."""

    price: PriceConfig
    most: float | None = None  # US dollars
    spent: float = 0.0
    reserved: float = 0.0
    other_prices: Mapping[str, PriceConfig] = field(default_factory=dict)  # of requests with these checks

    def reserve(self, request: Request) -> bool:
        """Whether a request can be paid for, at worst; if so it is counted until it is settled."""
        if self.most is None:
            return True
        worst = self._worst(request)
        if self.spent + self.reserved + worst > self.most:
            return False
        self.reserved += worst
        return True

    def settle(self, request: Request, completion: Completion | None) -> None:
        """Give back what was reserved, and count what was spent; nothing without a completion."""
        if self.most is not None:
            self.reserved -= self._worst(request)
        if completion:
            self.spent += cost_of(self._price(request), completion)

    def _price(self, request: Request) -> PriceConfig:
        return self.other_prices.get(request.check, self.price)

    def _worst(self, request: Request) -> float:
        """A token is at least a byte, and a reply at most its limit."""
        prompt = sum(len(m["content"].encode()) + PER_MESSAGE for m in request.messages)
        prompt += len(json.dumps(request.schema)) if request.schema else 0  # servers may put it into the prompt
        completion = request.sampling.get("max_tokens", 0)
        price = self._price(request)
        return (prompt * price.prompt + completion * price.completion) / MILLION


def cost_of(price: PriceConfig, completion: Completion) -> float:
    """US dollars for a completion at these prices."""
    names = ("prompt_tokens", "cached_tokens", "completion_tokens")
    return of(price, {name: getattr(completion, name) for name in names})
