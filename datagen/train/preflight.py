"""All that can be wrong with a training run, looked at before anything is loaded or written."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from datagen import plugins, prompts, shards
from datagen.checks import grading
from datagen.config.model import Config, engine_of, settings_of
from datagen.config.train import GRADERS
from datagen.dataset import read
from datagen.dataset.schema import SPLITS
from datagen.errors import ConfigError, InputError, UserError
from datagen.run import identity
from datagen.run import resume as resuming
from datagen.run.resume import Resume
from datagen.train import benchmark, data, model_folder, models, rollout_vllm, run_folder, tiny, trackers
from datagen.train.benchmark import Benchmark
from datagen.train.log import METRICS
from datagen.train.parallel import World
from datagen.train.scoring import Scorer
from datagen.train.types import Split, State

TINY = "tiny"


@dataclass(frozen=True)
class Plan:
    """What a run trains: its settings, the model's name or folder before any step, and the dataset in tokens."""

    config: Config
    folder: Path
    source: str
    dtype: torch.dtype
    model_config: Any
    tokenizer: Any
    ends: list[int]  # the tokens that end a turn; the first is that of gold outputs
    splits: dict[str, Split]
    benchmark: Benchmark | None = None


def plan(config: Config, folder: Path, files: dict[str, list[Path]], world: World, source: str | None = None) -> Plan:
    """Read the model's configuration and tokenizer, the dataset, and the benchmark if there is one.

    Raises ConfigError where the model can't be had or can't be prompted, and InputError where a row can't be used.
    """
    s = config.train
    source = source or (str(folder / "model") if s.model == TINY else s.model or "")
    model_config, tokenizer = models.config_of(s, source), models.tokenizer_of(s, source)
    models.check_lengths(model_config, s.model or "")
    data.check_tokenizer(tokenizer, s.model or "", model_config.vocab_size)
    ends = models.end_tokens(s, source, model_config, tokenizer)
    room = getattr(model_config, "max_position_embeddings", None) or s.max_prompt_tokens + s.rollout.max_tokens
    limit = min(s.max_prompt_tokens, room - s.rollout.max_tokens)
    if limit < 1:
        raise ConfigError(f"train.rollout.max_tokens: {s.rollout.max_tokens:,}, and {s.model} has {room:,} positions")
    most = {"train": None, "validation": s.eval_prompts}
    vocabulary = model_config.vocab_size
    shown = s.reward.verifier in GRADERS and grading.EVIDENCE in prompts.load(GRADERS[s.reward.verifier]).variables
    splits = {split: data.load(files[split], tokenizer, limit, most[split], vocabulary, shown) for split in SPLITS}
    if not splits["train"] and (reasons := splits["train"].set_aside):
        raise InputError(
            f"{reasons[0]}. The same holds for all {len(reasons):,} training rows: choose a model whose template "
            "takes these conversations, and whose tokenizer is its own"
        )
    if not splits["train"]:
        raise UserError(f"{files['train'][0].parent}: the training split has no rows")
    if s.epochs and not State().left(s, n := len(splits["train"])):
        fewer = f"--set train.batch={n} --set train.mini_batch={min(n, s.mini_batch)}"
        raise ConfigError(f"train.epochs: {s.epochs} × {n} rows are less than one batch of {s.batch} prompts: {fewer}")
    dtype = getattr(torch, s.dtype or ("bfloat16" if world.device.type == "cuda" else "float32"))
    scored = benchmark.load(s.eval, config, tokenizer, limit, vocabulary) if s.eval else None
    return Plan(config, folder, source, dtype, model_config, tokenizer, ends, splits, scored)


def check(config: Config, folder: Path, files: dict[str, list[Path]], world: World, resume: Resume) -> Plan:
    """Look at all that could stop the run later. Where nothing does, write what the folder is made from, and the tiny
    model; `resume` "never" removes what an earlier run left there.

    Raises UserError of the kind of what is wrong: ConfigError, InputError, EngineError, MissingExtra, or StaleStage
    where the folder was trained under other settings.
    """
    if config.train.model != TINY or (resume != "never" and (folder / "model" / "config.json").exists()):
        return _checked(config, folder, files, world, resume)
    with model_folder.replacing(folder / "model") as building:
        with model_folder.written(building):
            _build_tiny(building, config, files)
        planned = _checked(config, folder, files, world, resume, building)
    return replace(planned, source=str(folder / "model"))


def _checked(
    config: Config, folder: Path, files: dict[str, list[Path]], world: World, resume: Resume, built: Path | None = None
) -> Plan:
    """As `check`, where the tiny model is not there yet and has been `built`, beside its place."""
    s = config.train
    planned = plan(config, folder, files, world, str(built) if built else None)
    if s.rollout.sampler == "vllm":
        rollout_vllm.check(s)
    shape = models.shape_of(planned.model_config, s)
    models.check_memory(shape, s, planned.splits["train"].longest, world, planned.dtype)
    with closing(Scorer(s.reward, engine_of(config, "train"), s.rollout.max_tokens)) as scorer:
        scorer.calibrate(example.question for example in planned.splits["train"].examples)
    fingerprints = {"dataset": _digest(files), **plugins.fingerprints(s.reward.verifier, s.reward.kind)}
    fingerprints["model"] = models.fingerprint(planned.source, planned.model_config)
    if s.reward.verifier in GRADERS:
        prompt = prompts.load(GRADERS[s.reward.verifier])
        fingerprints["grader"] = identity.digest([prompt.text, grading.VERDICT])
    now = identity.Identity("train", 1, "", settings_of(config, "train", "seed"), fingerprints, {})
    if resume == "if-possible" and (stored := identity.load(str(folder))):
        noted = {n: found for n, found in fingerprints.items() if n != "model" or n in stored.fingerprints}
        resuming.check(str(folder), stored, replace(now, fingerprints=noted), resume)  # 0.1.0 noted no model
    if resume == "never":
        for old in (
            run_folder.CHECKPOINTS,
            "samples",
            run_folder.REFERENCE,
            "model",
            METRICS,
            identity.FILE,
            trackers.RUN,
        ):
            shards.remove(str(folder / old))
    identity.save(str(folder), now)
    return planned


def _build_tiny(folder: Path, config: Config, files: dict[str, list[Path]]) -> None:
    texts = [message["content"] for row in read.rows(files["train"]) for message in row.messages]
    tiny.build(folder, texts, seed=config.seed)


def _digest(files: dict[str, list[Path]]) -> str:
    digest = hashlib.sha256()
    for file in [file for split in SPLITS for file in files[split]]:
        with open(file, "rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()
