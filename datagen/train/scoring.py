"""The reward of sampled responses: the answer held against the reference by a verifier, then `grounding.rewards`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datagen import llm as engines
from datagen import prompts
from datagen.config.llm import EngineConfig
from datagen.config.train import RewardConfig
from datagen.errors import ConfigError
from datagen.grounding import rewards, tags, verify
from datagen.grounding.rewards import Reward
from datagen.llm import parsing as readers
from datagen.llm.base import Completion, Request
from datagen.train.data import Task
from datagen.train.loss import overlong_penalty
from datagen.train.rollout import Response


@dataclass(frozen=True)
class Scored:
    """A response with its reward. `total` is None where the verifier failed: it is no part of the training then."""

    text: str
    reward: Reward | None
    parsed: bool  # both sections could be read
    total: float | None  # what is maximised: of the reward, the part that was asked for, less what is too long


class Scorer:
    """Raises ConfigError at once where the verifier's model is not named or has no key, and EngineError where it does
    not answer.
    """

    def __init__(self, settings: RewardConfig, engine: EngineConfig, max_tokens: int) -> None:
        self.settings, self.max_tokens = settings, max_tokens
        self.engine: Any = None
        if settings.verifier == "llm":
            if engine.kind != "openai":
                raise ConfigError("train.reward.verifier: a model verifies by a server only (engine.kind: openai)")
            engines.check(engine, (), asks=True)
            self.engine, self.model = engines.start(engine, ""), engine.model or ""
            self.prompt = prompts.load("judge-grade")
            probe = Task("", "Is 2 an even number?", "yes", (0,), 0, 0)
            self._asked([(probe, "it is")], must_answer=True)

    def __call__(self, responses: Sequence[tuple[Task, Response, str]]) -> list[Scored]:
        """Of each task and response, with the response's text."""
        readings = [tags.read_response(text) for _, _, text in responses]
        answers = [reading.answer if reading.parsed else None for reading in readings]
        given = [(task, answer) for (task, _, _), answer in zip(responses, answers, strict=True)]
        verdicts = self._verdicts(given)
        return [
            self._scored(task, response, text, reading.parsed, correct)
            for (task, response, text), reading, correct in zip(responses, readings, verdicts, strict=True)
        ]

    def close(self) -> None:
        if self.engine:
            self.engine.close()

    def _scored(self, task: Task, response: Response, text: str, parsed: bool, correct: bool | None) -> Scored:
        s = self.settings
        reward = rewards.context_reward(text, task.ref_chunks, correct, eta=s.eta, beta=s.beta, unique_ids=s.unique_ids)
        if reward is None:
            return Scored(text, None, parsed, None)
        total = {"longrlvr": reward.total, "answer": reward.answer, "context": reward.fbeta}[s.kind]
        penalty = overlong_penalty(len(response.tokens), self.max_tokens, s.overlong_buffer)
        return Scored(text, reward, parsed, total + penalty)

    def _verdicts(self, given: list[tuple[Task, str | None]]) -> list[bool | None]:
        """Whether each answer is right; None where the verifier failed. What does not parse is wrong."""
        found = [False if answer is None else self._by_strings(task, answer) for task, answer in given]
        open_ = [i for i, verdict in enumerate(found) if verdict is None]
        if open_:
            asked = self._asked([(task, answer or "") for task, answer in (given[i] for i in open_)])
            for i, verdict in zip(open_, asked, strict=True):
                found[i] = verdict
        return found

    def _by_strings(self, task: Task, answer: str) -> bool | None:
        kind = self.settings.verifier
        if kind == "llm":
            return verify.verdict(task.answer, answer)
        found = verify.VERIFIERS[kind](task.answer, answer)
        return found >= self.settings.min_f1 if kind == "f1" and found is not None else bool(found)

    def _asked(self, given: list[tuple[Task, str]], must_answer: bool = False) -> list[bool | None]:
        """The model's verdicts; None where it gave none that can be read."""
        requests = [self._request(task, answer) for task, answer in given]
        found: dict[str, bool | None] = {}
        # Samples that gave the same answer to the same question are one request.
        for completions in self.engine.ask(iter(list({request.key: request for request in requests}.values()))):
            for completion in completions:
                found[completion.key] = _read(completion)
                if must_answer and completion.error:
                    raise ConfigError(f"the verifier's model can't be asked: {completion.error}: {completion.detail}")
        return [found[request.key] for request in requests]

    def _request(self, task: Task, answer: str) -> Request:
        text = prompts.render(self.prompt, question=task.question, answer=task.answer, given=answer)
        sampling = {"temperature": 0.0, "max_tokens": 1024}
        return Request(self.model, [{"role": "user", "content": text}], sampling, check="grade")


def _read(completion: Completion) -> bool | None:
    try:
        return None if completion.error else readers.read_verdict(readers.said(completion))
    except readers.Unreadable:
        return None
