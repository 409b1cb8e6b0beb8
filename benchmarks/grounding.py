"""Does the context reward teach a model to find its evidence where the answer alone does not? In miniature, on CPUs.

    python benchmarks/grounding.py [--k 3 4 5 6 7 8] [--seeds 0 1 2] [--lr 6e-4] [--kl 0.02] [--quick]

A document is 16 chunks, each of which holds its mark and one of 8 values; a question names k topics; the response cites
k chunks and quotes them. In the world `fixed` each topic has its chunk, which the weights must learn. In `read` each of
10 chunks also names its topic, in another order in every document, so that the place must be read from the context.

A 64-wide Qwen2 of 2 layers, in `read` of 3, is first trained, supervised, on responses whose format and quotes are
right and whose citations mostly are not: that is a model that can do all but find the evidence. In `read` it is
taught to read before that, with right citations (a fifth of the documents have their topics in order: without them so
small a model takes thousands of steps more), and then mostly taught out of it: it could find the evidence, and rarely
does.

From there `longrlvr-data train` runs with the reward `answer` and with `longrlvr`, all else equal. An answer is right
if all k citations are, so that the outcome reward is seen once in (1 / p)^k responses, if p is the chance of a right
citation (LongRLVR, arXiv 2603.02146, section 3). Whatever happens to an arm is printed: escapes, collapses of the
format, quoting that is unlearned.

Columns: citations, the share of the labelled chunks that are cited; answers, the share that is right; format, of what
can be read; all at the start and over the last 20 batches of sampled responses (128 each, at temperature 1). Everything
goes through the command line, as a person would do it. The ratio is that of the right citations at the end, LongRLVR's
over the answer's, at the largest k. About 6 minutes of one core for a seed and k.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from transformers.utils import logging

from datagen.train import world as worlds
from datagen.train.world import World

# Supervised steps with right citations, and with mostly wrong ones, and the learning rate of the latter: in `read` just
# enough of them for the citations to be drawn nearly by luck.
WARM: dict[World, tuple[int, int, float]] = {"fixed": (0, 1200, 3e-3), "read": (2000, 60, 3e-4)}
READING_LR = 3e-3
SHOWN = ("answer", "recall", "format", "entropy", "kl_ref")
ARMS = ("answer", "longrlvr")
LOCK = threading.Lock()
SMOOTH = 5  # batches that a point of the plot is a mean of
LAST = 20  # steps that the end of a run is a mean of


@dataclass(frozen=True)
class Setting:
    """What one run is: a world, and how it is trained in."""

    k: int
    seed: int
    reward: str = ""
    world: World = "fixed"
    lr: float = 6e-4
    kl: float = 0.02
    steps: int = 200
    reading_steps: int = 0  # supervised, with right citations
    warm_steps: int = 1200  # supervised, with mostly wrong ones
    right: float = worlds.RIGHT  # of the warm start's citations, on purpose; of the others one in 16 is right by luck

    def name(self) -> str:
        return "-".join(str(value) for value in asdict(self).values() if value != "")


def write_data(folder: Path, setting: Setting) -> None:
    """A dataset to learn the format and the quoting from, and a little of the map; and one to be rewarded on."""
    parts = [("warm", "train", 12_000, setting.right, 0.0), ("true", "train", 3000, 1.0, 0.0)]
    parts.append(("true", "validation", 64, 1.0, 0.0))
    if setting.reading_steps:
        parts.append(("reading", "train", 12_000, 1.0, 0.2))
    for i, (name, split, n, right, ordered) in enumerate(parts):
        rng = np.random.default_rng([setting.seed, i])
        rows = [worlds.row(setting.k, setting.world, right, ordered, rng, j) for j in range(n)]
        worlds.write_split(folder / name, split, rows)


def train(setting: Setting, data: Path, out: Path, model: Path, changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the command and return the rows of its metrics."""
    config: dict[str, Any] = {
        "batch": 16,
        "mini_batch": 16,
        "max_redraws": 0,
        "activations": "keep",
        "eval_every": 0,
        "save_every": 1000,
        "samples_every": 50,
        "rollout": {"n": 8, "max_tokens": 10 + 4 * setting.k, "prompts_at_once": 16},
        "optimizer": {"weight_decay": 0.0},
    }
    for name, value in changes.items():
        config[name] = config[name] | value if isinstance(config.get(name), dict) else value
    out.mkdir(parents=True, exist_ok=True)
    file = out / "config.yaml"
    file.write_text(yaml.safe_dump({"seed": setting.seed, "train": config}))
    command = [sys.executable, "-m", "datagen", "train", data, "-c", file, "-o", out, "--model", model]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def prepared(setting: Setting, root: Path) -> Path:
    """The folder with the data and the random model, made by one thread at a time."""
    folder = root / setting.name()
    with LOCK:
        write_data(folder, setting)
        worlds.write_model(folder / "random", setting.world, setting.seed)
    return folder


def warm_start(setting: Setting, root: Path) -> tuple[Path, Path]:
    """The data, and a model that knows the format and quotes what it cites, and cites badly."""
    folder = prepared(setting, root)
    model = folder / "random"
    phases = [("reading", setting.reading_steps, READING_LR), ("warm", setting.warm_steps, WARM[setting.world][2])]
    for name, steps, lr in phases:
        if steps:
            sft = {"steps": steps, "lr": lr, "batch": 32, "save_every": 10_000}
            train(setting, folder / name, folder / f"{name}-model", model, {"steps": 0, "sft": sft})
            model = folder / f"{name}-model" / "checkpoints" / "step-000000"
    return folder / "true", model


