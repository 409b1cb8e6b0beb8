"""Ways to make an optimizer step: ours, TRL's and PrefixGrouper's, all on the same `Case`. `train_step.py` times them.

PrefixGrouper (PyPI `prefix-grouper`, arXiv 2506.05433) runs the prompt once, too. Within attention it copies the
prompt's keys and values for each response. It is wired into transformers' attention as verl 0.9 does it
(`verl/models/transformers/monkey_patch.py`, `verl/trainer/ppo/prefix_grouper_utils.py`), but for three things:

- Its masks say which tokens are padding, and flash attention adds causality by itself. SDPA does not, so that it gets
  exact masks: none and `is_causal` for the prompt, one of R by P + R for the responses.
- SDPA shares a head of keys and values among its queries; with a mask transformers would copy it.
- Logits are made of the tokens that need them. verl makes the prompt's, too.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from datagen.config.train import OptimizerConfig, RolloutConfig, TrainConfig
from datagen.train import logprobs, parallel, policy, tiny, update
from datagen.train.loss import Batch, group_advantages, policy_loss, token_weights
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


@contextmanager
def grouper(case: Case, stock: bool = False) -> Iterator[tuple[torch.optim.Optimizer, Step]]:
    """PrefixGrouper's attention in the model's own code, with our loss and optimizer."""
    prompt, responses, old = case.tokens()
    settings = case.settings()
    share_prefixes()
    device, dtype = torch.device(case.device), torch.float32 if case.device == "cpu" else torch.bfloat16
    model = case.model().to(device, dtype)
    if case.checkpointing:
        model.gradient_checkpointing_enable()
    lengths = [case.response] * case.n
    batch = Batch(
        lengths=lengths,
        advantages_N=group_advantages(torch.tensor(case.rewards())).to(device),
        weights_N=torch.tensor(token_weights(lengths, settings.loss.aggregation, case.response), device=device),
        old_T=old.flatten().to(device),
    )
    optimizer = adamw(model, settings.optimizer)

    def step() -> tuple[float, float]:
        logp = grouped_logprobs(model, prompt.to(device), responses.to(device), stock)
        loss, _ = policy_loss(logp.flatten(), batch, settings.loss)
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.optimizer.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item(), length.item()

    yield optimizer, step


def share_prefixes() -> None:
    """Make transformers' SDPA attention heed a `prefix_grouper` that the model is called with."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    plain = ALL_ATTENTION_FUNCTIONS["sdpa"]

    def attend(q: Tensor, k: Tensor, v: Tensor, _: Tensor, exact: Tensor, scale: float) -> Tensor:
        """The prompt's tokens, then the responses', to (B, T, H, D)."""
        mask, shared = (None if q.shape[2] == k.shape[2] else exact), q.shape[1] != k.shape[1]
        return functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=shared
        ).transpose(1, 2)

    def attention(module: Any, q: Tensor, k: Tensor, v: Tensor, mask: Any, *args: Any, **options: Any) -> Any:
        shared = options.pop("prefix_grouper", None)
        if shared is None:
            return plain(module, q, k, v, mask, *args, **options)
        return shared.forward(attend, q, k, v, shared.exact, module.scaling), None

    ALL_ATTENTION_FUNCTIONS["sdpa"] = attention


def grouped_logprobs(model: Any, prompt: Tensor, responses: Tensor, stock: bool = False) -> Tensor:
    """Log-probs (n, R) of n responses to a prompt (P,). `stock`: with logits of the prompt's tokens."""
    from prefix_grouper import PrefixGrouper

    (p,), (n, r), device = prompt.shape, responses.shape, prompt.device
    of_prompt, of_responses = torch.ones_like(prompt[None]), torch.ones_like(responses)
    shared: Any = PrefixGrouper.from_ungrouped_masks(of_prompt, of_responses, n, device=device)
    shared.exact = torch.ones(r, p + r, dtype=torch.bool, device=device).tril(p)
    positions = torch.cat([torch.arange(p), torch.arange(p, p + r).repeat(n)])[None].to(device)
    ids = shared.concat_input(prompt[None], of_prompt, responses, of_responses)
    options = {"attention_mask": shared.padding_mask, "position_ids": positions, "use_cache": False}
    if stock:
        logits = model(ids, prefix_grouper=shared, **options).logits
        logits = shared.split_output(logits, include_prefix_last=1)[2][:, :-1]
    else:
        hidden = model.model(ids, prefix_grouper=shared, **options).last_hidden_state
        logits = model.lm_head(shared.split_output(hidden, include_prefix_last=1)[2][:, :-1])
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return -functional.cross_entropy(logits.flatten(0, 1), responses.flatten(), reduction="none").view(n, r)


def grouper_off(case: Case) -> float:
    """How far PrefixGrouper's gradient is from the plain computation's, in float64: the largest difference of two
    entries, of the largest entry.
    """
    prompt, responses, _ = case.tokens()
    weights = torch.tensor(case.rewards(), dtype=torch.float64)[:, None]
    share_prefixes()
    model = case.model().double()

    def gradient(logp: Tensor) -> Tensor:
        model.zero_grad()
        (logp.view(responses.shape) * weights).mean().backward()
        return torch.cat([x.grad.flatten() for x in model.parameters()])

    plain = gradient(logprobs.naive(model, prompt, list(responses)))
    return ((gradient(grouped_logprobs(model, prompt, responses)) - plain).abs().max() / plain.abs().max()).item()
