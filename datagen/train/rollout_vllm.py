"""Responses sampled by vLLM in this process: a copy of the model, given the trainer's weights when they change.

Each rank has its own copy, on its own GPU, and samples for its share of the prompts. The weights go from memory to
memory, through `reload_weights`, which brings them into the layout of vLLM's kernels; what vLLM had kept of prompts is
forgotten with the old ones. Its kernels round otherwise than the trainer's: the log-probs that it sampled by come with
the responses, and the loss corrects for the difference (`train.loss.max_sampler_ratio`): truncated importance sampling
(Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy RL training").
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datagen.config.train import TrainConfig
from datagen.errors import ConfigError, EngineError
from datagen.llm import vllm
from datagen.train import lora, parallel
from datagen.train.types import Response, Seed

WHERE = "train.rollout.vllm"
GPU_SHARE = 0.3
HOTTEST = 2.0


def check(settings: TrainConfig) -> None:
    """Raise MissingExtra or ConfigError for what vLLM can't be started with."""
    vllm.check("train.rollout.sampler vllm", settings.rollout.vllm)
    if settings.rollout.temperature > HOTTEST:
        raise ConfigError(f"train.rollout.temperature: vLLM takes {HOTTEST} at most")
    ours = {"model", "revision", "tokenizer", "dtype", "max_model_len", "logprobs_mode", "generation_config"}
    for name, value in settings.rollout.vllm.items():
        if name in ours:
            raise ConfigError(f"{WHERE}: {name} is the trainer's to set")
        if name.endswith("parallel_size") and value != 1:
            raise ConfigError(f"{WHERE}: {name} is {value}, but each rank has a copy of the model on its own GPU")


def share(settings: TrainConfig) -> float:
    """Of a GPU's memory, which is vLLM's."""
    return settings.rollout.vllm.get("gpu_memory_utilization", GPU_SHARE)


class VllmSampler:
    """vLLM as the sampler (see `types.Sampler`). Raises EngineError when it can't run the model."""

    def __init__(
        self,
        settings: TrainConfig,
        source: str,
        longest: int,
        dtype: torch.dtype,
        ends: list[int],
        size: int,
    ) -> None:
        """`longest`: tokens of the longest prompt. `size`: of the world."""
        self.settings, self.ends = settings, ends
        arguments: dict[str, Any] = {
            "dtype": str(dtype).removeprefix("torch."),
            "max_model_len": longest + settings.rollout.max_tokens,
            "logprobs_mode": "processed_logprobs",  # at the temperature, as the trainer has them
            "generation_config": "vllm",  # none of the model's own habits, such as top_p
            "gpu_memory_utilization": share(settings),
        }
        if size > 1:
            arguments["distributed_executor_backend"] = "external_launcher"
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # weights are handed over within a process
        self.llm = vllm.load(source, settings.revision, arguments | settings.rollout.vllm)
        self.count = 0

    def update_weights(self, model: Any) -> None:
        """Make the model's weights those that are sampled by. Called by all ranks.

        Raises EngineError where vLLM would go on with what it kept of prompts under the old ones.
        """
        with torch.no_grad(), parallel.unshard(model):
            weights = {name: p.detach() for name, p in model.named_parameters()}
            adapters = self.settings.lora
            pairs = lora.merged(weights, adapters) if adapters else iter(weights.items())
            self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": pairs})
            self.llm.apply_model(_tie)
        if not self.llm.reset_prefix_cache():
            raise EngineError("vLLM did not forget what it had kept of prompts under the old weights")

    def sample(
        self, prompts: Sequence[Tensor], seeds: Sequence[Sequence[Seed]], temperature: float
    ) -> Iterator[list[tuple[int, list[Response]]]]:
        """As `types.Sampler.sample`. Raises EngineError when vLLM fails."""
        from vllm import SamplingParams  # pyright: ignore[reportMissingImports]
        from vllm.sampling_params import RequestOutputKind  # pyright: ignore[reportMissingImports]

        engine, waiting = self.llm.llm_engine, {}
        for i, (prompt, of_prompt) in enumerate(zip(prompts, seeds, strict=True)):
            sampling = SamplingParams(
                n=len(of_prompt),
                temperature=temperature,
                seed=int(np.random.SeedSequence(of_prompt[0]).generate_state(1, np.uint64)[0] >> 1),
                max_tokens=self.settings.rollout.max_tokens,
                stop_token_ids=self.ends,
                skip_special_tokens=False,
                logprobs=0,  # of the sampled token alone
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            self.count += 1
            waiting[str(self.count)] = i
            engine.add_request(str(self.count), {"prompt_token_ids": prompt.tolist()}, sampling)
        try:
            while waiting:
                done = [output for output in self._step() if output.finished]
                if done:
                    yield [(waiting.pop(o.request_id), [_response(one) for one in o.outputs]) for o in done]
        finally:
            if waiting:  # nobody wants the others any more
                engine.abort_request(list(waiting))

    def _step(self) -> list[Any]:
        try:
            return self.llm.llm_engine.step()
        except Exception as e:  # no memory left, a dead worker
            raise EngineError(f"vLLM stopped: {str(e) or type(e).__name__}") from e

    def close(self) -> None:
        """End the engine, which gives back its memory."""
        self.llm.llm_engine.engine_core.shutdown()


def _tie(model: Any) -> None:
    """On CPUs, vLLM 0.32 multiplies by a copy of the output layer, stale after a tied embedding is loaded."""
    head = model.lm_head
    if head.weight is model.model.embed_tokens.weight:
        head.quant_method.process_weights_after_loading(head)


def _response(output: Any) -> Response:
    tokens = list(output.token_ids)
    logprobs = [of_place[token].logprob for token, of_place in zip(tokens, output.logprobs, strict=True)]
    return Response(tokens, logprobs, output.finish_reason == "stop")
