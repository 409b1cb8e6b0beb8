"""Making what a run is made of: model, optimizer, sampler, scorer, and the trainer that has them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from datagen.config.model import engine_of
from datagen.config.train import OptimizerConfig, TrainConfig
from datagen.errors import ConfigError, reason
from datagen.train import checkpoint, models, parallel, rollout_vllm, run_folder, trackers
from datagen.train.collect import Collector
from datagen.train.log import SAMPLES, Log
from datagen.train.parallel import World
from datagen.train.preflight import Plan
from datagen.train.rollout import ModelSampler
from datagen.train.scoring import Scorer
from datagen.train.stored_state import Stored
from datagen.train.trainer import Trainer
from datagen.train.types import Sampler, Split, State

NAMED = 3  # of the rows that are set aside


def trainer(plan: Plan, world: World, last: Path | None, stored: Stored | None) -> Trainer:
    """The trainer as it was at its last checkpoint (`stored` is what that holds), or before any step.

    Raises ConfigError where the model can't be trained, and EngineError where the sampler or the verifier won't start.
    """
    s = plan.config.train
    model = _own(last, s, world) if last and not s.lora else models.load(plan.source, s, world)
    model.generation_config.eos_token_id = plan.ends  # so that whatever loads a checkpoint ends where training does
    if stored:
        model.load_state_dict(stored.weights, strict=False)
    parallel.shard(model, world, plan.dtype)
    optimizer = adamw(model, s.optimizer)
    state = checkpoint.load(stored, model, optimizer) if stored else State()
    log = None
    if world.is_main:
        left = state.left(s, len(plan.splits["train"]))
        log = Log(plan.folder, state if stored else None, state.step + left, trackers.asked_for(s, plan.folder))
        log.say(_first_line(plan, model, world))
        for split in (*plan.splits.values(), *([plan.benchmark.split] if plan.benchmark else [])):
            if split.set_aside:
                log.say(_set_aside(split))
        if last:
            log.say(f"going on from {last}")
        if left:
            how_often = f"every {s.samples_every:,} steps" if s.samples_every > 1 else "every step"
            log.say(f"{plan.folder / SAMPLES}: what the model writes, {how_often}")
    scorer = Scorer(s.reward, engine_of(plan.config, "train"), s.rollout.max_tokens)
    return Trainer(
        settings=s,
        seed=plan.config.seed,
        folder=plan.folder,
        model=model,
        reference=None,
        optimizer=optimizer,
        tokenizer=plan.tokenizer,
        end=plan.ends[0],
        collector=Collector(_sampler(plan, model, world), scorer, plan.tokenizer, world),
        splits=plan.splits,
        benchmark=plan.benchmark,
        world=world,
        state=state,
        log=log,
    )


def adamw(model: Any, settings: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101) as published; no weight decay of biases and norms."""
    trained = [p for p in model.parameters() if p.requires_grad]
    wide, narrow = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim < 2]
    groups = [{"params": wide, "weight_decay": settings.weight_decay}, {"params": narrow, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.lr, betas=settings.betas)


def reference(trainer: Trainer, plan: Plan, fresh: bool) -> Any:
    """The model as it was before the first rollout, which does not learn. `fresh`: that is now."""
    s, folder = trainer.settings, trainer.folder / run_folder.REFERENCE
    if s.sft.steps and fresh:
        checkpoint.save_model(folder, trainer.model, trainer.tokenizer, trainer.world, s)
    elif s.sft.steps:
        run_folder.verify(folder, trainer.world)
    if s.sft.steps:
        model = _own(folder, s, trainer.world, frozen=True)
    else:
        model = models.load(plan.source, s, trainer.world, frozen=True)
    parallel.shard(model, trainer.world, plan.dtype)
    return model


def _own(folder: Path, settings: TrainConfig, world: World, frozen: bool = False) -> Any:
    """A model that the trainer wrote. Raises UserError where it can't be loaded any more."""
    try:
        return models.load(str(folder), settings, world, frozen)
    except ConfigError as e:
        raise run_folder.unusable(folder, reason(e.__cause__ or e)) from e


def _sampler(plan: Plan, model: Any, world: World) -> Sampler:
    s = plan.config.train
    if s.rollout.sampler == "own":
        return ModelSampler(model, plan.ends, s.rollout)
    splits = [*plan.splits.values(), *([plan.benchmark.split] if plan.benchmark else [])]
    longest = max(split.longest for split in splits)
    return rollout_vllm.VllmSampler(s, plan.source, longest, plan.dtype, plan.ends, world.size)


def _first_line(plan: Plan, model: Any, world: World) -> str:
    """What is trained, on what, and where."""
    train, validation = plan.splits["train"], plan.splits["validation"]
    size = sum(p.numel() for p in model.parameters())
    device = torch.cuda.get_device_name(world.device) if world.device.type == "cuda" else world.device.type
    return (
        f"{plan.config.train.model} ({size:,} parameters), {len(train):,} rows ({len(validation):,} to evaluate on), "
        f"{len(train.tokens):,} tokens (the longest prompt {train.longest:,}), "
        f"{f'{world.size} × ' if world.size > 1 else ''}{device}, {str(plan.dtype).removeprefix('torch.')}"
    )


def _set_aside(split: Split) -> str:
    """Which rows are not trained or evaluated on, and why: how many, and the first."""
    left = len(split.set_aside)
    more = f" (and {left - NAMED:,} more)" if left > NAMED else ""
    return f"set aside {left:,} of {left + len(split):,} rows: {'; '.join(split.set_aside[:NAMED])}{more}"
