"""What holds on every device: run on the CPU by tests/train, and on GPUs by tests/gpu, with the same assertions.

A bfloat16 number is off by 2^-9 of itself on average and 2^-8 at most. Some thirty roundings lie between a weight and
a log-prob of the small model here, and as many on the way back; they add up like a random walk to sqrt(60) · 2^-9, or
1.5 % of a gradient. What is told apart by 0.1 is no rounding: a part of the sum that is missing, or another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datagen.config.data import EmbedConfig
from datagen.config.train import RolloutConfig, TrainConfig
from datagen.embed import encoder
from datagen.train import attention, checkpoint, logprobs, models, parallel, rollout, setup, stored_state, tiny, update
from datagen.train.parallel import World
from datagen.train.types import Group, Response, Scored, State
from tests.train.train_worlds import row

ROUNDING = {torch.float32: 1e-4, torch.bfloat16: 0.1}  # of a gradient's length
NATS = {torch.float32: 1e-4, torch.bfloat16: 0.02}  # of a log-prob, on average
HANDED = 0.05  # of a log-prob by vLLM's kernels in bfloat16, on average; weights of before the step are further off
SETTINGS = TrainConfig.model_validate(
    {
        "model": "mine",
        "max_tokens_per_microbatch": 24,
        "loss": {"kl_coef": 0.1},
        "optimizer": {"lr": 1e-2, "max_grad_norm": 1e9, "weight_decay": 0.0},
    }
)
LENGTHS = ((3, 9, 1, 14), (6, 2, 11), (8, 8))  # of the responses of each group


def source(folder: Path, **shape: Any) -> str:
    """A small model with grouped heads, whose weights are large enough for attention to matter."""
    sizes: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.15}
    sizes |= {"max_position_embeddings": 1024}
    return str(tiny.build(folder, [row(0)["prompt"][0]["content"]], 300, **sizes | shape))


def groups() -> list[Group]:
    draw, found = np.random.default_rng(5), []
    for i, lengths in enumerate(LENGTHS):
        responses = [Response(draw.integers(3, 290, n).tolist(), [-5.5] * n, True) for n in lengths]
        scored = [Scored("", None, True, float(draw.random())) for _ in lengths]
        found.append(Group(i, responses, scored, ref=[-5.0] * sum(lengths)))
    return found


def prompts(device: torch.device) -> list[Tensor]:
    draw = np.random.default_rng(6)
    return [torch.tensor(draw.integers(3, 290, n), device=device) for n in (40, 65, 12)]


@dataclass(frozen=True)
class Step:
    """The gradient and the change of all weights, end to end."""

    loss: float
    norm: float
    gradient: Tensor
    moved: Tensor


def apart(a: Tensor, b: Tensor) -> float:
    """The length of the difference over that of the second."""
    return ((a - b).norm() / b.norm()).item()


def loaded(folder: str, world: World, dtype: torch.dtype) -> tuple[Any, torch.optim.Optimizer]:
    model = models.load(folder, SETTINGS, world)
    parallel.shard(model, world, dtype)
    return model, setup.adamw(model, SETTINGS.optimizer)


def taken(model: Any, optimizer: torch.optim.Optimizer, world: World) -> Step:
    """One optimizer step. The optimizer's state must be in full precision, where the weights are."""
    gradients: list[Tensor] = []
    before = _flat(model.parameters())
    hook = optimizer.register_step_pre_hook(lambda *_: gradients.append(_flat(p.grad for p in model.parameters())))
    metrics = update.step(model, optimizer, groups(), prompts(world.device), SETTINGS, world)
    hook.remove()
    for moments in optimizer.state.values():
        for name in ("exp_avg", "exp_avg_sq"):
            assert (moments[name].dtype, moments[name].device.type) == (torch.float32, world.device.type)
    return Step(metrics["loss"], metrics["grad_norm"], gradients[0], _flat(model.parameters()) - before)


def step(folder: str, device: str, dtype: torch.dtype) -> Step:
    """One in this process."""
    with parallel.process_group(device) as world:
        return taken(*loaded(folder, world, dtype), world)


def assert_close(found: Step, wanted: Step, dtype: torch.dtype) -> None:
    """But for rounding in this number format."""
    bound = ROUNDING[dtype]
    print(f"loss {found.loss:.4f} of {wanted.loss:.4f}, gradient {apart(found.gradient, wanted.gradient):.2g} apart")
    assert abs(found.loss - wanted.loss) <= bound * abs(wanted.loss)
    assert abs(found.norm - wanted.norm) <= bound * wanted.norm
    assert apart(found.gradient, wanted.gradient) <= bound
    # AdamW's first step is the gradient's sign. What rounding can turn is smaller than its share of a typical entry.
    sure = wanted.gradient.abs() > 5 * bound * wanted.gradient.square().mean().sqrt()
    assert sure.sum() > 0.05 * len(sure)
    assert (found.moved[sure].sign() == wanted.moved[sure].sign()).float().mean() > 0.99


def _flat(parameters: Iterable[Any]) -> Tensor:
    whole = (p.full_tensor() if hasattr(p, "full_tensor") else p for p in parameters)
    return torch.cat([p.detach().float().cpu().flatten() for p in whole])


