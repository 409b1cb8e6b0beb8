"""The reward of sampled responses: the answer held against the reference by a verifier, then `grounding.rewards`.

Source: the context-aware reward of LongRLVR (arXiv 2603.02146); token F1 is SQuAD's (arXiv 1606.05250).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import FunctionType

from datagen import llm as engines
from datagen import plugins, prompts
from datagen.checks import grading
from datagen.checks.grading import Calibration, Grader
from datagen.config.llm import EngineConfig
from datagen.config.train import GRADERS, RewardConfig
from datagen.errors import ConfigError
from datagen.grounding import rewards, tags, verify
from datagen.grounding.rewards import Reward
from datagen.grounding.verify import Verifier
from datagen.llm import objects, parsing
from datagen.llm.base import LLM, Backend, Completion, Request, Stream
from datagen.train.loss import overlong_penalty
from datagen.train.types import Example, Response, Scored

KINDS: dict[str, Callable[[Reward, str], float]] = {  # of the reward and the response's text
    "longrlvr": lambda reward, _: reward.total,
    "answer": lambda reward, _: reward.answer,
    "context": lambda reward, _: reward.fbeta,
}


class Scorer:
    """Raises ConfigError at once where the reward or the verifier can't be loaded, or the verifier's model is not named
    or has no key.
    """

    def __init__(self, settings: RewardConfig, engine: EngineConfig, max_tokens: int) -> None:
        self.settings, self.max_tokens = settings, max_tokens
        self.llm: Backend | None = None
        self.verify, self.kind = _verifier(settings.verifier), _kind(settings.kind)
        if settings.verifier in GRADERS:
            if engine.kind != "openai":
                raise ConfigError("train.reward.verifier: a model verifies by a server only (engine.kind: openai)")
            engines.check(engine, (), asks=True)
            self.llm = engines.start(engine, "")
            self.loop = asyncio.Runner()
            sampling = {"temperature": 0.0, "max_tokens": 1024}
            self.grader = Grader(prompts.load(GRADERS[settings.verifier]), engine.model or "", sampling, 1)

    def __call__(self, responses: Sequence[tuple[Example, Response, str]]) -> list[Scored]:
        """Score each response to an example, given with its text. Raises EngineError where no verifier answers."""
        readings = [tags.read_response(text) for _, _, text in responses]
        answers = [reading.answer if reading.parsed else None for reading in readings]
        given = [(example, answer) for (example, _, _), answer in zip(responses, answers, strict=True)]
        verdicts = self._verdicts(given)
        return [
            self._scored(example, response, text, reading.parsed, correct)
            for (example, response, text), reading, correct in zip(responses, readings, verdicts, strict=True)
        ]

    def calibrate(self, questions: Iterable[str]) -> Calibration | None:
        """How the verifier's model, if there is one, does on pairs of known truth in the language of these questions.

        Raises UserError where it can't be believed, EngineError where it does not answer.
        """
        if self.llm is None:
            return None
        found = self.loop.run(grading.calibrate(_Direct(self.llm), self.grader, grading.language(questions)))
        found.require(
            self.grader.model,
            "Choose a better model to verify with (--set train.engine.model=…), or let strings decide "
            "(--set train.reward.verifier=contains)",
        )
        return found

    def close(self) -> None:
        """Close the connection to the verifier's model, if there is one."""
        if self.llm:
            with self.loop:
                self.loop.run(self.llm.close())

    def _scored(self, example: Example, response: Response, text: str, parsed: bool, correct: float | None) -> Scored:
        s = self.settings
        reward = rewards.context_reward(
            text, example.ref_chunks, correct, eta=s.eta, beta=s.beta, unique_ids=s.unique_ids
        )
        if reward is None:
            return Scored(text, None, parsed, None)
        total = self.kind(reward, text)
        penalty = overlong_penalty(len(response.tokens), self.max_tokens, s.overlong_buffer)
        return Scored(text, reward, parsed, total + penalty)

    def _verdicts(self, given: list[tuple[Example, str | None]]) -> list[float | None]:
        """To which share each answer is right; None where the verifier failed. What does not parse is wrong."""
        found = [False if answer is None else self._by_strings(example, answer) for example, answer in given]
        open_ = [i for i, verdict in enumerate(found) if verdict is None]
        if open_ and self.llm:
            asked = self._asked([(example, answer or "") for example, answer in (given[i] for i in open_)])
            for i, verdict in zip(open_, asked, strict=True):
                found[i] = verdict
        return found

    def _by_strings(self, example: Example, answer: str) -> float | None:
        found = self.verify(example.answer, answer)
        return found >= self.settings.min_f1 if self.settings.verifier == "f1" and found is not None else found

    def _asked(self, given: list[tuple[Example, str]]) -> list[bool | None]:
        """The model's verdicts; None where it gave none that can be read."""
        assert self.llm
        requests = [
            self.grader.request(example.question, example.answer, answer, evidence=example.evidence)
            for example, answer in given
        ]
        # Samples that gave the same answer to the same question are one request.
        different = {request.key: request for request in requests}.values()
        found = {completion.key: completion for completion in self.loop.run(_completions(self.llm, different))}
        return [_read(found[request.key]) for request in requests]


@dataclass
class _Direct(LLM):
    """Requests go straight to a backend, and no replies are kept."""

    backend: Backend

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        return await self.backend.complete(request, stream)

    async def disown(self, completions: Sequence[Completion], problem: str) -> None:
        self.backend.disown(completions, problem)


async def _completions(llm: Backend, requests: Iterable[Request]) -> list[Completion]:
    return await asyncio.gather(*(llm.complete(request) for request in requests))


def _read(completion: Completion) -> bool | None:
    try:
        return None if completion.error else parsing.read_reply(completion, objects.read_verdict)
    except objects.ParseError:
        return None


def _kind(name: str) -> Callable[[Reward, str], float]:
    """What a response is rewarded with. Raises ConfigError where there is no such function."""
    return KINDS[name] if name in KINDS else plugins.load(name, {}, FunctionType, "train.reward.kind")


def _verifier(name: str) -> Verifier:
    """What can be told without a model. Raises ConfigError where there is no such function."""
    bundled: dict[str, Verifier] = verify.VERIFIERS | dict.fromkeys(GRADERS, verify.verdict)
    return bundled[name] if name in bundled else plugins.load(name, {}, FunctionType, "train.reward.verifier")
