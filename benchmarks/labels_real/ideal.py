"""A model that makes no mistake: its replies follow from what is known to be true.

It shows that the checks can be right about every candidate, and how many requests that takes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from datagen.llm.base import LLM, Completion, Message, Request, Stream

from .data import Pair, Row

REASON = "This follows from two of the passages that are shown, one of which names the thing and the other what it is."


class Ideal:
    """Knows the candidates and the pairs by their questions."""

    def __init__(self, rows: Sequence[Row], pairs: Sequence[Pair]) -> None:
        self.known: dict[str, Row | Pair] = {each.question: each for each in (*rows, *pairs)}

    def reply(self, messages: Sequence[Message], schema: dict[str, Any] | None) -> str:
        """What it says. Raises ValueError for a question that it does not know."""
        text, properties = "\n".join(message["content"] for message in messages), (schema or {}).get("properties", {})
        of = next((each for question, each in self.known.items() if question in text), None)
        if of is None:
            raise ValueError(f"no question that is known: {text[:200]}")
        if isinstance(of, Pair) or not {"rating", "answerable"} & set(properties):
            return _verdict(of.same if isinstance(of, Pair) else of.answer == of.right, properties)
        if "rating" in properties:
            return json.dumps({"reason": REASON, "rating": 2 if of.should["quality"] == "reject" else 9})
        answer = _answer(of, text)
        given = {"reason": REASON, "answerable": answer is not None, "answer": answer or ""}
        return json.dumps({name: given[name] for name in properties}, ensure_ascii=False)


def _answer(row: Row, text: str) -> str | None:
    """The answer, or None: what is in view does not give it, or fits two things."""
    shown = {i for i, passage in enumerate(row.passages) if passage in text}
    if not shown:
        return row.right if row.should["closed_book"] == "reject" else None
    clear = not row.clash or not shown.issuperset(row.clash)
    return row.right if clear and any(shown.issuperset(some) for some in row.sufficient) else None


def _verdict(same: bool, properties: dict[str, Any]) -> str:
    """In an object, where one is asked for, else in words."""
    if not properties:
        return "[[Yes]]" if same else "[[No]]"
    kinds = {"boolean": same, "string": "a short answer"}
    said = {name: kinds[part["type"]] for name, part in properties.items()}
    said |= {name: part["enum"][not same] for name, part in properties.items() if "enum" in part}
    return json.dumps(said)


@dataclass
class Counted(LLM):
    """An LLM whose replies are the ideal model's. Counts requests, and characters of prompts and replies."""

    ideal: Ideal
    requests: Counter[str] = field(default_factory=Counter)  # by what they are for
    sent: int = 0
    received: int = 0
    answers: int = 0  # that a comparison may be asked about

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        text = self.ideal.reply(request.messages, request.schema)
        self.requests[request.check] += 1
        self.sent += sum(len(message["content"]) for message in request.messages)
        self.received += len(text)
        self.answers += '"answerable": true' in text
        return Completion(request.key, text=text, finish="stop", check=request.check)

    def report(self, completion: Completion, problem: str = "") -> None: ...
    async def disown(self, completions: Sequence[Completion], problem: str) -> None: ...
