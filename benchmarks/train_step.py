"""An optimizer step of ours against TRL's and PrefixGrouper's: the same model, prompt, responses, advantages and old
log-probs.

    python benchmarks/train_step.py [--quick] [--threads 1] [--device cuda --shape 0.5b --prompts 8192 32768]

The peers must be in the environment that has longrlvr-data: `pip install -c constraints.txt -e '.[train]' trl
prefix-grouper`. One that is not is skipped.

A step is forward, backward, clipping and AdamW, for one prompt of P tokens with n responses of R tokens each: what is
left when responses, rewards and old log-probs are there. Ours is `datagen.train.update.step`. TRL's is the loss of a
GRPOTrainer on inputs as its rollouts leave them, with the optimizer that it makes. TRL runs n (P + R) tokens, ours
P + n R: `tokens` is what that alone would make of it. PrefixGrouper, which verl can use, runs P + n R tokens as well;
`train_step_arms.py` says how it is wired. First its gradient is held against that of the plain computation, entry by
entry, and the largest difference is printed.

The peers have their best settings. All responses are of one length, so that nothing is padded; neither of the
checkpoints activations, or all do; of the ways to split the responses in TRL's mini-batches (`--splits`) the fastest is
timed, and the one with the least memory is named too. Where they make logits of the prompt's tokens and mask them away
(TRL without Triton, so on CPUs; verl with PrefixGrouper), they are told to leave them out. `--stock` tries them without
that, too. On a GPU their weights are bfloat16; ours are float32 and computed with in bfloat16.

Each runs in a process of its own. They take turns; the best time counts. `cpu s` is what a step took of all cores, and
changes less on a busy machine. Memory is the process's largest resident set beyond what it had before its first step;
on a GPU it is the most that was allocated. All must have the same loss, and gradients of the same length for every
parameter, or the benchmark fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import torch
from embed import peak
from torch import Tensor
from train_step_arms import SHAPES, Case, grouper, grouper_off, ours, trl

from datagen.executors import local as executors

PROMPTS, QUICK = [512, 2048, 8192], [512]
PEERS = {"trl": "trl", "grouper": "prefix-grouper"}  # and the packages that they need
ROUNDS = 2  # after two of every way
TOLERANCE = {"cpu": 1e-3, "cuda": 5e-2}  # of gradients, of their length: in float32, and in bfloat16
EXACT = 1e-6  # of a gradient's entries, of the largest: float64, but for norms, which transformers makes in float32
CHECKED = 256  # tokens of the prompt with which that is checked

SHOWN = {"seconds": 3, "cpu_s": 3, "mb": None, "peak_mb": None}  # digits


# In the processes


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


def measure(case: Case, peers: list[str], splits: list[int], stock: bool) -> dict[str, Any]:
    """Time ours and the peers' ways on one case; what was found, by arm and by peer."""
    ways: dict[str, Callable[[Case], Any]] = {"ours": ours}
    if "trl" in peers:
        ways |= {f"trl {split}": partial(trl, split=split) for split in splits}
        ways |= {"trl stock": partial(trl, split=splits[0], stock=True)} if stock else {}
    if "grouper" in peers:
        ways |= {"grouper": grouper}
        ways |= {"grouper stock": partial(grouper, stock=True)} if stock else {}
    with ExitStack() as stack:
        arms = [stack.enter_context(Arm(name, way, case)) for name, way in ways.items()]
        for arm in arms:
            arm.pipe.recv()  # it is ready
        for arm in 2 * arms:
            arm.step()
        us, *others = arms
        of_peers = {peer: [arm for arm in others if arm.best and arm.name.split()[0] == peer] for peer in peers}
        fastest = {peer: min(them, key=lambda arm: arm.best["seconds"]) for peer, them in of_peers.items() if them}
        for arm in ROUNDS * [us, *fastest.values()]:
            arm.step()
    if not us.best:
        raise SystemExit("ours had not enough memory")
    for arm in arms:
        show(case, arm)
    found = {peer: against(case, us, them, of_peers[peer]) for peer, them in fastest.items()}
    return {"tokens": ideal(case), "arms": {arm.name: brief(arm.best) for arm in arms if arm.best}, "peers": found}


