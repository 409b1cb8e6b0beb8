"""A world in miniature in which finding the evidence can be watched being learned, in minutes on a CPU.

A document is a few chunks, each of which holds its mark and one of 8 values; a question names k topics; the response
cites k chunks and quotes them. In the world `fixed` each topic has its chunk, which the weights must learn. In `read`
each chunk also names its topic, in another order in every document, so that the place must be read from the context.

An answer is right if all k citations are, so that the outcome reward is seen once in (1 / p)^k responses, if p is the
chance of a right citation (LongRLVR, arXiv 2603.02146, section 3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from datagen.grounding import tags
from datagen.train import tiny

World = Literal["fixed", "read"]
CHUNKS: dict[World, int] = {"fixed": 16, "read": 10}
VALUES = ["red", "green", "blue", "white", "black", "brown", "pink", "gray"]
TOPICS = [
    "fox",
    "owl",
    "bee",
    "cat",
    "dog",
    "hen",
    "cow",
    "pig",
    "ant",
    "bat",
    "eel",
    "elk",
    "emu",
    "gnu",
    "jay",
    "koi",
]
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 192,
    "initializer_range": 0.1,
    "max_position_embeddings": 512,
}
# Positions turn fast, since the texts are short; slower where content is looked for at any distance.
SHAPES: dict[World, dict[str, Any]] = {
    "fixed": {
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 30.0},
    },
    "read": {
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0},
    },
}
# Of a warm start's citations, those that are right on purpose; of the others one in CHUNKS is right by luck.
RIGHT = 0.12
# What `write` writes: folder, split, rows, the chance that a citation is right
PARTS = (("warm", "train", 12_000, RIGHT), (".", "train", 3000, 1.0), (".", "validation", 64, 1.0))


def row(k: int, world: World, right: float, ordered: float, rng: np.random.Generator, number: int) -> dict[str, Any]:
    """A row of a dataset.

    Args:
        k: how many chunks the question needs.
        world: which of the two.
        right: the chance that a labelled chunk is the right one; others are drawn.
        ordered: in `read`, the chance that the topics stand in order.
        rng: where the draws come from.
        number: the row's id.
    """
    n = CHUNKS[world]
    places = rng.permutation(n) if world == "read" and rng.random() >= ordered else np.arange(n)  # of the topics
    quotes = [f"#{i}{value}" for i, value in enumerate(rng.choice(VALUES, n))]
    texts = [f"{TOPICS[t]}{quotes[i]}" for i, t in enumerate(np.argsort(places))] if world == "read" else quotes
    chosen = rng.permutation(n)[:k]
    cited = [int(places[t]) if rng.random() < right else int(rng.integers(n)) for t in chosen]
    question, answer = ",".join(TOPICS[t] for t in chosen), "".join(quotes[i] for i in cited)
    return {
        "data_source": f"world-{world}",
        "prompt": [{"role": "user", "content": f"{tags.render_context(texts)}\n{question}"}],
        "ability": "long-context-grounded-qa",
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {
            "qa_id": str(number),
            "question": question,
            "answer": answer,
            "ref_chunks": cited,
            "n_chunks": n,
        },
    }


def write_split(folder: Path, split: str, rows: list[dict[str, Any]]) -> None:
    """Write a split of a dataset, as `longrlvr-data train` reads it."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "data" / f"{split}-00000-of-00001.parquet")


def write_model(folder: Path, world: World, seed: int) -> Path:
    """A model with random weights, for which a tag, a mark, a topic and a value are one token each."""
    ids = [f"{mark}CHUNK_{i}>" for i in range(CHUNKS["fixed"]) for mark in ("<", "</")]
    words = [*ids, *VALUES, *TOPICS, *(f"#{i}" for i in range(CHUNKS["fixed"]))]
    return tiny.build(folder, [], 300, seed, words=words, **SHAPE, **SHAPES[world])


def write(folder: Path, k: int = 6, seed: int = 0) -> None:
    """The world `fixed` as a dataset in `folder`, one to warm up on in `folder/warm`, and a model in `folder/model`.

    The warm start's rows teach the format and the quoting, and a little of where the evidence is: most of their
    citations are drawn, so that sampled ones are right little more often than by luck. The likeliest ones are right.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()  # of saving the model
    for i, (name, split, n, right) in enumerate(PARTS):
        rng = np.random.default_rng([seed, i])
        write_split(folder / name, split, [row(k, "fixed", right, 0.0, rng, j) for j in range(n)])
    write_model(folder / "model", "fixed", seed)
