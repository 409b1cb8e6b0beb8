"""What `longrlvr-data train` does: check all, start the ranks, train, and say how it ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.utils import logging

from datagen import resources
from datagen.config import layers
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.console import plain, print_json, put
from datagen.dataset import read
from datagen.errors import ConfigError, UserError, reason
from datagen.run import lock
from datagen.run.resume import Resume
from datagen.train import curve, log, parallel, preflight, run_folder, setup, stored_state
from datagen.train.log import METRICS, SAMPLES
from datagen.train.parallel import World
from datagen.train.preflight import Plan
from datagen.train.stored_state import Stored
from datagen.train.trainer import Interrupted, Trainer, stop_on_signals

COMPLETE, INTERRUPTED = 0, 130


@dataclass(frozen=True)
class Options:
    """Of the command; None: as the configuration says."""

    dataset: str
    config: str | None
    output_dir: str | None
    model: str | None
    reward: str | None
    steps: int | None
    sft_steps: int | None
    seed: int | None
    set: list[str] | None
    base_url: list[str] | None
    device: str
    processes: int | None
    resume: Resume
    json: bool
    verbose: bool


def main(options: Options) -> int:
    """Train, and return the exit code. Raises UserError for what the person can put right."""
    logging.disable_progress_bar()  # transformers' own, of loading and saving
    config = _config(options)
    if not config.train.model:
        raise ConfigError(
            f"no model is named: give --model (a name on the hub, a path, or `{preflight.TINY}`), or set train.model",
            ("--model", "NAME"),
        )
    device = _device(options.device)
    where = options.output_dir or _folder(options.dataset)
    if "://" in where:
        raise ConfigError(f"-o {where}: checkpoints are written to a local folder: name one", ("-o", "runs/trained"))
    folder = Path(where)
    files = read.find(options.dataset)
    gpus = torch.cuda.device_count() if device == "cuda" else 0
    processes = options.processes or gpus or 1
    if gpus and processes > gpus:
        raise ConfigError(f"--processes {processes}: each has a GPU of its own, and {gpus} can be seen here")
    if processes > 1 and "RANK" not in os.environ:
        with lock.locked(str(folder)):
            world = World(0, processes, torch.device(device))
            preflight.check(config, folder, files, world, options.resume)
        return parallel.launch(processes, sys.argv[1:])
    with parallel.process_group(device) as world:
        if not world.is_main:
            world.wait()
            return _train(preflight.plan(config, folder, files, world), world, options)
        with lock.locked(str(folder)):
            plan = preflight.check(config, folder, files, world, options.resume)
            world.wait()
            return _train(plan, world, options)


def _config(options: Options) -> Config:
    named = {
        "train.model": options.model,
        "train.reward.kind": options.reward,
        "train.steps": options.steps,
        "train.sft.steps": options.sft_steps,
        "seed": options.seed,
        "train.engine.endpoints": [{"base_url": url} for url in options.base_url or []] or None,
    }
    files = [configs.layer(resources.path("configs", options.config))] if options.config else []
    instead = {"train.epochs": None} if options.steps is not None else {}  # the length that a file gives
    return layers.combined(Config, files, instead | layers.given(named, options.set or (), Config))


def _device(name: str) -> str:
    cuda = torch.cuda.is_available()
    if name == "cuda" and not cuda:
        raise ConfigError("--device cuda: no GPU is visible to PyTorch here")
    return ("cuda" if cuda else "cpu") if name == "auto" else name


def _folder(dataset: str) -> str:
    """A run is trained on inside its own folder; for anything else a folder must be named."""
    if (Path(dataset) / "dataset").is_dir():
        return str(Path(dataset) / "train")
    raise ConfigError(
        f"{dataset} is no run directory: say with -o where checkpoints and metrics go", ("-o", "runs/trained")
    )


def _train(plan: Plan, world: World, options: Options) -> int:
    s, last = plan.config.train, run_folder.latest(plan.folder)
    if last:
        run_folder.verify(last, world)
    stored = stored_state.read(last) if last else None
    done = stored and stored.state.warmed >= s.sft.steps and not stored.state.left(s, len(plan.splits["train"]))
    if not done:
        try:
            with _memory_said(world):
                _work(plan, world, last, stored)
        except Interrupted:
            if world.is_main:
                last = run_folder.latest(plan.folder)
                print(plain(f"interrupted; the same command goes on from {last}"), file=sys.stderr)
            return INTERRUPTED
    if world.is_main:
        _report(plan, options.json)
    return COMPLETE


def _work(plan: Plan, world: World, last: Path | None, stored: Stored | None) -> None:
    """Train from the last checkpoint to the end. Raises Interrupted, Diverged."""
    trainer = setup.trainer(plan, world, last, stored)
    try:
        _run(trainer, plan, fresh=not stored or trainer.state.warmed < plan.config.train.sft.steps)
    finally:
        trainer.collector.close()


@contextmanager
def _memory_said(world: World) -> Iterator[None]:
    """Within, a GPU that has too little memory is a sentence."""
    try:
        yield
    except torch.OutOfMemoryError as e:
        raise UserError(
            f"{world.device} has too little memory for this ({reason(e)}). Lower "
            "train.max_tokens_per_microbatch or train.rollout.prompts_at_once, set train.activations to offload, or "
            "use more GPUs, and run the command again: it goes on from the last checkpoint"
        ) from e


def _run(trainer: Trainer, plan: Plan, fresh: bool) -> None:
    """Train from where the trainer is to the end. `fresh`: there was no rollout yet. Raises Interrupted, Diverged."""
    s = trainer.settings
    with trainer.log or nullcontext(), stop_on_signals(trainer.signals):
        trainer.warm_start()
        trainer.collector.sampler.update_weights(trainer.model)
        if s.loss.kl_coef:
            trainer.reference = setup.reference(trainer, plan, fresh)
        if fresh:
            trainer.evaluate()
            trainer.score_benchmark()
        if fresh and (s.sft.steps or not trainer.left()):
            trainer.save()
        trainer.train()


def _report(plan: Plan, as_json: bool) -> None:
    folder, last = plan.folder, run_folder.latest(plan.folder)
    rows = log.read(folder / METRICS)
    steps, evaluations = [r for r in rows if "reward" in r], [r for r in rows if "eval/reward" in r]
    learned, sampled = sum(r.get("optimizer_steps", 1) > 0 for r in steps), log.last_samples(folder)
    done = run_folder.steps(last) if last else 0
    if not as_json:
        series = curve.read(folder / METRICS)
        if any(len(values) > 1 for values in series.values()):
            print(curve.draw(series))
        few = f", of which {learned} changed it" if learned < len(steps) else ""
        put(f"{last}: the model after {done} {'step' if done == 1 else 'steps'}{few}, as transformers and vLLM load it")
        put(f"{folder}/{METRICS}: all steps" + (f"; {sampled}: what the model wrote last" if sampled else ""))
    else:
        found = {"steps": done, "learned_steps": learned, "checkpoint": str(last)}
        found |= {"metrics": str(folder / METRICS), "samples": str(folder / SAMPLES)}
        print_json(found | {"last_step": _last(steps), "last_evaluation": _last(evaluations)}, indent=None)
    if steps and not learned:
        raise UserError(
            f"{folder}: nothing was learned: in every step, all responses to a prompt had the same reward "
            f"({_same(steps)}), so the model is as it was before. Warm it up on gold outputs (--sft-steps), or raise "
            "train.rollout.n, train.rollout.temperature, train.rollout.max_tokens or train.max_redraws. "
            + (f"What was sampled last: {sampled}" if sampled else "")
        )


def _same(steps: list[dict[str, float]]) -> str:
    """What the rewards of steps without contrast were like."""
    reward, form, cut = (sum(r[name] for r in steps) / len(steps) for name in ("reward", "format", "cut"))
    return f"{reward:.2f} on average; {form:.0%} of the responses could be read, {cut:.0%} were cut at their longest"


def _last(rows: list[dict[str, float]]) -> dict[str, float] | None:
    return rows[-1] if rows else None
