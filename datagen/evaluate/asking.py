"""A question as it is sent to a model, and what comes back as a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from datagen import grounded, prompts
from datagen.config.llm import EngineConfig
from datagen.evaluate.item import Item
from datagen.evaluate.prediction import Prediction
from datagen.grounded import Form
from datagen.grounding import tags
from datagen.grounding.fences import Fenced
from datagen.llm import http_errors, window
from datagen.llm.base import LLM, Completion, Request
from datagen.prompts import Prompt
from datagen.stages.conversing import revision
from datagen.text.splitter import Span

DOES_NOT_FIT = "does not fit"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Asker:
    """What all questions are asked with. `choice` is the prompt around a question that has options."""

    form: Form
    choice: Prompt
    engine: EngineConfig
    sampling: dict[str, Any]

    @property
    def reply(self) -> int:
        """The most tokens of a reply."""
        return self.sampling["max_tokens"]


@dataclass(frozen=True)
class Asked:
    """A request, and the prediction that its reply will complete; one with an error already is not sent."""

    request: Request
    prediction: Prediction


def asked(item: Item, asker: Asker, context: int | None = None) -> Asked:
    """A question as the model was trained to be asked: its document cut into chunks, in its tags and its prompt; of a
    dataset's row, the prompt as it stands. Where no tokenizer could bring it into a window of `context` tokens, with
    the reply, it is not to be sent: nothing is ever cut.
    """
    if item.messages is not None:
        messages, gold, n_chunks = item.messages, item.gold_chunks, _shown(item.messages)
        position = fmean((i + 0.5) / n_chunks for i in gold) if gold and n_chunks else None
    else:
        spans = asker.form.split(item.document)
        messages = asker.form.messages(item.document, spans, _question(item, asker.choice))
        gold, n_chunks = _overlapping(spans, item.evidence), len(spans)
        position = fmean((a + b) / 2 for a, b in item.evidence) / len(item.document) if item.evidence else None
    model = asker.engine.model or ""
    request = Request(model, messages, asker.sampling, revision=revision(asker.engine), whole=True)
    prediction = Prediction(
        benchmark=item.benchmark,
        item_id=item.item_id,
        kind=item.kind,
        question=item.question,
        choices=item.choices,
        gold=item.gold,
        gold_chunks=gold,
        n_chunks=n_chunks,
        prompt_tokens=None,
        position=None if position is None else round(position, 4),
        length=item.length,
        difficulty=item.difficulty,
        domain=item.domain,
        model=model,
        response=None,
        finish="",
        error="" if context is None else _too_long(request, asker.reply, context),
        as_published=None,
    )
    return Asked(request, prediction)


async def converse(llm: LLM, asked: Asked) -> Prediction:
    """The prediction, after the reply."""
    if asked.prediction.error:
        return asked.prediction
    return predicted(asked.prediction, await llm.complete(asked.request))


def predicted(prediction: Prediction, completion: Completion) -> Prediction:
    """A prediction with what the model said, its reasoning included, as a trainer scores it. A reply without any text
    is an empty response, from which no answer can be read; only where there was no reply, there is no response.
    """
    if completion.error:
        detail = " ".join(http_errors.clipped(completion.detail).split())
        return replace(prediction, error=f"{completion.error}: {detail}" if detail else completion.error)
    text = grounded.whole(completion.text or completion.refusal, completion.reasoning)
    tokens = None if completion.estimated else completion.prompt_tokens
    return replace(prediction, response=text, finish=completion.finish, prompt_tokens=tokens)


def _too_long(request: Request, reply: int, context: int) -> str:
    """Why a request fits in no window of so many tokens; empty where it may fit."""
    needed = window.least(request, 0) + reply
    if needed <= context:
        return ""
    least = f"at least {needed:,} tokens needed, {reply:,} of them for the reply"
    return f"{DOES_NOT_FIT}: {least}; the window is {context:,}"


def _question(item: Item, choice: Prompt) -> str:
    if item.kind != "choice":
        return item.question
    options = [f"{letter}. {text}" for letter, text in zip(LETTERS, item.choices, strict=False)]
    whole = "\n\n".join(filter(None, (item.question, "\n".join(options))))
    return Fenced(prompts.render(choice, question=whole))  # neutralised there, and not once more


def _overlapping(spans: Sequence[Span], evidence: list[tuple[int, int]] | None) -> list[int] | None:
    """The chunks that have a character of the evidence."""
    if evidence is None:
        return None
    return [i for i, span in enumerate(spans) if any(a < span.end and span.start < b for a, b in evidence)]


def _shown(messages: list[dict[str, str]]) -> int | None:
    """How many chunks a prompt shows; None where it does not show them as ours do."""
    try:
        return sum(len(tags.read_context(message["content"])) for message in messages if message["role"] == "user")
    except ValueError:
        return None
