"""The training loop: rollouts, rewards, optimizer steps, evaluation on the held-out rows, checkpoints.

Source: GRPO as LongRLVR trains with it (arXiv 2603.02146): group-relative advantages of the context-aware reward. All
draws are seeded by what they are for, so a run that goes on from a checkpoint makes the steps it would have made.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datagen import shards
from datagen.config.train import TrainConfig
from datagen.evaluate.prediction import Prediction
from datagen.signals import polite
from datagen.train import benchmark, checkpoint, collect, run_folder, sft, update
from datagen.train.benchmark import Benchmark
from datagen.train.collect import Collector
from datagen.train.log import SAMPLES, Log, write_samples
from datagen.train.parallel import World
from datagen.train.types import Group, Split, State

SFT_STREAM, EVAL_STREAM = 1, 2  # streams of draws apart from that of the rollouts
FAR = 0.1  # nats a token, of the sampler's distribution from the trainer's; rounding in bfloat16 makes about 0.01


class Interrupted(Exception):
    """A signal to end came, and a checkpoint was written."""


@dataclass
class Trainer:
    """All that a run is made of. Every method is called by all ranks; `log` is None on all but the main one."""

    settings: TrainConfig
    seed: int
    folder: Path
    model: Any
    reference: Any  # for the KL term, or None
    optimizer: torch.optim.Optimizer
    tokenizer: Any
    end: int  # the token that gold outputs end with
    collector: Collector
    splits: dict[str, Split]
    benchmark: Benchmark | None  # that is scored now and then
    world: World
    state: State
    log: Log | None
    signals: list[int] = field(default_factory=list)  # that came and ask to stop

    def warm_start(self) -> None:
        """Supervised steps before the first rollout, which the optimizer then forgets.

        Raises Interrupted after saving, and update.Diverged naming the step.
        """
        s, state = self.settings, self.state
        if state.warmed >= s.sft.steps:
            return
        for step in range(state.warmed + 1, s.sft.steps + 1):
            self._set_lr(s.sft.lr * min(1.0, step / max(1, s.optimizer.warmup)))
            try:
                metrics = self._supervised(step)
            except update.Diverged as e:
                raise update.Diverged(f"warm start, step {step}: {e}") from e
            if self.log and (step % 10 == 0 or step == s.sft.steps):
                self.log.write({"step": 0, "sft/step": step, **{f"sft/{k}": v for k, v in metrics.items()}})
            state.warmed = step
            if step < s.sft.steps:
                self._checkpoint(step % s.sft.save_every == 0)
        self.optimizer.state.clear()

    def train(self) -> None:
        """Steps from the state to the last. Raises Interrupted after saving, and update.Diverged naming the step."""
        s, state = self.settings, self.state
        while self.left():
            began = time.monotonic()
            if not state.groups:
                self._rollouts()
            metrics = self._optimize()
            self.collector.sampler.update_weights(self.model)
            state.step, state.taken, state.groups = state.step + 1, 0, []
            if self.log:
                self.log.steps = state.step + self.left()
                _log_step(self.log, state, metrics, time.monotonic() - began)
            if s.eval_every and state.step % s.eval_every == 0:
                self.evaluate()
            if s.eval and state.step % s.eval.every == 0:
                self.score_benchmark()
            self._checkpoint(state.step % s.save_every == 0 or not self.left())

    def left(self) -> int:
        """How many batches are to come, at most."""
        return self.state.left(self.settings, len(self.splits["train"]))

    def evaluate(self) -> None:
        """Log what the likeliest responses to held-out prompts are worth."""
        s, split = self.settings, self.splits["validation"]
        n = len(split)
        if not n or not s.eval_every:
            return
        began = time.monotonic()
        groups = self.collector.groups(split, [(i, i) for i in range(n)], 1, collect.GREEDY, self.seed + EVAL_STREAM)
        if self.log:
            metrics = collect.describe(groups) | {"prompts": n, "seconds": round(time.monotonic() - began, 3)}
            self.log.write({"step": self.state.step, **{f"eval/{name}": value for name, value in metrics.items()}})

    def score_benchmark(self) -> None:
        """Log what the likeliest responses to the questions of the benchmark are worth, if there is one, and keep them
        among the samples.
        """
        if not self.benchmark:
            return
        rows, metrics = benchmark.evaluate(self.benchmark, self.collector, self.seed + EVAL_STREAM)
        if self.log:
            name, step = self.benchmark.name, self.state.step
            shards.write_rows(str(self.folder / SAMPLES / f"{name}-{step:06d}.parquet"), Prediction, rows)
            self.log.write({"step": step, **{f"eval/{name}/{each}": value for each, value in metrics.items()}})

    def save(self) -> None:
        """Write a checkpoint."""
        target = self.folder / run_folder.CHECKPOINTS / self.state.name(self.settings.sft.steps)
        checkpoint.save(target, self.model, self.optimizer, self.tokenizer, self.state, self.world, self.settings)

    def _checkpoint(self, due: bool) -> None:
        """Save if it is due or a signal came. Raises Interrupted after a signal."""
        stopping = self.world.any(bool(self.signals))
        if stopping or due:
            self.save()
        if stopping:
            raise Interrupted

    def _supervised(self, step: int) -> dict[str, float]:
        s, split = self.settings, self.splits["train"]
        first = (step - 1) * s.sft.batch
        numbers = range(first, first + s.sft.batch)
        chosen = [collect.drawn(i, len(split), self.seed + SFT_STREAM) for i in numbers]
        outputs = [sft.gold(split.examples[i], self.tokenizer, self.end) for i in chosen]
        return sft.step(self.model, self.optimizer, split.prompts(chosen, self.world.device), outputs, s, self.world)

    def _rollouts(self) -> None:
        """Put a batch into the state's hands."""
        s, state, split = self.settings, self.state, self.splits["train"]
        state.groups, seen, state.sampled = self.collector.batch(split, state.drawn, s, self.seed)
        state.drawn += len(seen)
        old = self.model if len(state.groups) > s.mini_batch else None
        prompts = self._prompts(state.groups)
        update.record_logprobs(old, self.reference, state.groups, prompts, s, self.world)
        lengths = [len(r.tokens) for group in state.groups for r in group.responses]
        state.sampled["tokens_trained"] = sum(map(len, prompts)) + sum(lengths)
        state.tokens += state.sampled["tokens_trained"]
        due = state.step % s.samples_every == 0 or self.left() == 1
        if self.log and (due or not state.groups):
            file = self.folder / SAMPLES / f"step-{state.step + 1:06d}.parquet"
            write_samples(file, seen, split)
            if not state.groups:
                self.log.say(
                    f"step {state.step + 1}: no prompt had responses of different reward; nothing to learn from in "
                    f"this step. What was sampled: {file}"
                )

    def _optimize(self) -> dict[str, float]:
        """The optimizer steps that are left of the batch in hand; their mean metrics."""
        s, state = self.settings, self.state
        lr = self._set_lr(s.optimizer.lr * min(1.0, (state.step + 1) / max(1, s.optimizer.warmup)))
        for first in range(state.taken * s.mini_batch, len(state.groups), s.mini_batch):
            groups = state.groups[first : first + s.mini_batch]
            try:
                metrics = update.step(self.model, self.optimizer, groups, self._prompts(groups), s, self.world)
            except update.Diverged as e:
                raise update.Diverged(f"step {state.step + 1}, optimizer step {state.taken + 1}: {e}") from e
            state.taken += 1
            state.sums = {name: state.sums.get(name, 0.0) + value for name, value in metrics.items()}
            if first + s.mini_batch < len(state.groups):
                self._checkpoint(False)
        means = {name: value / max(1, state.taken) for name, value in state.sums.items()}
        state.sums = {}
        return means | {"lr": lr, "optimizer_steps": state.taken}

    def _prompts(self, groups: list[Group]) -> list[Tensor]:
        return self.splits["train"].prompts((group.example for group in groups), self.world.device)

    def _set_lr(self, lr: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr


def _log_step(log: Log, state: State, metrics: dict[str, float], seconds: float) -> None:
    speed = {"seconds": round(seconds, 3), "tokens_per_s": round(state.sampled["tokens_trained"] / seconds, 1)}
    log.write({"step": state.step, **state.sampled, **metrics, "tokens": state.tokens, **speed})
    if (gap := metrics.get("mismatch_kl", 0.0)) > FAR:
        log.say(
            f"step {state.step}: the sampler's log-probs are far from the trainer's (mismatch_kl {gap:.2f}): it "
            "computes another model, or its number format is too coarse"
        )


@contextmanager
def stop_on_signals(signals: list[int]) -> Iterator[None]:
    """Within, Ctrl-C, SIGTERM and SIGHUP are noted in the list. A second one ends the process at once, except that of
    a terminal that closes: it may come from the shell and from the system.
    """

    def note(number: int, _: Any) -> None:
        if signals and number != getattr(signal, "SIGHUP", None):
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        signals.append(number)
        with suppress(OSError):  # of a terminal that was closed
            print("stopping after this step (a second time: at once)", file=sys.stderr)

    before = {number: signal.signal(number, note) for number in polite()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
