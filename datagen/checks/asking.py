"""How a check asks: requests from its prompt, answers from some chunks in view, and whether an answer is right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen import prompts
from datagen.checks import grading
from datagen.checks.check import Case
from datagen.checks.grading import GRADE, plain
from datagen.config.llm import SamplingConfig
from datagen.config.model import engine_of
from datagen.grounding import fences, tags
from datagen.llm import parsing
from datagen.llm.base import Request

SAMPLED = 1.0  # the temperature where several answers to the same are wanted, as in rollouts
GUESS: dict[str, Any] = {
    "type": "object",
    "properties": {"answerable": {"type": "boolean"}, "answer": {"type": "string"}},
    "required": ["answerable", "answer"],
    "additionalProperties": False,
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, **GUESS["properties"]},
    "required": ["reason", "answerable", "answer"],
    "additionalProperties": False,
}


async def is_right(case: Case, request: Request) -> bool:
    """Whether the model gives the candidate's answer to a request for one."""
    found = await answer(case, request)
    return found is not None and (await grade(case, found))


async def answer(case: Case, request: Request) -> str | None:
    """The answer to the question, or None: it can't be answered from what the request shows."""
    found = await parsing.ask(case.llm, request, parsing.read_answer, case.config.judge.max_parse_retries)
    return None if found is None else fences.restore(found)


async def grade(case: Case, given: str) -> bool:
    """Whether an answer says the same as the candidate's: its task's score decides, and a model where that can't
    tell.
    """
    score = case.score(case.candidate.answer, given)
    if score is not None:
        return score >= 1
    grader = grading.grader(case.config, case.prompts[GRADE])
    wanted = grader.request(case.candidate.question, case.candidate.answer, given, case.cluster.cluster_id)
    return await grader.verdict(case.llm, wanted)


def from_chunks(case: Case, check: str, *chunks: Iterable[int]) -> Request:
    """A request to answer from these chunks: of each group in the order of the document, one group after the other."""
    shown = passages(case, [chunk for group in chunks for chunk in sorted(group)])
    return request(case, check, ANSWER, passages=shown, question=plain(case.candidate.question))


def request(
    case: Case, check: str, schema: dict[str, Any], sample: int = 0, samples: int = 1, **values: str
) -> Request:
    """A request by the prompt of a check, with these values of its variables."""
    messages = [{"role": "user", "content": prompts.render(case.prompts[check], **values)}]
    sampling = sampled(case.config.judge.sampling, samples)
    model = engine_of(case.config, "judge").model or ""
    return Request(model, messages, sampling, schema, sample, case.cluster.cluster_id, check)


def sampled(sampling: SamplingConfig, n: int) -> dict[str, Any]:
    """Several answers are drawn at a temperature; where none is to be sent, none is."""
    sent = sampling.sent()
    return sent | {"temperature": SAMPLED} if n > 1 and sent.get("temperature") == 0 else sent


def passages(case: Case, chunks: Iterable[int]) -> str:
    """These chunks of the document as a prompt shows them, numbered from 0."""
    return tags.render_context([plain(case.texts[i]) for i in chunks])


def listed(chunks: Iterable[int]) -> str:
    """Chunk numbers as a person reads them."""
    return ", ".join(map(str, chunks))