def against(case: Case, us: Arm, them: Arm, others: list[Arm]) -> dict[str, Any]:
    """A peer's fastest way, and the best of all its ways, as a multiple of ours."""

    def least(name: str) -> float:
        return min(arm.best[name] for arm in others)

    row = compare(case, us.first, them.first) | {
        "fastest": them.name,
        "ratio": round(them.best["seconds"] / us.best["seconds"], 2),
        "ratio_cpu": round(least("cpu_s") / us.best["cpu_s"], 2),
        "ratio_memory": round(them.best["mb"] / us.best["mb"], 2),
        "ratio_least_memory": round(least("mb") / us.best["mb"], 2),
    }
    told = "{fastest}/ours: time {ratio} (least cpu {ratio_cpu}), memory {ratio_memory}, least {ratio_least_memory}; "
    told += "gradients differ by {gradient_off}, losses by {loss_off}"
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


def installed(name: str, package: str) -> bool:
    """Whether a peer is there; says so if not, and what to do."""
    there = find_spec(package.replace("-", "_")) is not None
    if not there:
        print(f"{name} is skipped: it is not installed: pip install -c constraints.txt {package}")
    return there


def check(case: Case) -> float:
    """Holds PrefixGrouper's gradient against the plain one. Raises SystemExit if they are not the same."""
    off = grouper_off(case)
    print(f"grouper: its gradient's entries differ from the plain computation's by {off:.2g} of the largest at most")
    if not off < EXACT:
        raise SystemExit("that is more than rounding")
    return float(f"{off:.2g}")


def ratios(rows: dict[str, Any], peer: str, name: str) -> dict[str, float | None]:
    return {prompt: row["peers"].get(peer, {}).get(name) for prompt, row in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a prompt of 512 tokens only")
    parser.add_argument("--prompts", type=int, nargs="+", help=f"lengths; default: {PROMPTS}")
    parser.add_argument("--response", type=int, default=128, help="tokens of a response")
    parser.add_argument("--n", type=int, default=8, help="responses")
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS), help="default: all")
    parser.add_argument("--splits", type=int, nargs="+", default=[8, 1], help="responses in a mini-batch of TRL's")
    parser.add_argument("--stock", action="store_true", help="also the peers with the prompt's logits")
    parser.add_argument("--checkpointing", action="store_true", help="of activations, by all")
    parser.add_argument("--shape", choices=list(SHAPES), default="small")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=executors.cores())
    args = parser.parse_args()
    if any(args.n % split for split in args.splits):
        parser.error("a split does not divide the responses")
    peers = [peer for peer in args.peers if installed(peer, PEERS[peer])]
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}  # or threads burn the time of busy cores

    rows, exact = {}, None
    if "grouper" in peers:
        exact = check(Case(CHECKED, args.response, args.n, args.shape, "cpu", args.threads, args.checkpointing))
    print(f"{'prompt':>8} {'':>10} {'seconds':>9} {'cpu s':>8} {'MB':>8} {'peak MB':>8}")
    for prompt in args.prompts or (QUICK if args.quick else PROMPTS):
        case = Case(prompt, args.response, args.n, args.shape, args.device, args.threads, args.checkpointing)
        rows[str(prompt)] = measure(case, peers, args.splits, args.stock)
    summary = {
        "benchmark": "train_step",
        "ratio": {peer: ratios(rows, peer, "ratio") for peer in peers},
        "ratio_memory": {peer: ratios(rows, peer, "ratio_memory") for peer in peers},
        "grouper_off": exact,
        "parts": rows,
        "case": {k: v for k, v in asdict(case).items() if k != "prompt"},  # pyright: ignore[reportPossiblyUnbound]
        "gpu": torch.cuda.get_device_name() if args.device == "cuda" else None,
        "cores": executors.cores(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: version(name) for name in (*(PEERS[peer] for peer in peers), "transformers", "torch")},
        "python": platform.python_version(),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
