"""Loading the model that is trained, and saying before the first step what would not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError

from datagen import checksums
from datagen.config.train import TrainConfig
from datagen.errors import ConfigError, reason
from datagen.run import identity
from datagen.train import lora, policy, rollout_vllm
from datagen.train.parallel import World

MODEL_FILES = {".safetensors", ".json", ".jinja", ".model"}  # that count in a model's folder, and merges.txt, vocab.txt
GB = 1e9
CPU_LIMIT = 1e9  # parameters that are trained on CPUs within a lifetime
_MARK = "what the assistant says"
STEADY = ("default", "linear", "llama3", "yarn")  # rotary positions whose angles are the same in texts of any length


@dataclass(frozen=True)
class Shape:
    """What memory depends on."""

    parameters: int
    trained: int  # of them, or beside them
    layers: int
    hidden: int
    intermediate: int
    kv: int  # width of the keys and values of a token in a layer, together
    vocabulary: int


def config_of(settings: TrainConfig, folder: str) -> Any:
    """The model's configuration. Raises ConfigError when it can't be had."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, revision=settings.revision, trust_remote_code=False)
    except Exception as e:  # of many kinds: no such folder, no network, a damaged file
        raise ConfigError(
            f"train.model: {settings.model!r} cannot be loaded: {reason(e)}. Give a folder that holds the model, or a "
            "name that the hub can be asked for"
        ) from e


def tokenizer_of(settings: TrainConfig, folder: str) -> Any:
    """The model's tokenizer. Raises ConfigError when it can't be had."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, revision=settings.revision, trust_remote_code=False)
    except Exception as e:
        raise ConfigError(f"train.model: {settings.model!r} has no tokenizer that can be loaded: {reason(e)}") from e


def fingerprint(folder: str, config: Any) -> str:
    """What the model is before it is trained: the content of its folder, or the hub's commit."""
    if not Path(folder).is_dir():
        return getattr(config, "_commit_hash", None) or ""
    files = sorted(path for path in Path(folder).iterdir() if _is_of_model(path) and path.is_file())
    with ThreadPoolExecutor() as threads:
        return identity.digest([[path.name for path in files], list(threads.map(checksums.digest, files))])


def _is_of_model(path: Path) -> bool:
    return path.suffix in MODEL_FILES or path.name in ("merges.txt", "vocab.txt")


def check_lengths(config: Any, name: str) -> None:
    """Raise ConfigError, naming the setting, for a model that treats texts of other lengths otherwise: the trainer
    computes one attention over all that comes before a token, and one set of angles for its positions.
    """
    kinds = getattr(config, "layer_types", None) or []
    windows = {key: getattr(config, key, None) for key in ("sliding_window", "attention_chunk_size")}
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    of_layers = [part for part in rope.values() if isinstance(part, dict)]
    told = [f"layer_types: {kind}" for kind in sorted(set(kinds) - {"full_attention"})]
    if not kinds and getattr(config, "use_sliding_window", True):
        told += [f"{key}: {value}" for key, value in windows.items() if value]
    turned = [part.get("rope_type") or part.get("type") or "default" for part in of_layers or [rope]]
    told += [f"rotary positions of the type {kind}" for kind in turned if kind not in STEADY]
    if told:
        raise ConfigError(
            f"train.model: {name} has {told[0]}, so that what it computes depends on the length of a text: that can't "
            "be trained here. Choose a model with full attention in every layer and rotary positions of one of the "
            f"types {', '.join(STEADY)}"
        )


def shape_of(config: Any, settings: TrainConfig) -> Shape:
    """Counts without making the model: on the device "meta" it takes no memory."""
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        if settings.lora:
            lora.add(model, settings.lora)
    n = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    sizes = config.num_hidden_layers, config.hidden_size, getattr(config, "intermediate_size", 4 * config.hidden_size)
    return Shape(n, trained, *sizes, 2 * heads * width, config.vocab_size)


def estimate(shape: Shape, settings: TrainConfig, prompt: int, size: int, dtype: torch.dtype) -> dict[str, float]:
    """Bytes on one device, by what they are for, with prompts of so many tokens on `size` devices. Upper bounds of
    what stands in memory at once; the kernels' own buffers are not in it.
    """
    wide = torch.finfo(dtype).bits // 8
    spread = size > 1 or dtype != torch.float32
    copies = 1 + (settings.loss.kl_coef > 0)
    response = min(settings.max_tokens_per_microbatch, settings.rollout.n * settings.rollout.max_tokens)
    tokens = prompt + response
    per_layer = shape.hidden + shape.kv
    inside = 6 * shape.hidden + 3 * shape.intermediate + 2 * shape.kv  # of the one layer that is computed again
    kept = {
        "keep": inside * shape.layers,
        "recompute": per_layer * shape.layers + inside,
        "offload": shape.kv * shape.layers + inside,
    }[settings.activations]
    caches = settings.rollout.prompts_at_once * (prompt + settings.rollout.n * settings.rollout.max_tokens)
    logits = min(policy.LOGITS, response * shape.vocabulary) * 4 * 3
    training = {
        "gradients": shape.trained * 4.0,
        "activations": float(tokens * kept * wide),
        "keys and values, with gradients": 2.0 * tokens * shape.kv * shape.layers * wide,
        "logits": float(logits),
    }
    own = settings.rollout.sampler == "own"
    rollouts = {"keys and values of rollouts": float(caches * shape.kv * shape.layers * wide)} if own else {}
    larger = training if sum(training.values()) >= sum(rollouts.values()) else rollouts
    return {
        "parameters": shape.parameters * copies * (4.0 / size + (wide if spread else 0)),
        "optimizer": shape.trained * 8.0 / size,
        **larger,
    }


