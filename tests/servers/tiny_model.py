"""A language model of a million random parameters that real servers load, made in a second, and vLLM's server for it.

It writes nonsense, but it ends: a bias of its output layer makes it close strings and stop after some dozens of tokens,
so that a reply held to a JSON schema is finished and not cut off.
"""

import os
import pydoc_data.topics
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if thinking %}<think>\n{% endif %}{% endif %}"
)
END, PAD = "<|im_end|>", "<|endoftext|>"
SPECIAL = [PAD, "<|im_start|>", END]
THINKING = ["<think>", "</think>"]  # tokens as any other, to be seen in replies
BIAS = {END: 3.0, '"': 5.0}  # of their logits; all others are normally distributed with variance 1

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_OMP_THREADS_BIND": "0",
    "OMP_NUM_THREADS": "1",  # two threads that spin-wait on busy cores are ten times slower than one
}
STRUCTURED = {"backend": "xgrammar", "disable_any_whitespace": True}  # else it writes white space for ever inside JSON


def build(folder: Path, context: int = 4096, seed: int = 0) -> Path:
    """A tiny random Qwen2 with a byte-level tokenizer and a chat template: the same bytes for the same arguments."""
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_tokenizer(), eos_token=END, pad_token=PAD)
    tokenizer.add_tokens(THINKING)
    tokenizer.chat_template = TEMPLATE
    shape = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=SPECIAL.index(END),
        pad_token_id=SPECIAL.index(PAD),
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(shape)
        # The first coordinate is the same for every token, and about 7.5 after normalization: it serves as a constant.
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.lm_head.weight.normal_(std=128**-0.5)
        model.lm_head.weight[:, 0] = 0.0
        for token, bias in BIAS.items():
            model.lm_head.weight[tokenizer.convert_tokens_to_ids(token), 0] = bias / 7.5
    model.generation_config.do_sample = True
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=1024,  # pyright: ignore[reportCallIssue]
        special_tokens=SPECIAL,  # pyright: ignore[reportCallIssue]
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),  # pyright: ignore[reportCallIssue]
        show_progress=False,  # pyright: ignore[reportCallIssue]
    )
    tokenizer.train_from_iterator(sorted(pydoc_data.topics.topics.values()), trainer)
    return tokenizer


@contextmanager
def serve_vllm(folder: Path, name: str = "tiny", patience: float = 300) -> Iterator[str]:
    """vLLM's own server on a free port, as a base URL. It and its children are gone at the end."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = Path(folder) / "server.log"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", str(folder), "--served-model-name", name, "--enforce-eager", "--dtype", "float32"]
    command += ["--structured-outputs-config.backend", STRUCTURED["backend"]]
    command += ["--structured-outputs-config.disable_any_whitespace", "true"]
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command, env=os.environ | ENVIRONMENT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, log, time.monotonic() + patience)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        for politely in (True, False):
            try:
                os.killpg(process.pid, signal.SIGTERM if politely else signal.SIGKILL)
                process.wait(20 if politely else None)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def _wait(url: str, process: subprocess.Popen, log: Path, until: float) -> None:
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"vLLM's server did not start:\n{log.read_text(errors='replace')[-4000:]}")
