"""What `longrlvr-data train` does: settle everything that can be wrong before any work, start the ranks, train."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from datagen import resources, shards
from datagen.config import model as configs
from datagen.config.model import Config, engine_of, settings_of
from datagen.errors import ConfigError, StaleStage, UserError
from datagen.run import identity
from datagen.stages import stage
from datagen.train import checkpoint, data, loop, models, parallel, rollout, rollout_vllm, tiny
from datagen.train import trackers as boards
from datagen.train.checkpoint import State
from datagen.train.data import Tasks
from datagen.train.log import Log
from datagen.train.parallel import World
from datagen.train.parts import Parts
from datagen.train.rollout import Stop
from datagen.train.scoring import Scorer

TINY = "tiny"
COMPLETE, INTERRUPTED = 0, 130


@dataclass(frozen=True)
class Options:
    dataset: str
    config: str | None
    output_dir: str | None
    model: str | None
    reward: str | None
    steps: int | None
    sft_steps: int | None
    seed: int | None
    base_url: list[str] | None
    device: str
    processes: int | None
    resume: stage.Resume
    verbose: bool


def main(options: Options) -> int:
    """Train, and return the exit code. Raises UserError for what the person can put right."""
    logging.disable_progress_bar()  # transformers' own, of loading and saving
    config = _config(options)
    if not config.train.model:
        raise ConfigError(
            f"no model is named: give --model (a name on the hub, a path, or `{TINY}`), or set train.model"
        )
    device = _device(options.device)
    folder = Path(options.output_dir or _folder(options.dataset))
    files = data.find(options.dataset)
    processes = options.processes or (torch.cuda.device_count() if device == "cuda" else 1)
    if processes > 1 and "RANK" not in os.environ:
        with stage.locked(str(folder)):
            _prepared(options, config, folder, files, World(0, processes, torch.device(device)))
        return parallel.launch(processes, sys.argv[1:])
    with parallel.world(device) as where:
        if not where.first:
            return _train(config, folder, files, where)
        with stage.locked(str(folder)):
            _prepared(options, config, folder, files, where)
            return _train(config, folder, files, where)


def _config(options: Options) -> Config:
    overrides = {
        "train.model": options.model,
        "train.reward.kind": options.reward,
        "train.steps": options.steps,
        "train.sft.steps": options.sft_steps,
        "seed": options.seed,
        "train.engine.endpoints": [{"base_url": url} for url in options.base_url or []] or None,
    }
    path = resources.path("configs", options.config) if options.config else None
    return configs.load(path, overrides)


def _device(name: str) -> str:
    cuda = torch.cuda.is_available()
    if name == "cuda" and not cuda:
        raise ConfigError("--device cuda: no GPU is visible to PyTorch here")
    return ("cuda" if cuda else "cpu") if name == "auto" else name


def _folder(dataset: str) -> str:
    """A run is trained on inside its own folder; for anything else a folder must be named."""
    if (Path(dataset) / "dataset").is_dir():
        return str(Path(dataset) / "train")
    raise ConfigError(f"{dataset} is no run directory: say with -o where checkpoints and metrics go")


def _prepared(options: Options, config: Config, folder: Path, files: dict[str, list[Path]], where: World) -> None:
    """Look at all that could stop the run later, before anything is loaded. Writes the tiny model, and what the folder
    was made from.
    """
    s = config.train
    if options.resume == "never":
        for old in ("checkpoints", "samples", "reference", "model", "metrics.jsonl", "stage.json", boards.RUN):
            shards.remove(str(folder / old))
    _build_tiny(config, folder, files)
    source = _source(config, folder)
    model_config, tokenizer = models.config_of(s, source), models.tokenizer_of(s, source)
    data.check_tokenizer(tokenizer, s.model or "")
    longest = _longest(_tasks(config, files, "train", tokenizer, model_config))
    if s.rollout.sampler == "vllm":
        rollout_vllm.check(s)
    models.check_memory(models.shape_of(model_config, s), s, longest, where, _dtype(config, where))
    if s.reward.verifier == "llm":
        Scorer(s.reward, engine_of(config, "train"), s.rollout.max_tokens).close()
    wanted = identity.Identity("train", 1, "", _settings(config), {"dataset": _digest(files)}, {})
    stored = identity.load(str(folder))
    found = identity.changes(stored, wanted) if stored else []
    if found and options.resume == "if-possible":
        changed = "\n  ".join(map(str, found))
        raise StaleStage(
            f"{folder} was trained under other settings:\n  {changed}\n--resume never starts over, --resume always "
            "goes on with the new ones, and -o names another folder",
            "train",
        )
    identity.save(str(folder), wanted)


def _settings(config: Config) -> dict[str, Any]:
    return settings_of(config, "train", "seed")


def _digest(files: dict[str, list[Path]]) -> str:
    digest = hashlib.sha256()
    for file in [file for split in data.SPLITS for file in files[split]]:
        with open(file, "rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


def _build_tiny(config: Config, folder: Path, files: dict[str, list[Path]]) -> None:
    if config.train.model != TINY or (folder / "model" / "config.json").exists():
        return
    texts = [message["content"] for _, row in data.rows(files["train"]) for message in row["prompt"]]
    building = folder / ".model"
    shutil.rmtree(building, ignore_errors=True)
    tiny.build(building, texts, seed=config.seed)
    shards.replace_folder(str(building), str(folder / "model"))


def _source(config: Config, folder: Path) -> str:
    """Where the model is before any step."""
    return str(folder / "model") if config.train.model == TINY else config.train.model or ""


def _dtype(config: Config, where: World) -> torch.dtype:
    return getattr(torch, config.train.dtype or ("bfloat16" if where.device.type == "cuda" else "float32"))


def _tasks(config: Config, files: dict[str, list[Path]], split: str, tokenizer: Any, model_config: Any) -> Tasks:
    s = config.train
    room = getattr(model_config, "max_position_embeddings", None) or s.max_prompt_tokens + s.rollout.max_tokens
    limit = min(s.max_prompt_tokens, room - s.rollout.max_tokens)
    if limit < 1:
        raise ConfigError(f"train.rollout.max_tokens: {s.rollout.max_tokens:,}, and {s.model} has {room:,} positions")
    tasks = data.load(files[split], tokenizer, limit, None if split == "train" else s.eval_prompts)
    if split == "train" and not tasks.tasks:
        raise UserError(f"{files[split][0].parent}: the training split has no rows")
    return tasks


def _longest(tasks: Tasks) -> int:
    """Tokens of the longest prompt."""
    return max((task.n_tokens for task in tasks.tasks), default=0)


def _train(config: Config, folder: Path, files: dict[str, list[Path]], where: World) -> int:
    where.wait()
    s, source = config.train, _source(config, folder)
    there = checkpoint.there(folder / "checkpoints")
    stored = checkpoint.read(there[-1]) if there else None
    model_config, tokenizer = models.config_of(s, source), models.tokenizer_of(s, source)
    if stored and stored["state"].warmed >= s.sft.steps and stored["state"].step >= s.steps:
        return _finished(folder, there[-1], s.steps, where)
    model = models.load(str(there[-1]) if there and not s.lora else source, s, where)
    if stored and s.lora:
        model.load_state_dict(stored["lora"], strict=False)
    parallel.spread(model, where, _dtype(config, where))
    optimizer = loop.optimizer_for(model, s.optimizer)
    state = checkpoint.load(stored, model, optimizer) if stored else State()
    train, validation = (_tasks(config, files, split, tokenizer, model_config) for split in data.SPLITS)
    ends = models.end_tokens(model_config, tokenizer, source)
    if s.rollout.sampler == "vllm":
        longest = max(_longest(train), _longest(validation))
        sampler = rollout_vllm.Sampler(s, source, longest, _dtype(config, where), ends, where.size)
    else:
        sampler = rollout.Sampler(model, Stop(tokenizer, ends), s.rollout)
    scorer = Scorer(s.reward, engine_of(config, "train"), s.rollout.max_tokens)
    parts = Parts(
        settings=s,
        seed=config.seed,
        folder=folder,
        model=model,
        reference=None,
        tokenizer=tokenizer,
        sampler=sampler,
        train=train,
        validation=validation,
        scorer=scorer,
        where=where,
    )
    log = Log(folder, state if stored else None, s.steps, boards.asked_for(s, folder)) if where.first else None
    fresh = not stored or state.warmed < s.sft.steps
    try:
        with log or nullcontext(), loop.told_to_stop() as told:
            if log and stored:
                log.say(f"going on from {there[-1]}")
            loop.warm_start(parts, state, optimizer, told, log)
            sampler.take(model)
            if s.loss.kl:
                parts.reference = _reference(parts, source, fresh, _dtype(config, where))
            if fresh:
                loop.look(parts, state, log)
            if fresh and (s.sft.steps or not s.steps):
                loop.save(parts, state, optimizer)
            loop.train(parts, state, optimizer, told, log)
    except loop.Interrupted:
        if where.first:
            last = checkpoint.there(folder / "checkpoints")[-1]
            print(f"interrupted; the same command goes on from {last}", file=sys.stderr)
        return INTERRUPTED
    finally:
        scorer.close()
        sampler.close()
    return _finished(folder, checkpoint.there(folder / "checkpoints")[-1], s.steps, where)


def _reference(parts: Parts, source: str, fresh: bool, dtype: torch.dtype) -> Any:
    """The model as it was before the first rollout, which does not learn."""
    folder = parts.folder / "reference"
    if parts.settings.sft.steps and fresh:
        checkpoint.save_model(folder, parts.model, parts.tokenizer, parts.where, parts.settings)
    reference = models.load(str(folder) if parts.settings.sft.steps else source, parts.settings, parts.where, True)
    parallel.spread(reference, parts.where, dtype)
    return reference


def _finished(folder: Path, last: Path, steps: int, where: World) -> int:
    if where.first:
        print(f"{last}: the model after {steps} steps, as transformers and vLLM load it")
        print(f"{folder}/metrics.jsonl: all steps; {folder}/samples: what the model wrote")
    return COMPLETE