def check_memory(shape: Shape, settings: TrainConfig, prompt: int, world: World, dtype: torch.dtype) -> None:
    """Raise ConfigError, with the estimate and what to change, if a step with the longest prompt can't fit."""
    on_cpu = world.device.type == "cpu"
    if on_cpu and shape.parameters > CPU_LIMIT:
        raise ConfigError(
            f"train.model: {settings.model} has {shape.parameters / GB:.1f} billion parameters and there is no GPU: "
            "train it on a GPU, or a model with less than a billion parameters here"
        )
    parts = estimate(shape, settings, prompt, world.size, dtype)
    there = _memory(world, settings)
    if sum(parts.values()) * (world.size if on_cpu else 1) > there:
        told = ", ".join(f"{name} {size / GB:.1f}" for name, size in parts.items())
        raise ConfigError(
            f"a step with a prompt of {prompt:,} tokens needs about {sum(parts.values()) / GB:.1f} GB on each of "
            f"{world.size} device{'s' if world.size > 1 else ''}, and {there / GB:.1f} GB are there ({told}). Use more "
            "GPUs, train.activations, train.lora, a lower train.max_tokens_per_microbatch, "
            "train.rollout.prompts_at_once or train.rollout.max_tokens, shorter prompts or a smaller model"
        )


def _memory(world: World, settings: TrainConfig) -> float:
    """Bytes that the trainer can have."""
    if world.device.type == "cuda":
        free, total = _gpu_memory(world.device)
        return free - (rollout_vllm.share(settings) * total if settings.rollout.sampler == "vllm" else 0)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _gpu_memory(device: torch.device) -> tuple[int, int]:
    """Bytes that are free on a GPU, and all there are."""
    if device.index is not None:
        return torch.cuda.mem_get_info(device)
    # It is not a rank that asks, but what starts them. Whoever asks holds a part of the GPU from then on.
    ask = [sys.executable, "-c", "import torch; print(*torch.cuda.mem_get_info(0))"]
    asked = subprocess.run(ask, capture_output=True, text=True)
    if asked.returncode:
        *_, why = asked.stderr.strip().splitlines() or ["no reason is given"]
        raise ConfigError(f"the GPU does not say how much memory it has: {why}")
    free, total = asked.stdout.split()[-2:]
    return int(free), int(total)


def load(folder: str, settings: TrainConfig, world: World, frozen: bool = False) -> Any:
    """The model in float32, adapted (see `policy`), on its device, dropout off. Its configuration has the number format
    of its files. Raises ConfigError when it can't be had or used.

    `frozen`: it will not be trained.
    """
    from transformers import AutoModelForCausalLM

    stored = _stored_dtype(config_of(settings, folder))
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            revision=settings.revision,
            dtype=torch.float32 if stored else "auto",
            attn_implementation="sdpa",
            trust_remote_code=False,
            use_safetensors=True,  # what else there is, is unpickled
        )
    except Exception as e:
        raise ConfigError(f"train.model: {settings.model!r} cannot be loaded: {reason(e)}") from e
    check_lengths(model.config, settings.model or "")
    model.config.dtype = stored or model.dtype  # that of its files, in which it will be written again
    model.float()
    if frozen:
        model.requires_grad_(False)
    elif settings.lora:
        lora.add(model, settings.lora)
    model.to(world.device)
    policy.adapt(model)
    policy.check(model)
    return model.eval()  # without dropout: it is trained as it is sampled


def _stored_dtype(config: Any) -> torch.dtype | None:
    """What a configuration says that the files are in; None where it says nothing."""
    named = str(getattr(config, "dtype", None)).removeprefix("torch.")
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}.get(named)


def end_tokens(settings: TrainConfig, folder: str, model_config: Any, tokenizer: Any) -> list[int]:
    """All tokens that end a turn, by what is declared of the tokenizer, the model, and how to generate by it. The first
    is the one that the chat template ends the assistant's turns with, if it is one of them.

    Raises ConfigError where none is declared.
    """
    declared = [tokenizer.eos_token_id, model_config.eos_token_id, _generation_ends(settings, folder)]
    flat = [token for ends in declared for token in (ends if isinstance(ends, list) else [ends])]
    ends = list(dict.fromkeys(token for token in flat if token is not None))
    if not ends:
        raise ConfigError(
            f"train.model: {settings.model} declares no token that ends a turn, so its responses would never end: set "
            "eos_token in its tokenizer_config.json, or eos_token_id in its generation_config.json"
        )
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
    try:
        after = tokenizer.apply_chat_template(turns, tokenize=False).rpartition(_MARK)[2]
    except TemplateError:  # of a conversation like this; the rows may have others
        after = ""
    closing = [token for token in tokenizer(after, add_special_tokens=False)["input_ids"] if token in ends]
    return list(dict.fromkeys([*closing[:1], *ends]))


def _generation_ends(settings: TrainConfig, folder: str) -> int | list[int] | None:
    """What generation_config.json says, in a folder or on the hub; None where there is none."""
    from transformers.utils.hub import cached_file

    absent: dict[str, Any] = {
        f"_raise_exceptions_for_{what}": False for what in ("missing_entries", "connection_errors")
    }
    file = cached_file(folder, "generation_config.json", revision=settings.revision, **absent)
    try:
        return json.loads(Path(file).read_bytes()).get("eos_token_id") if file else None
    except (OSError, ValueError, AttributeError, RecursionError) as e:
        raise ConfigError(f"train.model: {file} cannot be read: {reason(e)}. Get it again") from e
