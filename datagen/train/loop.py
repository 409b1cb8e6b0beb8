"""The training loop: rollouts, rewards, optimizer steps, a look at the held-out rows, checkpoints.

Source: GRPO as LongRLVR trains with it (arXiv 2603.02146): group-relative advantages of the context-aware reward. All
draws are seeded by what they are for, so a run that goes on from a checkpoint makes the steps it would have made.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from datagen.config.train import OptimizerConfig
from datagen.train import checkpoint, collect, sft, update
from datagen.train.checkpoint import State
from datagen.train.log import Log, write_samples
from datagen.train.parts import Parts

SFT_STREAM, EVAL_STREAM = 1, 2  # streams of draws apart from that of the rollouts
FAR = 0.1  # nats a token, of the sampler's distribution from the trainer's; rounding in bfloat16 makes about 0.01


class Interrupted(Exception):
    """Ctrl-C or a polite kill; a checkpoint was written."""


def optimizer_for(model: Any, settings: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW as published; no weight decay of biases and norms."""
    trained = [p for p in model.parameters() if p.requires_grad]
    wide, narrow = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim < 2]
    groups = [{"params": wide, "weight_decay": settings.weight_decay}, {"params": narrow, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.lr, betas=settings.betas)


def warm_start(parts: Parts, state: State, optimizer: torch.optim.Optimizer, told: list[int], log: Log | None) -> None:
    """Supervised steps before the first rollout, which the optimizer then forgets. Raises as `train` does."""
    s = parts.settings
    if state.warmed >= s.sft.steps:
        return
    for step in range(state.warmed + 1, s.sft.steps + 1):
        first = (step - 1) * s.sft.batch
        numbers = range(first, first + s.sft.batch)
        chosen = [collect.drawn(i, len(parts.train), parts.seed + SFT_STREAM) for i in numbers]
        outputs = [sft.gold(parts.train.tasks[i], parts.tokenizer) for i in chosen]
        for group in optimizer.param_groups:
            group["lr"] = s.sft.lr * min(1.0, step / max(1, s.optimizer.warmup))
        try:
            metrics = sft.step(parts.model, optimizer, parts.prompts(parts.train, chosen), outputs, s, parts.where)
        except update.Diverged as e:
            raise update.Diverged(f"warm start, step {step}: {e}") from e
        if log and (step % 10 == 0 or step == s.sft.steps):
            log.write({"step": 0, "sft/step": step, **{f"sft/{k}": v for k, v in metrics.items()}})
        state.warmed = step
        stopping = step < s.sft.steps and parts.where.any(bool(told))
        if stopping or (step < s.sft.steps and step % s.sft.save_every == 0):
            save(parts, state, optimizer)
        if stopping:
            raise Interrupted
    optimizer.state.clear()


def train(parts: Parts, state: State, optimizer: torch.optim.Optimizer, told: list[int], log: Log | None) -> None:
    """Steps from the state to the last. Raises Interrupted after saving, and update.Diverged naming the step."""
    s, where = parts.settings, parts.where
    while state.step < s.steps:
        began = time.monotonic()
        if not state.groups:
            _roll(parts, state, log)
        metrics = _steps(parts, state, optimizer, told)
        parts.sampler.take(parts.model)
        state.step, state.taken, state.groups = state.step + 1, 0, []
        if log:
            row = {"step": state.step, **state.sampled, **metrics}
            log.write(row | {"tokens": state.tokens, **_speed(row, time.monotonic() - began)})
            if row.get("kl_sampler", 0.0) > FAR:
                log.say(
                    f"step {state.step}: the sampler's log-probs are far from the trainer's (kl_sampler "
                    f"{row['kl_sampler']:.2f}): it computes another model, or its number format is too coarse"
                )
        if s.eval_every and state.step % s.eval_every == 0:
            look(parts, state, log)
        stopping = where.any(bool(told))
        if stopping or state.step % s.save_every == 0 or state.step == s.steps:
            save(parts, state, optimizer)
        if stopping:
            raise Interrupted


def _roll(parts: Parts, state: State, log: Log | None) -> None:
    """Put a batch into the state's hands."""
    s = parts.settings
    state.groups, drawn, state.sampled = collect.batch(parts, state.drawn)
    state.drawn += drawn
    several = len(state.groups) > s.mini_batch
    old = parts.model if several else None
    prompts = parts.prompts(parts.train, [group.task for group in state.groups])
    update.note_logprobs(old, parts.reference, state.groups, prompts, s, parts.where)
    state.sampled["tokens_trained"] = sum(
        len(prompt) + sum(len(r.tokens) for r in group.responses)
        for group, prompt in zip(state.groups, prompts, strict=True)
    )
    state.tokens += state.sampled["tokens_trained"]
    if log and not state.groups:
        log.say(
            f"step {state.step + 1}: no prompt had responses of different reward; nothing to learn from in this step"
        )
    if log and (state.step % s.samples_every == 0 or state.step == s.steps - 1) and state.groups:
        write_samples(parts.folder / "samples" / f"step-{state.step + 1:06d}.parquet", state.groups, parts.train)


def _steps(parts: Parts, state: State, optimizer: torch.optim.Optimizer, told: list[int]) -> dict[str, float]:
    """The optimizer steps that are left of the batch in hand; their mean metrics."""
    s = parts.settings
    lr = s.optimizer.lr * min(1.0, (state.step + 1) / max(1, s.optimizer.warmup))
    for group in optimizer.param_groups:
        group["lr"] = lr
    for first in range(state.taken * s.mini_batch, len(state.groups), s.mini_batch):
        groups = state.groups[first : first + s.mini_batch]
        prompts = parts.prompts(parts.train, [group.task for group in groups])
        try:
            metrics = update.step(parts.model, optimizer, groups, prompts, s, parts.where)
        except update.Diverged as e:
            raise update.Diverged(f"step {state.step + 1}, optimizer step {state.taken + 1}: {e}") from e
        state.taken += 1
        state.sums = {name: state.sums.get(name, 0.0) + value for name, value in metrics.items()}
        if first + s.mini_batch < len(state.groups) and parts.where.any(bool(told)):
            save(parts, state, optimizer)
            raise Interrupted
    means = {name: value / max(1, state.taken) for name, value in state.sums.items()}
    state.sums = {}
    return means | {"lr": lr, "optimizer_steps": state.taken}


def look(parts: Parts, state: State, log: Log | None) -> None:
    """The likeliest response to held-out prompts."""
    n = min(len(parts.validation), parts.settings.eval_prompts)
    if not n or not parts.settings.eval_every:
        return
    began = time.monotonic()
    chosen = [(i, i) for i in range(n)]
    groups = collect.groups_of(parts, parts.validation, chosen, 1, collect.GREEDY, parts.seed + EVAL_STREAM)
    if log:
        metrics = collect.describe(groups) | {"prompts": n, "seconds": round(time.monotonic() - began, 3)}
        log.write({"step": state.step, **{f"eval/{name}": value for name, value in metrics.items()}})


def save(parts: Parts, state: State, optimizer: torch.optim.Optimizer) -> None:
    s, target = parts.settings, parts.folder / "checkpoints" / state.name(parts.settings.sft.steps)
    checkpoint.save(target, parts.model, optimizer, parts.tokenizer, state, parts.where, s)


def _speed(row: dict[str, float], seconds: float) -> dict[str, float]:
    return {"seconds": round(seconds, 3), "tokens_per_s": round(row.get("tokens_trained", 0) / seconds, 1)}


@contextmanager
def told_to_stop() -> Iterator[list[int]]:
    """A list that is no longer empty once Ctrl-C or a polite kill came. A second one ends the process at once."""
    told: list[int] = []

    def note(number: int, _: Any) -> None:
        if told:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        told.append(number)
        print("stopping after this step (a second time: at once)", file=sys.stderr)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
