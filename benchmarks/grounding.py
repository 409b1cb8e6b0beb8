"""Does the context reward teach a model to find its evidence where the answer alone does not? In miniature, on CPUs.

    python benchmarks/grounding.py [--k 3 4 5 6 7 8] [--seeds 0 1 2] [--lr 6e-4] [--kl 0.02] [--quick]

A document is 16 chunks, each of which holds one of 8 values; a question names k topics; the response cites k chunks and
gives the k values that stand in them. `fixed`: each topic has its chunk, which the weights must learn. `read`: each
chunk names its topic, and another one in every document, so that the place must be read from the context.

A 2-layer, 64-wide Qwen2 is first trained, supervised, on responses whose format and copying are right and whose
citations mostly are not: that is a model that can do all but find the evidence. From there `longrlvr-data train` runs
with `reward: answer` and with `reward: longrlvr`, all else equal. The answer is right if all k values are, so that the
reward of the answer is seen about once in (1 / p)^k responses, if p is the chance of a right citation (LongRLVR, arXiv
2603.02146, section 3). Whatever happens in an arm is printed: escapes, collapses of the format, unlearned copying.

Everything goes through the command line, as a person would do it. The ratio is that of the right citations at the end,
the LongRLVR reward's over the answer's, at the largest k.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from datagen import tags
from datagen.train import tiny

CHUNKS = 16
VALUES = "red green blue white black brown pink gray".split()
TOPICS = "fox owl bee cat dog hen cow pig ant bat eel elk emu gnu jay koi".split()
SEAMS = ["<useful_chunks>\n", "\n</useful_chunks>\n\n<answer>\n", "\n</answer>"]  # a token each
ROWS = {"warm": 20000, "train": 3000, "validation": 64}
SHOWN = ("answer", "recall", "format", "copied", "entropy", "kl_ref")
ARMS = ("answer", "longrlvr")
LAST = 20  # steps that the end of a run is a mean of


@dataclass(frozen=True)
class Setting:
    """What one run is: a world and how it is trained in."""

    k: int
    seed: int
    reward: str = ""
    world: str = "fixed"
    lr: float = 6e-4
    kl: float = 0.02
    steps: int = 200
    warm_steps: int = 1200
    right: float = 0.12  # of the warm start's citations, on purpose

    def name(self) -> str:
        return "-".join(str(value) for value in asdict(self).values() if value != "")


def row(k: int, world: str, right: float, rng: np.random.Generator, number: int) -> dict[str, Any]:
    """A row of a dataset, with citations that are right with the chance `right`, others being drawn."""
    values = rng.choice(VALUES, CHUNKS)
    places = rng.permutation(CHUNKS) if world == "read" else np.arange(CHUNKS)  # of the topics
    chosen = rng.permutation(CHUNKS)[:k]
    cited = [int(places[t]) if rng.random() < right else int(rng.integers(CHUNKS)) for t in chosen]
    named = dict(zip(places.tolist(), TOPICS, strict=True)) if world == "read" else {}
    context = tags.render_context([named.get(i, "") + value for i, value in enumerate(values)])
    question = ",".join(TOPICS[t] for t in chosen)
    answer = ",".join(str(values[i]) for i in cited)
    info = {"qa_id": str(number), "question": question, "answer": answer, "ref_chunks": cited}
    return {"prompt": [{"role": "user", "content": f"{context}\n{question}"}], "extra_info": info}


def write_data(folder: Path, setting: Setting) -> Path:
    """A dataset to learn the format from, `warm`, and one to train on, `true`."""
    for name, right, splits in (("warm", setting.right, ("train",)), ("true", 1.0, ("train", "validation"))):
        (folder / name / "data").mkdir(parents=True)
        for split in splits:
            n = ROWS["warm" if name == "warm" else split]
            rng = np.random.default_rng([setting.seed, name == "warm", split == "train"])
            rows = [row(setting.k, setting.world, right, rng, i) for i in range(n)]
            pq.write_table(pa.Table.from_pylist(rows), folder / name / "data" / f"{split}-00000.parquet")
    return folder


def write_model(folder: Path, seed: int) -> Path:
    """A model with random weights, for which a tag, a topic and a value are one token each. Its positions turn fast, since
    its texts are short.
    """
    ids = [f"{mark}CHUNK_{i}>" for i in range(CHUNKS) for mark in ("<", "</")]
    shape = {"rope_parameters": {"rope_type": "default", "rope_theta": 30.0}, "initializer_range": 0.1}
    words = [*SEAMS, *ids, *VALUES, *TOPICS]
    return tiny.build(folder, [], 300, seed, words=words, max_position_embeddings=512, **shape)


def train(setting: Setting, data: Path, out: Path, model: Path, changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the command and return the rows of its metrics."""
    config: dict[str, Any] = {
        "batch": 16,
        "mini_batch": 16,
        "max_redraws": 0,
        "checkpointing": False,
        "eval_every": 50,
        "save_every": 1000,
        "samples_every": 50,
        "rollout": {"n": 8, "max_tokens": 10 + 6 * setting.k, "prompts_at_once": 16},
        "optimizer": {"weight_decay": 0.0, "warmup": 5},
    }
    for name, value in changes.items():
        config[name] = config[name] | value if isinstance(config.get(name), dict) else value
    out.mkdir(parents=True, exist_ok=True)
    file = out / "config.yaml"
    file.write_text(yaml.safe_dump({"seed": setting.seed, "train": config}))
    command = [sys.executable, "-m", "datagen", "train", str(data), "-c", str(file), "-o", str(out), "--model", model]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def warm_start(setting: Setting, root: Path) -> tuple[Path, Path]:
    """The data, and a model that knows the format and copies, and cites badly."""
    folder = write_data(root / setting.name(), setting)
    model = write_model(folder / "random", setting.seed)
    sft = {"steps": setting.warm_steps, "lr": 3e-3, "batch": 64}
    train(setting, folder / "warm", folder / "warmed", model, {"steps": 0, "sft": sft, "eval_every": 0})
    return folder / "true", folder / "warmed" / "checkpoints" / "step-000000"


def arm(setting: Setting, data: Path, model: Path, root: Path) -> dict[str, Any]:
    """Train with a reward; what it came to."""
    changes = {
        "steps": setting.steps,
        "reward": {"kind": setting.reward},
        "loss": {"kl": setting.kl},
        "optimizer": {"lr": setting.lr},
    }
    rows = [r for r in train(setting, data, root / setting.name(), model, changes) if "reward" in r]
    curve = {name: [r.get(name) for r in rows] for name in SHOWN}
    return asdict(setting) | {"start": _ends(rows[:1]), "end": _ends(rows[-LAST:]), "curve": curve}


def _ends(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {name: float(np.mean([r[name] for r in rows if r.get(name) is not None] or [0])) for name in SHOWN}
