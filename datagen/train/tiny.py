"""`train.model: tiny`: a small Qwen2 with random weights and a tokenizer of the dataset's words, without a download.

It learns the response's format in a minute, and little else: it is there to see the trainer at work, and for tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from datagen.train import model_folder

END, PAD = "<|im_end|>", "<|endoftext|>"
SPECIAL = [PAD, "<|im_start|>", END]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# With their line breaks, so that what comes next is a matter of the last token nearly everywhere.
TAGS = ["<CHUNK_", "</CHUNK_", "<useful_chunks>\n", "\n</useful_chunks>\n\n<answer>\n", "\n</answer>"]
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,  # attention over a whole document is nearly all that takes time
    "num_key_value_heads": 1,
    "initializer_range": 0.08,  # a narrow model learns sooner from larger weights
    "max_position_embeddings": 65_536,
    "tie_word_embeddings": True,
}


def build(
    folder: Path, texts: Iterable[str], vocabulary: int = 8192, seed: int = 0, words: Sequence[str] = (), **shape: Any
) -> Path:
    """Write the model and its tokenizer, which is trained on these texts and takes each of the words for one token. The
    same bytes for the same arguments.
    """
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = tokenizer_of(texts, vocabulary, words)
    config = Qwen2Config(
        **SHAPE
        | shape
        | {
            "vocab_size": len(tokenizer),
            "bos_token_id": None,
            "eos_token_id": tokenizer.convert_tokens_to_ids(END),
            "pad_token_id": tokenizer.convert_tokens_to_ids(PAD),
        }
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
    model.save_pretrained(folder)
    model_folder.write_config(folder, config, torch.float32)
    tokenizer.save_pretrained(folder)
    return folder


def tokenizer_of(texts: Iterable[str], vocabulary: int, words: Sequence[str] = ()) -> Any:
    """A byte-level BPE with a chat template, for which each tag of the response's format is one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    options: dict[str, Any] = {"vocab_size": vocabulary, "special_tokens": SPECIAL, "show_progress": False}
    trainer: Any = trainers.BpeTrainer(**options, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=PAD)
    fast.add_tokens([*TAGS, *words])
    fast.chat_template = TEMPLATE
    return fast
