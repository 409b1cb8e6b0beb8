"""A response of a model in this process, by the transformers library: greedy, one prompt, heard as it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from transformers import GenerationConfig, TextStreamer

from datagen.config.train import TrainConfig
from datagen.dataset.encode import encode
from datagen.errors import ConfigError, UserError, reason
from datagen.export import model as named
from datagen.llm.base import Completion, Message, Stream
from datagen.train import models

SHORTEST = 64  # tokens of a response: a prompt that leaves no more room does not fit


def respond(name: str, messages: list[Message], max_tokens: int, stream: Stream | None = None) -> Completion:
    """The likeliest response to a prompt, on the GPU if there is one, in the number format of the model's files.

    name: a folder that holds the model, or its name on the hub. max_tokens: the most tokens of the response. stream:
    hears its text as it is written.

    Raises ConfigError where the model cannot be loaded, or the prompt and so long a response have no room among its
    positions; UserError where the memory does not hold it.
    """
    config, tokenizer = named.config_of(name), named.tokenizer_of(name)
    try:
        prompt = encode(tokenizer, messages)
    except TemplateError as e:
        raise ConfigError(f"--model {name}: its chat template refuses the prompt: {reason(e)}") from e
    _check_room(name, len(prompt), max_tokens, named.positions(config))
    ends = models.end_tokens(TrainConfig(model=name), name, config, tokenizer)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        written = _generated(_load(name, device), tokenizer, prompt, ends, max_tokens, stream)
    except torch.OutOfMemoryError as e:
        raise UserError(
            f"{device} has too little memory for {name} with a prompt of {len(prompt):,} tokens ({reason(e)}). Start a "
            f"server that spreads it over several GPUs, such as `vllm serve {name}`, and give its --base-url; or hide "
            "the GPU by CUDA_VISIBLE_DEVICES="
        ) from e
    finished = bool(written) and written[-1] in ends
    return Completion(
        "",
        text=tokenizer.decode(written, skip_special_tokens=True),
        finish="stop" if finished else "length",
        prompt_tokens=len(prompt),
        completion_tokens=len(written),
    )


def _check_room(name: str, prompt: int, response: int, positions: int) -> None:
    if not positions or prompt + response <= positions:
        return
    room = positions - prompt
    if room < min(response, SHORTEST):
        raise ConfigError(
            f"the prompt has {prompt:,} tokens, and {name} {positions:,} positions, for prompt and response together. "
            "A document is never cut: ask about a part of it, or a model with a longer context"
        )
    raise ConfigError(
        f"the prompt has {prompt:,} tokens, so that {name} with {positions:,} positions has room for a response of "
        f"{room:,}, not of {response:,}",
        ("--max-response-tokens", str(room)),
    )


def _load(name: str, device: torch.device) -> Any:
    from transformers import AutoModelForCausalLM

    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            Path(name) if Path(name).is_dir() else name,
            dtype="auto",
            trust_remote_code=False,
            use_safetensors=True,  # what else there is, is unpickled
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as e:  # of many kinds: no such name, no network, a damaged file
        raise ConfigError(f"--model {name}: it cannot be loaded: {reason(e)}") from e
    return model.to(device).eval()


@torch.inference_mode()
def _generated(
    model: Any, tokenizer: Any, prompt: list[int], ends: list[int], max_tokens: int, stream: Stream | None
) -> list[int]:
    """The tokens of the response. Only what is set here counts, as in training: no penalties that a model came with."""
    ids = torch.tensor([prompt], device=model.device)
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=ends[0])
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=max_tokens,
        streamer=_Heard(tokenizer, stream) if stream else None,
    )
    return made[0, len(prompt) :].tolist()


class _Heard(TextStreamer):
    """Hands on what a model writes, a word at a time."""

    def __init__(self, tokenizer: Any, stream: Stream) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.stream = stream

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Called by the library with a stretch of the text that stays as it is."""
        if text:
            self.stream(text)
