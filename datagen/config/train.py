"""The settings of `train`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from datagen import plugins
from datagen.config.llm import EngineConfig
from datagen.config.section import RUNTIME, Address, Fraction, Section
from datagen.grounding import verify

Activations = Literal["keep", "recompute", "offload"]
KINDS = ("longrlvr", "answer", "context")  # of rewards
STEPS = 200  # where no length is given
GRADERS = {"llm": "judge-grade", "llm-evidence": "judge-grade-evidence"}  # verifiers that ask a model, by what prompt


class LossConfig(Section):
    """The policy loss of GRPO and its relatives."""

    aggregation: Literal["token-mean", "seq-mean", "dr-grpo"] = Field(
        default="token-mean",
        description="How tokens are weighed. token-mean: all the same. seq-mean: all responses the same. dr-grpo: all "
        "tokens the same, over the length of the longest response there can be.",
    )
    ratio: Literal["token", "sequence"] = Field(
        default="token",
        description="Whether each token has a ratio of probabilities of its own, or each response has one, as in GSPO.",
    )
    advantage_by_std: bool = Field(
        default=True, description="Divide advantages by the standard deviation of their group's rewards."
    )
    clip_low: float = Field(
        default=0.2, gt=0, lt=1, description="How far below 1 the ratio of probabilities counts: 1 - this at least."
    )
    clip_high: float = Field(
        default=0.28, gt=0, description="How far above 1 the ratio of probabilities counts: 1 + this at most."
    )
    clip_dual: float = Field(
        default=10.0, gt=1, description="The largest ratio that counts where the advantage is negative (dual clip)."
    )
    kl_coef: float = Field(
        default=0.0,
        ge=0,
        description="The weight of the KL divergence (the k3 estimate) from the model before its first rollout. 0: "
        "none, and no reference model in memory.",
    )
    max_sampler_ratio: float = Field(
        default=2.0,
        gt=0,
        description="The largest weight of a token that makes up for a sampler whose probabilities are not quite the "
        "trainer's.",
    )


class RolloutConfig(Section):
    """How responses are sampled."""

    n: int = Field(default=8, ge=2, description="Number of responses to a prompt: the size of a group.")
    temperature: float = Field(default=1.0, gt=0, description="The sampling temperature.")
    max_tokens: int = Field(default=4096, ge=1, description="Most tokens of a response.")
    sampler: Literal["own", "vllm"] = Field(
        default="own", description="Who samples. own: the model itself. vllm: a copy of it in vLLM."
    )
    vllm: dict[str, Any] = Field(
        default={}, description="Arguments of `vllm.LLM`, such as gpu_memory_utilization.", json_schema_extra=RUNTIME
    )
    prompts_at_once: int = Field(
        default=4,
        ge=1,
        description="Number of prompts whose keys and values are in memory together, where the model samples itself.",
        json_schema_extra=RUNTIME,
    )


class RewardConfig(Section):
    """What a response is rewarded for."""

    kind: str = Field(
        default="longrlvr",
        description="What is rewarded. longrlvr: the answer and the citations. answer: the answer alone. context: the "
        "F-beta of the cited chunks alone. Or a function of your own by import path: `my_package.my_module:name`.",
    )
    eta: Fraction = Field(
        default=0.1,
        description="The weight of the citations whatever the answer is; the rest, 1 - this, counts as far as it is "
        "right.",
    )
    beta: float = Field(
        default=2.0, gt=0, description="The beta of F-beta: above 1, recall counts more than precision."
    )
    unique_ids: bool = Field(default=False, description="Count a chunk that is cited twice once.")
    verifier: str = Field(
        default="exact",
        description="How an answer is verified: exact, contains, f1, llm (what strings can't tell is asked of "
        "`train.engine`), llm-evidence (the same, shown the text of the labelled chunks), or a function of your own by "
        "import path: `my_package.my_module:name`.",
    )
    min_f1: Fraction = Field(default=0.8, description="The token F1 from which an answer is right, for `f1`.")
    overlong_buffer: int = Field(
        default=0,
        ge=0,
        description="Number of tokens before the longest response over which a penalty grows from 0 to -1. 0: none.",
    )

    @field_validator("kind")
    @classmethod
    def _kind_known(cls, given: str) -> str:
        return plugins.known(given, KINDS)

    @field_validator("verifier")
    @classmethod
    def _known(cls, given: str) -> str:
        return plugins.known(given, (*verify.VERIFIERS, *GRADERS))


class OptimizerConfig(Section):
    """AdamW, with a learning rate that is constant after it has risen."""

    lr: float = Field(default=1e-6, gt=0, description="The learning rate.")
    warmup: int = Field(default=5, ge=0, description="Number of steps over which the learning rate rises.")
    weight_decay: float = Field(default=0.1, ge=0, description="AdamW's weight decay.")
    betas: tuple[float, float] = Field(default=(0.9, 0.999), description="AdamW's two betas.")
    max_grad_norm: float = Field(default=1.0, gt=0, description="The length to which longer gradients are clipped.")
    stop_grad_norm: float = Field(default=1e4, gt=0, description="The length of a gradient above which the run ends.")


class WarmStartConfig(Section):
    """Supervised steps on gold outputs before the first rollout: a base model never writes the tags by luck."""

    steps: int = Field(default=0, ge=0, description="Number of supervised steps. 0: none.")
    lr: float = Field(default=1e-5, gt=0, description="The learning rate of these steps.")
    batch: int = Field(default=32, ge=1, description="Number of prompts of a step.")
    save_every: int = Field(
        default=100, ge=1, description="Number of these steps between two checkpoints.", json_schema_extra=RUNTIME
    )


class LoraConfig(Section):
    """Only small matrices beside every linear layer learn; a learning rate ten times higher suits them."""

    rank: int = Field(default=16, ge=1, description="The rank of the matrices.")
    alpha: float = Field(
        default=32.0, gt=0, description="The scale of the matrices: their product is multiplied by alpha / rank."
    )


class BenchmarkConfig(Section):
    """A benchmark that is scored during training, by the same scorer as `evaluate score`."""

    data: Address = Field(
        description="The benchmark's file or folder, as `evaluate run --data` takes it; for the benchmark `dataset`, a "
        "run or a dataset's folder."
    )
    benchmark: str = Field(
        default="dataset", description="The benchmark, as `evaluate run --benchmark` names it; dataset: held-out rows."
    )
    every: int = Field(default=50, ge=1, description="Number of steps between two times that it is scored.")
    limit: int | None = Field(
        default=64, ge=1, description="Only its first N questions. null: all of them, at every one of those times."
    )


class TrainConfig(Section):
    """GRPO on a dataset."""

    model: str | None = Field(
        default=None, description="The model to train: a name on the hub, a path, or `tiny`, one made on the spot."
    )
    revision: str | None = Field(default=None, description="The commit of a model from the hub.")
    steps: int | None = Field(
        default=None,
        ge=0,
        description="Number of batches of rollouts. 0: the warm start alone. Default: 200, unless `epochs` is given.",
        json_schema_extra=RUNTIME,
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Number of passes over the training rows, in the place of `steps`. Prompts that replace others "
        "(`max_redraws`) count, so there are fewer batches the more are replaced.",
        json_schema_extra=RUNTIME,
    )
    batch: int = Field(default=32, ge=1, description="Number of prompts of a batch of rollouts.")
    mini_batch: int = Field(default=8, ge=1, description="Number of prompts of an optimizer step.")
    max_prompt_tokens: int = Field(
        default=65_536, ge=1, description="Most tokens of a prompt. Longer ones are refused, never cut."
    )
    max_redraws: int = Field(
        default=10,
        ge=0,
        description="How often prompts whose responses all have the same reward, which teach nothing, are replaced.",
    )
    rollout: RolloutConfig = RolloutConfig()
    reward: RewardConfig = RewardConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    sft: WarmStartConfig = WarmStartConfig()
    lora: LoraConfig | None = Field(
        default=None, description="Train small matrices instead of all weights: the settings listed under `train.lora`."
    )
    engine: EngineConfig | None = Field(
        default=None, description="The verifier's language model, if it is another than `engine`."
    )
    dtype: Literal["float32", "bfloat16"] | None = Field(
        default=None, description="The precision the model computes in. Default: bfloat16 on a GPU, else float32."
    )
    activations: Activations = Field(
        default="recompute",
        description="What becomes of activations until the backward pass. keep: they stay in memory. recompute: only "
        "the inputs of layers do. offload: those go to the host's memory.",
        json_schema_extra=RUNTIME,
    )
    max_tokens_per_microbatch: int = Field(
        default=32_768,
        ge=1,
        description="Most tokens of responses, or of whole texts in the warm start, that are run together.",
        json_schema_extra=RUNTIME,
    )
    eval_every: int = Field(
        default=10, ge=0, description="Number of steps between two evaluations on the validation split. 0: never."
    )
    eval_prompts: int | None = Field(
        default=64, ge=1, description="Most prompts of an evaluation. null: the whole validation split."
    )
    eval: BenchmarkConfig | None = Field(
        default=None,
        description="Score a benchmark before the first step and during training: the settings listed under "
        "`train.eval`.",
        json_schema_extra=RUNTIME,
    )
    save_every: int = Field(
        default=10, ge=1, description="Number of steps between two checkpoints.", json_schema_extra=RUNTIME
    )
    save_total_limit: int = Field(
        default=2, ge=1, description="Number of checkpoints that are kept.", json_schema_extra=RUNTIME
    )
    samples_every: int = Field(
        default=10,
        ge=1,
        description="Number of steps between two stored batches of rollouts.",
        json_schema_extra=RUNTIME,
    )
    tensorboard: bool = Field(
        default=False, description="Write metrics for TensorBoard, too.", json_schema_extra=RUNTIME
    )
    wandb: str | None = Field(
        default=None,
        description="The project of Weights & Biases that metrics are sent to. Default: none.",
        json_schema_extra=RUNTIME,
    )

    @classmethod
    def implied(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The length of a run for which none is given."""
        return {} if given.get("epochs") is not None else {"steps": STEPS}

    @model_validator(mode="after")
    def _fitting(self) -> TrainConfig:
        if self.steps is not None and self.epochs is not None:
            raise ValueError(
                f"steps ({self.steps}) and epochs ({self.epochs}) are two lengths of one run: take one of them away, "
                "with --set train.epochs=null or --set train.steps=null"
            )
        if self.steps is None and self.epochs is None:
            raise ValueError("the run has no length: give steps or epochs, such as --set train.epochs=5")
        if self.batch < self.mini_batch:
            raise ValueError("batch must not be below mini_batch")
        if self.reward.overlong_buffer > self.rollout.max_tokens:
            raise ValueError("reward.overlong_buffer must not be above rollout.max_tokens")
        return self
