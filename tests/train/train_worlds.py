"""Small models and datasets to train on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from datagen.grounding import tags
from datagen.train import policy

SHAPE: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
KINDS: dict[str, Any] = {"qwen2": Qwen2Config, "llama": LlamaConfig, "qwen3": Qwen3Config, "mistral": MistralConfig}


def model_of(kind: str = "qwen2", dtype: torch.dtype = torch.float64, **shape: Any) -> Any:
    """A model with random weights, adapted. In float64 its norms, too, are of that precision: transformers' are not."""
    extra = {"head_dim": 8} if kind == "qwen3" else {"sliding_window": None} if kind == "mistral" else {}
    torch.manual_seed(0)
    config = KINDS[kind](**SHAPE | extra | shape)
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(dtype)
    for module in model.modules():
        if dtype == torch.float64 and type(module).__name__.endswith("RMSNorm"):
            module.forward = partial(_norm, module)
    policy.adapt(model)
    return model


def _norm(module: Any, hidden: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.rms_norm(hidden, hidden.shape[-1:], module.weight, module.variance_epsilon)


def ids(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(97, (n,), generator=torch.Generator().manual_seed(seed))


def row(number: int, words: str = "ash birch cedar elm") -> dict[str, Any]:
    """A question about a document of four chunks, two of which hold the answer."""
    trees = words.split()
    at = number % 3
    context = tags.render_context([f"Chunk about {tree}, no {number + i}." for i, tree in enumerate(trees)])
    question = f"What stands in {at} and {at + 1}?"
    info = {"qa_id": f"q{number}", "question": question, "ref_chunks": [at, at + 1]}
    info["answer"] = f"{trees[at]} {trees[at + 1]}"
    content = f"Cite chunks as <CHUNK_i>.\n{context}\n{question}"
    return {"prompt": [{"role": "user", "content": content}], "extra_info": info}


def dataset(folder: Path, train: int = 6, validation: int = 2) -> Path:
    (folder / "data").mkdir(parents=True)
    for split, n in (("train", train), ("validation", validation)):
        pq.write_table(pa.Table.from_pylist([row(i) for i in range(n)]), folder / "data" / f"{split}-00000.parquet")
    return folder
