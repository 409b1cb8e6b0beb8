"""What the modules of the trainer pass on to each other: a dataset's examples, responses, groups, and a run's state.

A group is what GRPO compares (DeepSeekMath, arXiv 2402.03300): all responses to one prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from datagen.config.train import TrainConfig
from datagen.grounding.rewards import Reward

Seed = tuple[int, ...]  # of one response: what it is (run, number of its prompt in the stream, number of the response)


@dataclass(frozen=True)
class Example:
    """A row of the dataset: a prompt and its labels. `start` and `end` are its place among the tokens of its split."""

    qa_id: str
    question: str
    answer: str
    ref_chunks: tuple[int, ...]
    start: int
    end: int
    evidence: str = ""  # the text of the labelled chunks, where the verifier is shown it

    @property
    def n_tokens(self) -> int:
        """Tokens of the prompt."""
        return self.end - self.start


@dataclass(frozen=True)
class Split:
    """The examples of a split. `tokens`: all prompts end to end, int32. `set_aside`: why other rows are no examples."""

    examples: list[Example]
    tokens: np.ndarray
    set_aside: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt, or 0."""
        return max((example.n_tokens for example in self.examples), default=0)

    def prompts(self, chosen: Iterable[int], device: torch.device) -> list[Tensor]:
        """The chosen examples' prompts, (P,) int64 each."""
        places = [(self.examples[i].start, self.examples[i].end) for i in chosen]
        return [torch.tensor(self.tokens[a:b], dtype=torch.long, device=device) for a, b in places]


@dataclass(frozen=True)
class Response:
    """A sampled response."""

    tokens: list[int]  # up to the token that ended it
    logprobs: list[float]  # of these tokens, as sampled
    finished: bool  # False: cut at the longest length there can be


@dataclass(frozen=True)
class Scored:
    """A response's text and reward. `total` is None where the verifier failed: it is no part of the training then."""

    text: str
    reward: Reward | None
    parsed: bool  # both sections could be read
    total: float | None  # what is maximised: of the reward, the part that was asked for, less what is too long


@dataclass
class Group:
    """A prompt's responses and what became of them."""

    example: int  # its number in the split
    responses: list[Response]
    scored: list[Scored]
    old: list[float] = field(default_factory=list)  # log-probs before the batch's first step, responses end to end
    ref: list[float] = field(default_factory=list)  # by the reference

    @property
    def totals(self) -> list[float]:
        """The rewards of the responses that have one."""
        return [scored.total for scored in self.scored if scored.total is not None]

    def usable(self) -> Group | None:
        """The group without what the verifier failed on; None if there is nothing to learn from it: all rewards the
        same.
        """
        kept = [i for i, scored in enumerate(self.scored) if scored.total is not None]
        if len(set(self.totals)) < 2:
            return None
        return Group(self.example, [self.responses[i] for i in kept], [self.scored[i] for i in kept])

    def tensors(self, device: torch.device) -> list[Tensor]:
        """The responses' tokens, (R,) int64 each."""
        return [torch.tensor(response.tokens, device=device) for response in self.responses]


@dataclass
class State:
    """Where a run is: after `step` whole batches, and in the next one, after `taken` of its optimizer steps."""

    warmed: int = 0  # supervised steps before all that
    step: int = 0
    drawn: int = 0  # prompts drawn from the stream
    taken: int = 0
    groups: list[Group] = field(default_factory=list)  # the batch in hand
    sampled: dict[str, float] = field(default_factory=dict)  # what its rollouts were like
    sums: dict[str, float] = field(default_factory=dict)  # of the metrics of the optimizer steps taken
    tokens: int = 0  # of prompts and responses so far

    def left(self, settings: TrainConfig, n_rows: int) -> int:
        """How many batches are to come, the one in hand among them: by `train.steps`, or as many whole ones as the
        prompts that `train.epochs` passes over the rows still have, if none of them is replaced.
        """
        if settings.epochs is None:
            return max(0, (settings.steps or 0) - self.step)
        return bool(self.groups) + max(0, settings.epochs * n_rows - self.drawn) // settings.batch

    def name(self, warm_steps: int) -> str:
        """Of its checkpoint."""
        if self.warmed < warm_steps:
            return f"warm-{self.warmed:06d}"
        return f"step-{self.step:06d}" + (f"-{self.taken}" if self.taken else "")


class Sampler(Protocol):
    """Where responses come from: the model itself (`rollout`) or vLLM (`rollout_vllm`)."""

    def sample(
        self, prompts: Sequence[Tensor], seeds: Sequence[Sequence[Seed]], temperature: float
    ) -> Iterator[list[tuple[int, list[Response]]]]:
        """Responses to each prompt (P,), as many as it has seeds: (number of the prompt, responses), as finished.

        A temperature of 0 takes the likeliest token. Raises EngineError where the sampler fails.
        """
        ...

    def update_weights(self, model: Any) -> None:
        """Sample by this model's weights from now on. Called by all ranks."""
        ...

    def close(self) -> None:
        """Give back what the sampler holds."""
        ...
