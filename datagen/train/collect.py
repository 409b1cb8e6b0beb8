"""A batch of rollouts: prompts drawn, responses sampled and scored, groups without contrast replaced.

A group whose responses all have the same reward gives no gradient; it is redrawn, by the *total* reward. By the answer
alone, groups in which every answer is wrong would be thrown away, and they are where the evidence is learned.

Source: dynamic sampling (DAPO, arXiv 2503.14476, section 3.2), with the context-aware reward in the place of accuracy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from datagen.config.train import TrainConfig
from datagen.train.parallel import World
from datagen.train.scoring import Scorer
from datagen.train.types import Example, Group, Response, Sampler, Scored, Split

GREEDY = 0.0

Score = Callable[[Sequence[tuple[Example, Response, str]]], list[Scored]]  # of responses to examples, with their texts


@dataclass(frozen=True)
class Collector:
    """Samples responses and has them scored, on all ranks."""

    sampler: Sampler
    scorer: Scorer
    tokenizer: Any
    world: World

    def groups(
        self,
        split: Split,
        chosen: Sequence[tuple[int, int]],
        n: int,
        temperature: float,
        seed: int,
        score: Score | None = None,
    ) -> list[Group]:
        """n scored responses to each chosen (example, number in the stream), scored by `score`, else by the run's own
        scorer. The ranks share them and each returns all. Raises EngineError where the sampler or the verifier fails.
        """
        score = score or self.scorer
        mine = self.world.share(list(chosen))

        def scored(finished: list[tuple[int, list[Response]]]) -> list[tuple[int, Group]]:
            flat = [
                (split.examples[mine[i][0]], response, self.tokenizer.decode(response.tokens, skip_special_tokens=True))
                for i, responses in finished
                for response in responses
            ]
            found = iter(score(flat))
            return [(i, Group(mine[i][0], responses, [next(found) for _ in responses])) for i, responses in finished]

        prompts = split.prompts((example for example, _ in mine), self.world.device)
        seeds = [[(seed, number, i) for i in range(n)] for _, number in mine]
        with ThreadPoolExecutor(1) as verifying:
            sampled = self.sampler.sample(prompts, seeds, temperature)
            pending = [verifying.submit(scored, finished) for finished in sampled]
            made = [pair for future in pending for pair in future.result()]
        return self.world.gather([group for _, group in sorted(made, key=itemgetter(0))])

    def batch(
        self, split: Split, start: int, settings: TrainConfig, seed: int
    ) -> tuple[list[Group], list[Group], dict[str, float]]:
        """Groups to train on, all that were drawn for them, one a prompt of the stream from `start` on, and what the
        rollouts were like. There are fewer than `settings.batch` groups if all redraws were in vain.
        """
        began, s = time.monotonic(), settings
        groups: list[Group] = []
        seen: list[Group] = []
        number = start
        for _ in range(s.max_redraws + 1):
            wanted = range(number, number + s.batch - len(groups))
            chosen = [(drawn(i, len(split), seed), i) for i in wanted]
            number += len(chosen)
            made = self.groups(split, chosen, s.rollout.n, s.rollout.temperature, seed)
            seen += made
            groups += [usable for usable in (group.usable() for group in made) if usable]
            if len(groups) == s.batch:
                break
        metrics = describe(seen) | {"groups_drawn": len(seen), "groups_kept": len(groups)}
        return groups, seen, metrics | {"rollout_s": round(time.monotonic() - began, 3)}

    def close(self) -> None:
        """Give back the sampler's and the verifier's resources."""
        self.scorer.close()
        self.sampler.close()


def drawn(number: int, n_examples: int, seed: int) -> int:
    """Which example the stream has at a place: all of them once, then again in another order."""
    epoch, at = divmod(number, n_examples)
    return int(np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch)))).permutation(n_examples)[at])


def describe(groups: Sequence[Group]) -> dict[str, float]:
    """Means over all responses; of what the verifier failed on, only that it did."""
    pairs = [(r, s) for group in groups for r, s in zip(group.responses, group.scored, strict=True)]
    rated: list[Scored] = [s for _, s in pairs if s.reward]
    totals = [s.total for s in rated if s.total is not None]
    rewards = [s.reward for s in rated if s.reward]
    parsed = [s for s in rated if s.parsed]
    return {
        "reward": _mean(totals),
        "answer": _mean([r.answer for r in rewards]),
        "precision": _mean([r.precision for r in rewards]),
        "recall": _mean([r.recall for r in rewards]),
        "fbeta": _mean([r.fbeta for r in rewards]),
        "format": len(parsed) / len(rated) if rated else 0.0,
        "length": _mean([len(r.tokens) for r, _ in pairs]),
        "cut": _mean([not r.finished for r, _ in pairs]),
        "verifier_failed": len(pairs) - len(rated),
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