def among_ranks(world: World, folder: str, out: str, name: str, again: str) -> None:
    """A step of all ranks, against one of one rank on the CPU; then a second, straight on and from a checkpoint."""
    dtype = getattr(torch, name)
    model, optimizer = loaded(folder, world, dtype)
    assert parallel.is_sharded(model)
    first = taken(model, optimizer, world)
    alone = World(0, 1, torch.device("cpu"))
    assert_close(first, taken(*loaded(folder, alone, torch.float32), alone), dtype)

    tokenizer, target = models.tokenizer_of(SETTINGS, folder), Path(out) / "step-000001"
    checkpoint.save(target, model, optimizer, tokenizer, State(step=1), world, SETTINGS)
    straight = taken(model, optimizer, world)
    stored = stored_state.read(target)
    resumed = models.load(str(target), SETTINGS, world)
    resumed.load_state_dict(stored.weights, strict=False)
    parallel.shard(resumed, world, dtype)
    moments = setup.adamw(resumed, SETTINGS.optimizer)
    assert checkpoint.load(stored, resumed, moments) == State(step=1)
    assert apart(taken(resumed, moments, world).moved, straight.moved) <= float(again)


def attention_apart(device: str, dtype: torch.dtype) -> float:
    """How far outputs and gradients of attention to a shared prompt are from those in full precision, at most."""
    draw, lengths = torch.Generator().manual_seed(3), [70, 5, 130, 1]
    shapes = [(8, sum(lengths)), (2, sum(lengths)), (2, sum(lengths)), (2, 300), (2, 300)]
    tensors = [torch.randn(1, h, n, 64, dtype=torch.float64, generator=draw) for h, n in shapes]
    weights = torch.randn(1, 8, sum(lengths), 64, dtype=torch.float64, generator=draw)

    def made(device: str, dtype: torch.dtype) -> list[Tensor]:
        q, k, v, past_k, past_v = leaves = [x.to(device, dtype).requires_grad_() for x in tensors]
        out = attention.shared(q, k, v, (past_k, past_v), lengths, 0.125)
        return [out, *torch.autograd.grad(out, leaves, weights.to(device, dtype))]

    pairs = zip(made(device, dtype), made("cpu", torch.float64), strict=True)
    return max(apart(ours.detach().double().cpu(), wanted.detach()) for ours, wanted in pairs)


def rollout_apart(folder: str, device: str, dtype: torch.dtype) -> float:
    """How far the log-probs that responses were sampled with are from those that they are trained with, on average."""
    with parallel.process_group(device) as world:
        model, _ = loaded(folder, world, dtype)
        sampler = rollout.ModelSampler(model, (), RolloutConfig(n=4, max_tokens=24, prompts_at_once=2))
        given = prompts(world.device)
        seeds = [[(0, p, i) for i in range(4)] for p in range(len(given))]
        return gap(model, given, sampler.sample(given, seeds, 0.7), 0.7)


def gap(model: Any, given: list[Tensor], sampled: Iterable[list[tuple[int, list[Response]]]], heat: float) -> float:
    """Of the log-probs that came with responses from the model's, on average."""
    gaps = []
    for i, responses in (pair for finished in sampled for pair in finished):
        tokens = [torch.tensor(r.tokens, device=given[i].device) for r in responses]
        with parallel.unshard(model):
            ours, _ = logprobs.logprobs(model, given[i], tokens, heat)
        gaps.append(ours.cpu() - torch.tensor([x for r in responses for x in r.logprobs]))
    assert len(gaps) == len(given)
    return torch.cat(gaps).abs().mean().item()


WIDE = {"hidden_size": 256, "initializer_range": 0.075}  # heads of a width that vLLM has kernels for


def handed_over(folder: str, device: str, dtype: torch.dtype, arguments: dict[str, Any]) -> tuple[float, float]:
    """After a step: the gap of vLLM's log-probs from the trainer's before it is handed the weights, and after."""
    from datagen.train.rollout_vllm import VllmSampler

    how = {"n": 4, "max_tokens": 24, "temperature": 0.7, "sampler": "vllm", "vllm": arguments}
    settings = SETTINGS.model_copy(update={"rollout": RolloutConfig.model_validate(how)})
    with parallel.process_group(device) as world:
        model, optimizer = loaded(folder, world, dtype)
        sampler = VllmSampler(settings, folder, 65, dtype, [2], 1)
        with closing(sampler):
            sampler.update_weights(model)
            given, seeds = prompts(world.device), [[(0, p, i) for i in range(4)] for p in range(3)]
            taken(model, optimizer, world)
            before = gap(model, given, sampler.sample(given, seeds, 0.7), 0.7)
            sampler.update_weights(model)
            after = gap(model, given, sampler.sample(given, seeds, 0.7), 0.7)
    print(f"log-probs of vLLM and of the trainer: {before:.3f} nats apart before, {after:.4f} after")
    return before, after


def vectors(model: str, device: str, dtype: str, backwards: bool = False) -> np.ndarray:
    """Of texts of many lengths, in their order, however they were given."""
    words = row(0)["prompt"][0]["content"].split()
    texts = [" ".join([str(i), *words[: i % 17], *words[i % 5 :]] * (1 + i % 3)) for i in range(20)]
    settings = EmbedConfig.model_validate({"model": model, "device": device, "dtype": dtype})
    found = encoder.encode(texts[::-1] if backwards else texts, settings)
    return found[::-1] if backwards else found


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """The lowest of the pairs."""
    wide = [x.astype(np.float64) for x in (a, b)]
    return float(((wide[0] * wide[1]).sum(1) / np.prod([np.linalg.norm(x, axis=1) for x in wide], axis=0)).min())
