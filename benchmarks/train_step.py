"""An optimizer step of ours against TRL's: the same model, prompt, responses, advantages and old log-probs.

    python benchmarks/train_step.py [--quick] [--device cuda --shape 0.5b --prompts 8192 32768]

TRL must be in the environment that has longrlvr-data: `pip install -c constraints.txt -e '.[train]' trl`.

A step is forward, backward, clipping and AdamW, for one prompt of P tokens with n responses of R tokens each: what is
left when responses, rewards and old log-probs are there. Ours is `datagen.train.update.step`. TRL's is the loss of a
GRPOTrainer on inputs as its rollouts leave them, with the optimizer that it makes. TRL runs n (P + R) tokens, ours
P + n R: `tokens` is what that alone would make of it.

TRL has its best settings. All responses are of one length, so that it pads nothing; neither of the two checkpoints, or
both do; of the ways to split the responses in mini-batches (`--splits`) the fastest is timed, and the one with the
least memory is named too. Without Triton, so on CPUs, it makes logits of the prompt's tokens and masks them away: here
it is told to leave them out, as on GPUs. `--stock` tries it without that. On a GPU its weights are bfloat16; ours are
float32 and computed with in bfloat16.

Each runs in a process of its own. They take turns; the best time counts. `cpu s` is what a step took of all cores, and
changes less on a busy machine. Memory is the process's largest resident set beyond what it had before its first step;
on a GPU it is the most that was allocated. Both must have the same loss, and gradients of the same length for every
parameter, or the benchmark fails.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import torch
from embed import peak
from torch import Tensor

from datagen.config.train import OptimizerConfig, RolloutConfig, TrainConfig
from datagen.executors import local as executors
from datagen.train import parallel, policy, tiny, update
from datagen.train.loss import group_advantages
from datagen.train.setup import adamw
from datagen.train.types import Group, Response, Scored

SHAPES: dict[str, dict[str, Any]] = {
    "small": {
        "vocab_size": 8192,
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
    "0.5b": {  # Qwen2.5-0.5B
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
}
PROMPTS, QUICK = [512, 2048, 8192], [512]
ROUNDS = 2  # after two of every way
TOLERANCE = {"cpu": 1e-3, "cuda": 5e-2}  # of gradients, of their length: in float32, and in bfloat16

SHOWN = {"seconds": 3, "cpu_s": 3, "mb": None, "peak_mb": None}  # digits

Step = Callable[[], tuple[float, float]]  # loss, length of the gradient


@dataclass(frozen=True)
class Case:
    prompt: int
    response: int
    n: int
    shape: str
    device: str
    threads: int
    checkpointing: bool

    def tokens(self) -> tuple[Tensor, Tensor, Tensor]:
        """prompt (P,), responses (n, R) and their old log-probs (n, R), about those of a model that knows nothing."""
        draw, size = torch.Generator().manual_seed(0), SHAPES[self.shape]["vocab_size"]
        prompt = torch.randint(size, (self.prompt,), generator=draw)
        responses = torch.randint(size, (self.n, self.response), generator=draw)
        old = 0.1 * torch.randn(responses.shape, generator=draw) - math.log(size)
        return prompt, responses, old

    def rewards(self) -> list[float]:
        return [float(i % 3 == 0) for i in range(self.n)]

    def settings(self) -> TrainConfig:
        rollout = RolloutConfig(n=self.n, max_tokens=self.response)
        return TrainConfig(
            rollout=rollout,
            optimizer=OptimizerConfig(lr=1e-6),
            activations="recompute" if self.checkpointing else "keep",
        )

    def model(self) -> Any:
        from transformers import Qwen2Config, Qwen2ForCausalLM

        torch.manual_seed(0)
        longest = self.prompt + self.response
        config = Qwen2Config(**SHAPES[self.shape], max_position_embeddings=longest, tie_word_embeddings=True)
        return Qwen2ForCausalLM._from_config(config, attn_implementation="sdpa").train()


# In the processes


@contextmanager
def ours(case: Case) -> Iterator[tuple[torch.optim.Optimizer, Step]]:
    prompt, responses, old = case.tokens()
    group = Group(
        0,
        [Response(r.tolist(), o.tolist(), True) for r, o in zip(responses, old, strict=True)],
        [Scored("", None, True, reward) for reward in case.rewards()],
        old.flatten().tolist(),
    )
    settings = case.settings()
    with parallel.process_group(case.device) as world:
        model = case.model().to(world.device)
        policy.adapt(model)
        parallel.shard(model, world, torch.float32 if case.device == "cpu" else torch.bfloat16)
        optimizer = adamw(model, settings.optimizer)

        def step() -> tuple[float, float]:
            metrics = update.step(model, optimizer, [group], [prompt.to(world.device)], settings, world)
            return metrics["loss"], metrics["grad_norm"]

        yield optimizer, step


@contextmanager
def trl(case: Case, split: int, stock: bool = False) -> Iterator[tuple[torch.optim.Optimizer, Step]]:
    """Its own trainer, with so many responses in a mini-batch."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
    from trl.trainer import utils

    if not stock:
        utils._use_triton = lambda device: True  # where it is asked: only the responses' tokens get logits
    own = case.settings()
    options: dict[str, Any] = {
        "loss_type": "dapo",
        "epsilon": own.loss.clip_low,
        "epsilon_high": own.loss.clip_high,
        "beta": 0.0,
        "learning_rate": own.optimizer.lr,
        "weight_decay": own.optimizer.weight_decay,
        "num_generations": case.n,
        "max_completion_length": case.response,
        "per_device_train_batch_size": split,
        "gradient_accumulation_steps": case.n // split,
        "gradient_checkpointing": case.checkpointing,
    }
    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(folder, use_cpu=case.device == "cpu", bf16=False, report_to=[], **options)
        trainer: Any = GRPOTrainer(
            case.model().to(torch.float32 if case.device == "cpu" else torch.bfloat16),
            reward_funcs=lambda prompts, **_: [0.0] * len(prompts),
            args=args,
            train_dataset=Dataset.from_list([{"prompt": "some words"}]),
            processing_class=tiny.tokenizer_of(["some words"], 300),
        )
        trainer.current_gradient_accumulation_steps = case.n // split  # as its training loop would say
        model, optimizer = trainer.model.train(), trainer.create_optimizer()
        batches = [{k: v.to(model.device) for k, v in batch.items()} for batch in trl_batches(case, split)]

        def step() -> tuple[float, float]:
            losses = []
            for batch in batches:
                loss = trainer._compute_loss(model, batch)
                loss.backward()
                losses.append(loss.item())
            length = torch.nn.utils.clip_grad_norm_(model.parameters(), own.optimizer.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            return sum(losses), length.item()

        yield optimizer, step


def trl_batches(case: Case, split: int) -> list[dict[str, Tensor]]:
    prompt, responses, old = case.tokens()
    prompts = prompt.expand(case.n, -1)
    whole = {
        "prompt_ids": prompts,
        "prompt_mask": torch.ones_like(prompts),
        "completion_ids": responses,
        "completion_mask": torch.ones_like(responses),
        "advantages": group_advantages(torch.tensor(case.rewards())),
        "old_per_token_logps": old,
    }
    total = {"num_items_in_batch": torch.tensor(responses.numel())}
    return [{k: v[i : i + split] for k, v in whole.items()} | total for i in range(0, case.n, split)]


def serve(pipe: Any, arm: Callable[[Case], Any], case: Case) -> None:
    """Make a step whenever asked, and tell what it took; None when there was not enough memory."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(case.threads)
    parts: list[float] = []  # lengths of the first gradient's

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        parts.extend(whole(g.norm()).item() for g in grads if g is not None)

    with arm(case) as (optimizer, step):
        noting = optimizer.register_step_pre_hook(note)
        before = peak()
        pipe.send(None)
        while pipe.recv():
            started, busy = time.perf_counter(), time.process_time()
            try:
                loss, length = step()
            except torch.OutOfMemoryError:
                pipe.send(None)
                continue
            times = {"seconds": time.perf_counter() - started, "cpu_s": time.process_time() - busy}
            noting.remove()
            peaks = {"mb": peak() - before, "peak_mb": peak()}
            if case.device == "cuda":
                peaks = {
                    "mb": torch.cuda.max_memory_allocated() / 1e6,
                    "peak_mb": torch.cuda.max_memory_reserved() / 1e6,
                }
                torch.cuda.empty_cache()
            pipe.send({**times, **peaks, "loss": loss, "length": length, "parts": parts})


def whole(x: Any) -> Tensor:
    return x.full_tensor() if hasattr(x, "full_tensor") else x


# In the process that measures


class Arm:
    """One way to make a step, in its process."""

    def __init__(self, name: str, way: Callable[[Case], Any], case: Case) -> None:
        context = get_context("spawn")
        self.name = name
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, way, case), daemon=True)
        self.process.start()
        theirs.close()
        self.first: dict[str, Any] = {}
        self.best: dict[str, Any] = {}  # empty if there was not enough memory

    def __enter__(self) -> Arm:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.is_alive():
            self.pipe.send(False)
        self.process.join()

    def step(self) -> None:
        try:
            self.pipe.send(True)
            found = self.pipe.recv()
        except (EOFError, BrokenPipeError):  # the system ended it, for its memory
            found = None
        if found:
            self.first = self.first or found
            least = {name: min(found[name], self.best.get(name, found[name])) for name in ("seconds", "cpu_s")}
            self.best = found | least


def measure(case: Case, splits: list[int], stock: bool) -> dict[str, Any]:
    ways: dict[str, Callable[[Case], Any]] = {"ours": ours}
    ways |= {f"trl {split}": partial(trl, split=split) for split in splits}
    if stock:
        ways["trl stock"] = partial(trl, split=splits[0], stock=True)
    with ExitStack() as stack:
        arms = [stack.enter_context(Arm(name, way, case)) for name, way in ways.items()]
        for arm in arms:
            arm.pipe.recv()  # it is ready
        for arm in 2 * arms:
            arm.step()
        us, *others = arms
        them = min((arm for arm in others if arm.best), key=lambda arm: arm.best["seconds"], default=None)
        for _ in range(ROUNDS):
            for arm in (us, them):
                if arm:
                    arm.step()
    if not us.best:
        raise SystemExit("ours had not enough memory")
    for arm in arms:
        show(case, arm)
    row = {"tokens": ideal(case), "arms": {arm.name: brief(arm.best) for arm in arms if arm.best}}
    if not them:
        return row | {"ratio": None}

    def least(name: str) -> float:
        return min(arm.best[name] for arm in others if arm.best)

    row |= compare(case, us.first, them.first) | {
        "fastest": them.name,
        "ratio": round(them.best["seconds"] / us.best["seconds"], 2),
        "ratio_cpu": round(least("cpu_s") / us.best["cpu_s"], 2),
        "ratio_memory": round(them.best["mb"] / us.best["mb"], 2),
        "ratio_least_memory": round(least("mb") / us.best["mb"], 2),
    }
    told = "{fastest}/ours: time {ratio} (least cpu {ratio_cpu}, tokens {tokens}), memory {ratio_memory}, least "
    told += "{ratio_least_memory}; gradients differ by {gradient_off}, losses by {loss_off}"
    print(f"{'':>8} {told.format(**row)}", flush=True)
    return row


def compare(case: Case, us: dict[str, Any], them: dict[str, Any]) -> dict[str, float]:
    """How far the first steps' losses and gradients are apart. Raises SystemExit if too far."""
    pairs = list(zip(us["parts"], them["parts"], strict=True))
    off = max(abs(a - b) for a, b in [*pairs, (us["length"], them["length"])]) / us["length"]
    loss_off = abs(us["loss"] - them["loss"])
    if not max(off, loss_off) < TOLERANCE[case.device]:
        raise SystemExit(f"the gradients differ by {off:.3g} of their length, the losses by {loss_off:.3g}")
    found = {"gradient": us["length"], "gradient_off": off, "loss_off": loss_off}
    return {name: float(f"{value:.2g}") for name, value in found.items()}


def ideal(case: Case) -> float:
    return round(case.n * (case.prompt + case.response) / (case.prompt + case.n * case.response), 2)


def brief(found: dict[str, Any]) -> dict[str, float]:
    return {name: round(found[name], digits) for name, digits in SHOWN.items()}


def show(case: Case, arm: Arm) -> None:
    found = (
        "{seconds:>9.3f} {cpu_s:>8.3f} {mb:>8,.0f} {peak_mb:>8,.0f}".format(**arm.best)
        if arm.best
        else "not enough memory"
    )
    print(f"{case.prompt:>8,} {arm.name:>10} {found}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a prompt of 512 tokens only")
    parser.add_argument("--prompts", type=int, nargs="+", help=f"lengths; default: {PROMPTS}")
    parser.add_argument("--response", type=int, default=128, help="tokens of a response")
    parser.add_argument("--n", type=int, default=8, help="responses")
    parser.add_argument("--splits", type=int, nargs="+", default=[8, 1], help="responses in a mini-batch of TRL's")
    parser.add_argument("--stock", action="store_true", help="also TRL with the prompt's logits, as it is on CPUs")
    parser.add_argument("--checkpointing", action="store_true", help="of activations, by both")
    parser.add_argument("--shape", choices=list(SHAPES), default="small")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=executors.cores())
    args = parser.parse_args()
    if any(args.n % split for split in args.splits):
        parser.error("a split does not divide the responses")
    if find_spec("trl") is None:
        print("skipped: trl is not installed")
        return
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}  # or threads burn the time of busy cores

    rows = {}
    print(f"{'prompt':>8} {'':>10} {'seconds':>9} {'cpu s':>8} {'MB':>8} {'peak MB':>8}")
    for prompt in args.prompts or (QUICK if args.quick else PROMPTS):
        case = Case(prompt, args.response, args.n, args.shape, args.device, args.threads, args.checkpointing)
        rows[str(prompt)] = measure(case, args.splits, args.stock)
    summary = {
        "benchmark": "train_step",
        "ratio": {name: row["ratio"] for name, row in rows.items()},
        "parts": rows,
        "case": {k: v for k, v in asdict(case).items() if k != "prompt"},  # pyright: ignore[reportPossiblyUnbound]
        "gpu": torch.cuda.get_device_name() if args.device == "cuda" else None,
        "cores": executors.cores(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: version(name) for name in ("trl", "transformers", "torch")},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
