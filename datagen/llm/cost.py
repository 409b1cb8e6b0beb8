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


def of(price: PriceConfig, usage: Mapping[str, Any]) -> float:
    """US dollars for these prompt_tokens, cached_tokens (part of them) and completion_tokens, and for those that were
    lost.
    """
    cached_price = price.prompt if price.cached is None else price.cached
    fresh = usage["prompt_tokens"] - usage["cached_tokens"] + usage["lost_prompt_tokens"]
    completion = usage["completion_tokens"] + usage["lost_completion_tokens"]
    return (fresh * price.prompt + usage["cached_tokens"] * cached_price + completion * price.completion) / MILLION


def most_tokens(request: Request) -> tuple[int, int]:
    """The most tokens that the prompt and the reply of a request can have: one a byte, and the reply's limit."""
    prompt = sum(len(m["content"].encode()) + PER_MESSAGE for m in request.messages)
    prompt += len(json.dumps(request.schema)) if request.schema else 0  # servers may put it into the prompt
    limits = (request.sampling.get(name) or 0 for name in ("max_tokens", "max_completion_tokens"))
    return prompt, max(limits) * (request.sampling.get("n") or 1)


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

    def lost(self, request: Request, prompt_tokens: int, completion_tokens: int) -> None:
        """Count an attempt that brought nothing and may be billed. What is reserved for the request stays so."""
        lost = Completion("", lost_prompt_tokens=prompt_tokens, lost_completion_tokens=completion_tokens)
        self.spent += cost_of(self._price(request), lost)

    def _price(self, request: Request) -> PriceConfig:
        return self.other_prices.get(request.check, self.price)

    def _worst(self, request: Request) -> float:
        prompt, completion = most_tokens(request)
        price = self._price(request)
        return (prompt * price.prompt + completion * price.completion) / MILLION


def cost_of(price: PriceConfig, completion: Completion) -> float:
    """US dollars for a completion at these prices, and for the attempts that were lost before it."""
    names = ("prompt_tokens", "cached_tokens", "completion_tokens", "lost_prompt_tokens", "lost_completion_tokens")
    return of(price, {name: getattr(completion, name) for name in names})
