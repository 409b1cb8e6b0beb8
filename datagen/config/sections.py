"""The sections of the configuration, one per stage or thing that is set up.

A field marked `runtime` changes how the work is done and never a byte of what is written, so it is no part of any
stage's identity. One marked with a method counts only under that method.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

RUNTIME: dict[str, Any] = {"runtime": True}
LLM: dict[str, Any] = {"method": "llm"}
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("yes or no is not what this setting takes")  # 'limit: yes' would read as 1
        return value


class InputConfig(Section):
    """Where the documents are and which columns hold them."""

    path: str | None = Field(
        default=None,
        description="a file, a folder, '-' for standard input, or hf://owner/name",
        json_schema_extra=RUNTIME,
    )
    text_column: str = Field(default="text", description="in JSON lines, parquet and hf:// inputs")
    id_column: str = Field(
        default="id", description="optional in the data: rows without one are named after file and line"
    )
    limit: int | None = Field(default=None, ge=1, description="read only the first N documents")
    strict: bool = Field(
        default=False, description="stop at the first bad row instead of setting it aside", json_schema_extra=RUNTIME
    )
    hf_subset: str | None = Field(default=None, description="of an hf:// dataset, as its card names it")
    hf_split: str = Field(default="train", description="of an hf:// dataset")
    hf_revision: str | None = Field(default=None, description="of an hf:// dataset: a commit, branch or tag")


class ChunkConfig(Section):
    tokenizer: str = Field(default="embedded", description="embedded, tiktoken:<encoding> or hf:<name or path>")
    max_tokens: int = Field(default=512, ge=16, description="per chunk")
    min_document_tokens: int = Field(default=0, ge=0, description="shorter documents are rejected")
    max_document_tokens: int | None = Field(default=None, ge=1, description="longer documents are rejected")
    documents_per_shard: int = Field(
        default=64, ge=1, description="at most; a shard of long documents is full sooner, at half a million characters"
    )


class EndpointConfig(Section):
    base_url: str | None = Field(default=None, description="such as http://localhost:8000/v1; default: OpenAI's own")
    api_key_env: str | None = Field(
        default=None,
        description="the name of the environment variable that holds the key; default: OPENAI_API_KEY for OpenAI's own "
        "address, none for any other",
    )
    max_concurrency: int = Field(default=256, ge=1, description="most requests at once; fewer if the server is slower")
    requests_per_minute: int | None = Field(default=None, ge=1, description="the account's limit")
    tokens_per_minute: int | None = Field(default=None, ge=1, description="the account's limit, prompt and reply")


class EmbedConfig(Section):
    model: str = Field(
        default="embedded",
        description="embedded, a SentenceTransformers model by name or path, or with endpoints, as the server calls it",
    )
    revision: str | None = Field(default=None, description="the model's commit on the hub")
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        default="float32", description="what the model computes in; the 16-bit ones are for GPUs"
    )
    device: str = Field(
        default="auto",
        description="auto, cpu, cuda (all GPUs that are visible), cuda:1, mps",
        json_schema_extra=RUNTIME,
    )
    endpoints: tuple[EndpointConfig, ...] = Field(
        default=(),
        description="servers with /v1/embeddings that embed instead, `base_url` and so on each",
        json_schema_extra=RUNTIME,
    )

    @model_validator(mode="after")
    def _served(self) -> EmbedConfig:
        if self.endpoints and self.model == "embedded":
            raise ValueError("endpoints need embed.model: the name by which the servers know the model")
        if self.endpoints and self.dtype != "float32":
            raise ValueError("dtype is for a model on this machine: a server chooses its own")
        return self


class ClusterConfig(Section):
    published: bool = Field(
        default=False,
        description="the published rule: one HDBSCAN cut, larger clusters dropped, the rest drawn at random",
    )
    min_similarity: Fraction = Field(
        default=0.6,
        description="least mean cosine similarity within a cluster. Published (then 0.7 by default): that from which "
        "clusters are merged, epsilon = 1 - this",
    )
    min_cluster_size: int = Field(default=4, ge=2, description="chunks")
    max_cluster_size: int = Field(default=16, ge=2, description="chunks")
    min_samples: int = Field(default=2, ge=1, description="of HDBSCAN: how dense a core is")
    min_clusters: int = Field(default=1, ge=1, description="documents with fewer clusters are left out")
    max_clusters: int = Field(
        default=4, ge=1, description="most clusters of a document: those that are most spread over it, and most alike"
    )

    @model_validator(mode="before")
    @classmethod
    def _published(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("published") is True:
            return {"min_similarity": 0.7} | given
        return given

    @model_validator(mode="after")
    def _ordered(self) -> ClusterConfig:
        if self.max_cluster_size < self.min_cluster_size:
            raise ValueError("max_cluster_size must not be below min_cluster_size")
        return self


class PriceConfig(Section):
    """US dollars per million tokens."""

    prompt: float = Field(default=0.0, ge=0)
    cached: float | None = Field(default=None, ge=0, description="prompt tokens from the server's cache; as `prompt`")
    completion: float = Field(default=0.0, ge=0)


class EngineConfig(Section):
    """Which language model, and where it runs."""

    kind: Literal["openai", "openai-batch", "vllm"] = Field(
        default="openai",
        description="openai: any server that speaks its API. openai-batch: half the price, within a day. vllm: in this "
        "process",
        json_schema_extra=RUNTIME,
    )
    model: str | None = Field(default=None, description="as the server calls it; for vllm, a name on the hub or a path")
    revision: str | None = Field(default=None, description="of a model from the hub (vllm)")
    endpoints: tuple[EndpointConfig, ...] = Field(
        default=(EndpointConfig(),),
        min_length=1,
        description="one or many, `base_url` and so on each",
        json_schema_extra=RUNTIME,
    )
    timeout: float = Field(default=600.0, gt=0, description="seconds for one attempt", json_schema_extra=RUNTIME)
    max_attempts: int = Field(default=6, ge=1, description="for one request", json_schema_extra=RUNTIME)
    max_error_rate: Fraction = Field(
        default=0.5, description="more failed requests than this, and the run stops", json_schema_extra=RUNTIME
    )
    patience: float = Field(
        default=600.0,
        gt=0,
        description="seconds without any endpoint that answers until the run stops",
        json_schema_extra=RUNTIME,
    )
    price: PriceConfig = Field(default=PriceConfig(), description="for what a run cost", json_schema_extra=RUNTIME)
    vllm: dict[str, Any] = Field(
        default={}, description="arguments of `vllm.LLM`, such as tensor_parallel_size", json_schema_extra=RUNTIME
    )


class SamplingConfig(Section):
    """What is null is not sent: some models take no temperature."""

    temperature: float | None = Field(default=0.0, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int = Field(default=4096, ge=1, description="of the reply, with its reasoning")
    extra: dict[str, Any] = Field(default={}, description="sent as they are: reasoning_effort, top_k, …")

    def sent(self) -> dict[str, Any]:
        """By the names of the chat completions API."""
        named = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        return {name: value for name, value in named.items() if value is not None} | self.extra


QuestionType = Literal["multi-hop", "comparison", "aggregation", "temporal", "cause", "counting"]


class GenerateConfig(Section):
    method: Literal["extractive", "llm"] = Field(
        default="extractive", description="extractive: fill-in-the-blank questions, no model. llm: written by a model"
    )
    candidates: int = Field(default=3, ge=1, description="how many are made per cluster")
    min_evidence: int = Field(default=2, ge=1, description="fewest chunks a question needs")
    max_evidence: int = Field(default=4, ge=1, description="most chunks a question needs")
    engine: EngineConfig | None = Field(
        default=None, description="another model than the one of `engine`", json_schema_extra=LLM
    )
    sampling: SamplingConfig = Field(default=SamplingConfig(temperature=0.8, top_p=0.95), json_schema_extra=LLM)
    prompt: str = Field(
        default="generate",
        description="a bundled prompt, or a file; what it says counts, not its name",
        json_schema_extra=RUNTIME,
    )
    question_types: tuple[QuestionType, ...] = Field(
        default=get_args(QuestionType), min_length=1, description="drawn from for every question", json_schema_extra=LLM
    )
    max_parse_retries: int = Field(
        default=2, ge=0, description="how often a reply that cannot be read is asked for again", json_schema_extra=LLM
    )

    @model_validator(mode="after")
    def _ordered(self) -> GenerateConfig:
        if self.max_evidence < self.min_evidence:
            raise ValueError("max_evidence must not be below min_evidence")
        return self


Check = Literal["lint", "quality", "closed_book", "sufficiency", "necessity", "completeness", "policy"]


class JudgeConfig(Section):
    method: Literal["rules", "llm"] = Field(
        default="rules", description="rules: proofs for extractive questions, no model. llm: the checks of a model"
    )
    checks: tuple[Check, ...] = Field(
        default=("lint", "quality", "closed_book", "sufficiency", "necessity", "completeness"),
        min_length=1,
        description="which are made, always in the order of the default and `policy` last",
        json_schema_extra=LLM,
    )
    min_rating: float = Field(
        default=7.0, ge=0, le=10, description="what is rated lower is not checked any further", json_schema_extra=LLM
    )
    closed_book_samples: int = Field(
        default=2, ge=1, description="answers without the document; all right: rejected", json_schema_extra=LLM
    )
    neighbours: int = Field(
        default=8, ge=1, description="completeness: chunks tried in place of each cited one", json_schema_extra=LLM
    )
    alternatives: Literal["reject", "keep"] = Field(
        default="reject",
        description="a chunk that is as good as a cited one: reject the row, or keep it and name them as `alt_chunks`",
        json_schema_extra=LLM,
    )
    policy_samples: int = Field(default=4, ge=1, description="answers of the policy", json_schema_extra=LLM)
    policy_engine: EngineConfig | None = Field(
        default=None, description="the model that will be trained, for the check `policy`", json_schema_extra=LLM
    )
    max_question_chars: int = Field(default=2000, ge=1, description="longer questions are rejected")
    max_answer_chars: int = Field(default=200, ge=1, description="longer answers are rejected")
    engine: EngineConfig | None = Field(
        default=None, description="another model than the one of `engine`", json_schema_extra=LLM
    )
    sampling: SamplingConfig = Field(default=SamplingConfig(), json_schema_extra=LLM)
    prompts: dict[str, str] = Field(
        default={},
        description="by check, or `grade`: another bundled prompt, or a file; what it says counts, not its name",
        json_schema_extra=RUNTIME,
    )
    max_parse_retries: int = Field(
        default=2, ge=0, description="how often a reply that cannot be read is asked for again", json_schema_extra=LLM
    )


class SelectConfig(Section):
    min_rating: float = Field(default=9.0, ge=0, le=10, description="of 10")
    per_cluster: int = Field(default=1, ge=1, description="most rows from a cluster")
    per_document: int = Field(default=1, ge=1, description="most rows from a document")
    max_closed_book: Fraction = Field(default=0.5, description="largest share answered without the document")
    min_sufficiency: Fraction = Field(default=1.0, description="least share answered from the evidence alone")
    min_pass_rate: Fraction = Field(default=0.0, description="of the policy; 0 keeps what it never solves")
    max_pass_rate: Fraction = Field(default=0.99, description="of the policy; 0.99 drops only what it always solves")
    max_similarity: Fraction = Field(
        default=0.95, description="a question nearer than this to a better one is a near-duplicate"
    )
    decontaminate: tuple[str, ...] = Field(
        default=(),
        description="benchmark files: questions and documents that share text with them are dropped; what they hold "
        "counts, not where they lie",
        json_schema_extra=RUNTIME,
    )
    max_prompt_tokens: int = Field(
        default=65_536, ge=256, description="longer documents are shown through a window that holds the evidence"
    )
    validation_fraction: Fraction = Field(default=0.1, description="of the documents")


class DatasetConfig(Section):
    name: str = Field(default="longrlvr-data", description="of the dataset, and the `data_source` of its rows")
    license: str = Field(default="unknown", description="the licence of the documents, for the dataset card")
    rows_per_file: int = Field(default=256, ge=1, description="a row holds a whole document")