def arm(setting: Setting, data: Path, model: Path, root: Path) -> dict[str, Any]:
    """Train with a reward; what it came to."""
    changes = {
        "steps": setting.steps,
        "reward": {"kind": setting.reward},
        "loss": {"kl_coef": setting.kl},
        "optimizer": {"lr": setting.lr},
    }
    rows = [r for r in train(setting, data, root / setting.name(), model, changes) if "reward" in r]
    curve = {name: [r.get(name) for r in rows] for name in SHOWN}
    return asdict(setting) | {"start": _ends(rows[:1]), "end": _ends(rows[-LAST:]), "curve": curve}


def _ends(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {name: float(np.mean([r[name] for r in rows if r.get(name) is not None] or [0])) for name in SHOWN}


def both(base: Setting, arms: Sequence[Setting], root: Path) -> list[dict[str, Any]]:
    """All arms from one warm start."""
    logging.disable_progress_bar()
    data, model = warm_start(base, root)
    done = [arm(setting, data, model, root) for setting in arms]
    for result in done:
        print(line(result), flush=True)
    return done


HEAD = f"{'k':>2} {'seed':>4} {'world':>6} {'reward':>9} {'lr':>7} {'KL':>5}" + "".join(
    f" {name:>14}" for name in ("citations", "answers", "format")
)


def line(result: dict[str, Any]) -> str:
    shown = [
        f"{result['start'][name]:.2f} -> {result['end'][name]:.2f}".rjust(14) for name in ("recall", "answer", "format")
    ]
    what = f"{result['k']:>2} {result['seed']:>4} {result['world']:>6} {result['reward']:>9}"
    return " ".join([what, f"{result['lr']:>7g} {result['kl']:>5g}", *shown])


def mean(results: Sequence[dict[str, Any]], reward: str, k: int) -> float:
    return float(np.mean([r["end"]["recall"] for r in results if r["reward"] == reward and r["k"] == k]))


def plot(results: Sequence[dict[str, Any]], file: Path) -> None:
    """Citations over the batches: a panel for each k, a line for each run."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = file.name  # the same file for the same results
    from matplotlib import pyplot

    ks = sorted({r["k"] for r in results})
    columns = min(3, len(ks))
    rows = -(-len(ks) // columns)
    size = 3.2 * columns, 2.4 * rows
    figure, axes = pyplot.subplots(rows, columns, figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axis in axes.flat[len(ks) :]:
        axis.set_visible(False)
    for k, axis in zip(ks, axes.flat, strict=False):
        for reward, colour in zip(ARMS, ("#888888", "#1f77b4"), strict=True):
            curves = [r["curve"]["recall"] for r in results if r["k"] == k and r["reward"] == reward]
            for i, curve in enumerate(curves):
                means = np.asarray(curve[: len(curve) // SMOOTH * SMOOTH]).reshape(-1, SMOOTH).mean(1)
                places = (np.arange(len(means)) + 0.5) * SMOOTH
                axis.plot(places, means, color=colour, linewidth=1, label="_" if i else reward)
        axis.axhline(
            1 - (1 - 1 / worlds.CHUNKS[results[0]["world"]]) ** k, color="#bbbbbb", linewidth=0.8, linestyle=":"
        )  # by luck
        axis.set_title(f"k = {k}", fontsize=10)
        axis.set_ylim(0, 1.02)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False, fontsize=8, title="reward", title_fontsize=8)
    figure.supxlabel("batches of 128 responses", fontsize=9)
    figure.supylabel("labelled chunks that are cited", fontsize=9)
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--k", type=int, nargs="+", default=[3, 4, 5, 6, 7, 8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--lr", type=float, nargs="+", default=[6e-4])
    parser.add_argument("--kl", type=float, nargs="+", default=[0.02])
    parser.add_argument("--world", choices=["fixed", "read"], default="fixed")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--warm-steps", type=int, help="with mostly wrong citations; default: 1,200, 60 in `read`")
    parser.add_argument("--right", type=float, default=Setting.right, help="chance of a citation in the warm start")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="warm starts at once, a thread each")
    parser.add_argument("--out", type=Path, help="a file for all curves, JSON lines")
    parser.add_argument("--plot", type=Path, help="a file for the curves, such as grounding.svg")
    parser.add_argument("--quick", action="store_true", help="one seed of k = 6, 120 steps")
    given = parser.parse_args()
    ks, seeds, steps = ([6], [0], 120) if given.quick else (given.k, given.seeds, given.steps)
    reading, warm, _ = WARM[given.world]
    warm = given.warm_steps or warm
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(given.jobs) as pool:
        jobs = []
        for seed, k in product(seeds, ks):
            base = Setting(
                k, seed, "", given.world, steps=steps, reading_steps=reading, warm_steps=warm, right=given.right
            )
            ways = product(given.lr, given.kl, ARMS)
            arms = [replace(base, lr=lr, kl=kl, reward=reward) for lr, kl, reward in ways]
            jobs.append(pool.submit(both, base, arms, Path(folder)))
        results = [result for job in jobs for result in job.result()]
    if given.plot:
        plot(results, given.plot)
    if given.out:
        given.out.write_text("".join(json.dumps(result) + "\n" for result in results))
    print("\ncitations at the end, means over the seeds")
    largest = max(ks)
    summary = {f"{r}_k{k}": round(mean(results, r, k), 3) for r in ARMS for k in ks}
    print(", ".join(f"{name} {value}" for name, value in summary.items()))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    figures = {
        "ratio": round(mean(results, "longrlvr", largest) / mean(results, "answer", largest), 2),
        "citations": summary,
        "steps": steps,
        "warm_steps": reading + warm,
        "seeds": seeds,
        "memory_mb": round(peak),
        "versions": {"python": platform.python_version(), "torch": version("torch")},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
