"""The settings of `train`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from datagen import plugins
from datagen.config.llm import EngineConfig
from datagen.config.section import RUNTIME, Fraction, Section
from datagen.grounding import verify

Activations = Literal["keep", "recompute", "offload"]


class LossConfig(Section):
    """How log-probs, advantages and the reference make a loss."""

    aggregation: Literal["token-mean", "seq-mean", "dr-grpo"] = Field(
        default="token-mean", description="how tokens count: all the same, all responses the same, or by longest length"
    )
    ratio: Literal["token", "sequence"] = Field(default="token", description="sequence: GSPO's, one a response")
    advantage_by_std: bool = Field(default=True, description="advantages over the group's standard deviation")
    clip_low: float = Field(default=0.2, gt=0, lt=1)
    clip_high: float = Field(default=0.28, gt=0)
    clip_dual: float = Field(default=10.0, gt=1, description="bound of the ratio where the advantage is negative")
    kl_coef: float = Field(
        default=0.0, ge=0, description="of the k3 estimate against the model as it was; 0: no reference"
    )
    max_sampler_ratio: float = Field(
        default=2.0, gt=0, description="bound of the trainer's to the sampler's probability of a token"
    )


class RolloutConfig(Section):
    """How responses are sampled."""

    n: int = Field(default=8, ge=2, description="responses to a prompt")
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=4096, ge=1, description="of a response")
    sampler: Literal["own", "vllm"] = Field(
        default="own", description="own: the model itself. vllm: a copy of it in vLLM"
    )
    vllm: dict[str, Any] = Field(
        default={}, description="arguments of `vllm.LLM`, such as gpu_memory_utilization", json_schema_extra=RUNTIME
    )
    prompts_at_once: int = Field(
        default=4,
        ge=1,
        description="prompts whose keys and values stand in memory together (own)",
        json_schema_extra=RUNTIME,
    )


class RewardConfig(Section):
    """How a response is scored."""

    kind: Literal["longrlvr", "answer", "context"] = Field(
        default="longrlvr", description="answer: its correctness alone. context: the F-beta of the cited chunks alone"
    )
    eta: Fraction = Field(default=0.1, description="weight of the evidence without a right answer")
    beta: float = Field(default=2.0, gt=0, description="of F-beta: above 1, recall counts more")
    unique_ids: bool = Field(default=False, description="a chunk cited twice counts once")
    verifier: str = Field(
        default="exact",
        description="How an answer is verified: exact, contains, f1, llm (what strings can't tell is asked of "
        "`train.engine`), or a function of your own by import path: `my_package.my_module:name`.",
    )
    min_f1: Fraction = Field(default=0.8, description="token F1 from which an answer is right, for `f1`")
    overlong_buffer: int = Field(
        default=0, ge=0, description="tokens before the longest response over which a penalty grows to -1"
    )

    @field_validator("verifier")
    @classmethod
    def _known(cls, given: str) -> str:
        return plugins.known(given, (*verify.VERIFIERS, "llm"))


class OptimizerConfig(Section):
    """AdamW's settings, and the bounds of a gradient's length."""

    lr: float = Field(default=1e-6, gt=0)
    warmup: int = Field(default=5, ge=0, description="steps of rising learning rate; constant from then on")
    weight_decay: float = Field(default=0.1, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = Field(default=1.0, gt=0, description="longer gradients are clipped")
    stop_grad_norm: float = Field(default=1e4, gt=0, description="a longer gradient ends the run")


class WarmStartConfig(Section):
    """Supervised steps on gold outputs before the first rollout: a base model never writes the tags by luck."""

    steps: int = Field(default=0, ge=0)
    lr: float = Field(default=1e-5, gt=0)
    batch: int = Field(default=32, ge=1, description="prompts a step")
    save_every: int = Field(default=100, ge=1, description="steps between checkpoints", json_schema_extra=RUNTIME)


class LoraConfig(Section):
    """Only small matrices beside every linear layer learn; a learning rate ten times higher suits them."""

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32.0, gt=0, description="over the rank: what their product is multiplied by")


class TrainConfig(Section):
    """All settings of a training run."""

    model: str | None = Field(default=None, description="a name on the hub, a path, or `tiny`: one made on the spot")
    revision: str | None = Field(default=None, description="of a model from the hub")
    steps: int = Field(
        default=200, ge=0, description="batches of rollouts; 0: the warm start alone", json_schema_extra=RUNTIME
    )
    batch: int = Field(default=32, ge=1, description="prompts of a batch of rollouts")
    mini_batch: int = Field(default=8, ge=1, description="prompts of an optimizer step")
    max_prompt_tokens: int = Field(default=65_536, ge=1, description="longer prompts are refused, never cut")
    max_redraws: int = Field(
        default=10, ge=0, description="how often prompts whose responses all got the same reward are replaced"
    )
    rollout: RolloutConfig = RolloutConfig()
    reward: RewardConfig = RewardConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    sft: WarmStartConfig = WarmStartConfig()
    lora: LoraConfig | None = Field(default=None, description="train small matrices instead of all weights, see below")
    engine: EngineConfig | None = Field(default=None, description="of the verifier, if another one than `engine`")
    dtype: Literal["float32", "bfloat16"] | None = Field(
        default=None, description="what the model computes in; default: bfloat16 on a GPU, else float32"
    )
    activations: Activations = Field(
        default="recompute",
        description="until the backward pass. recompute: a layer's input is kept; offload: in the host's memory",
        json_schema_extra=RUNTIME,
    )
    max_tokens_per_microbatch: int = Field(
        default=32_768,
        ge=1,
        description="tokens of responses, or of whole texts in the warm start, run together",
        json_schema_extra=RUNTIME,
    )
    eval_every: int = Field(default=10, ge=0, description="steps between two looks at the validation split; 0: never")
    eval_prompts: int = Field(default=64, ge=1, description="of the validation split, at most")
    save_every: int = Field(default=10, ge=1, description="steps between checkpoints", json_schema_extra=RUNTIME)
    save_total_limit: int = Field(default=2, ge=1, description="checkpoints that are kept", json_schema_extra=RUNTIME)
    samples_every: int = Field(default=10, ge=1, description="steps between stored rollouts", json_schema_extra=RUNTIME)
    tensorboard: bool = Field(default=False, json_schema_extra=RUNTIME)
    wandb: str | None = Field(default=None, description="project of Weights & Biases", json_schema_extra=RUNTIME)

    @model_validator(mode="after")
    def _fitting(self) -> TrainConfig:
        if self.batch < self.mini_batch:
            raise ValueError("batch must not be below mini_batch")
        if self.reward.overlong_buffer > self.rollout.max_tokens:
            raise ValueError("reward.overlong_buffer must not be above rollout.max_tokens")
        return self
