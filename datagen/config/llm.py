"""Language models: where they run, how they are asked, what they cost."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from datagen.config.section import RUNTIME, SECRET, Address, Fraction, Section

# Arguments of `vllm.LLM` that say where and how fast it works, and how long a prompt may be: the replies stay.
_NOT_COUNTED = frozenset(
    {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "distributed_executor_backend"}
    | {"gpu_memory_utilization", "kv_cache_memory_bytes", "swap_space", "cpu_offload_gb", "block_size"}
    | {"max_num_seqs", "max_num_batched_tokens", "max_model_len", "enable_prefix_caching", "enable_chunked_prefill"}
    | {"enforce_eager", "compilation_config", "async_scheduling", "disable_custom_all_reduce", "disable_log_stats"}
    | {"download_dir", "load_format", "max_parallel_loading_workers"}
)


class EndpointConfig(Section):
    """A server with an OpenAI-compatible API."""

    base_url: Address | None = Field(
        default=None, description="The server's address, such as http://localhost:8000/v1. Default: OpenAI's own."
    )
    api_key_env: str | None = Field(
        default=None,
        description="The environment variable that holds the key. Default: OPENAI_API_KEY for OpenAI's own address, "
        "no key for any other.",
    )
    max_concurrency: int = Field(
        default=256, ge=1, description="Most requests in flight at once. A server that slows down gets fewer."
    )
    requests_per_minute: int | None = Field(default=None, ge=1, description="The account's request rate limit.")
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="The account's token rate limit, prompt and reply together."
    )

    @field_validator("base_url")
    @classmethod
    def _has_a_scheme(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/\s]", value):
            raise ValueError("an address begins with http:// or https://, such as http://localhost:8000/v1")
        if value is not None and (found := re.search(r"/(chat/completions|completions|embeddings|models)/*$|#", value)):
            raise ValueError(f"an address ends before {found[0]}, most often with /v1")
        if value is not None and "?" in value:
            raise ValueError(
                "an address has no query (?…), which would end up before the path. Azure's has none as "
                "https://NAME.openai.azure.com/openai/v1"
            )
        return value

    @field_validator("api_key_env")
    @classmethod
    def _is_no_key(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", value):
            what = "this is the name of an environment variable, such as MY_API_KEY, never the key itself"
            raise PydanticCustomError(SECRET, what)
        return value


class PriceConfig(Section):
    """Prices in US dollars per million tokens."""

    prompt: float = Field(default=0.0, ge=0, description="The price of prompt tokens.")
    cached: float | None = Field(
        default=None,
        ge=0,
        description="The price of prompt tokens that the server had in its cache. Default: the price of prompt tokens.",
    )
    completion: float = Field(default=0.0, ge=0, description="The price of the tokens of replies.")


class EngineConfig(Section):
    """The language model, and where it runs."""

    kind: Literal["openai", "openai-batch", "vllm"] = Field(
        default="openai",
        description="How the model is reached. openai: a server with an OpenAI-compatible API. openai-batch: OpenAI's "
        "batch API, at half the price and within a day. vllm: vLLM, in this process.",
        json_schema_extra=RUNTIME,
    )
    model: str | None = Field(
        default=None, description="The model's name on the server; for vllm, its name on the hub or a path."
    )
    revision: str | None = Field(default=None, description="The commit of a model from the hub (vllm only).")
    endpoints: tuple[EndpointConfig, ...] = Field(
        default=(EndpointConfig(),),
        min_length=1,
        description="The servers that share the requests; each has the settings listed under `engine.endpoints`.",
        json_schema_extra=RUNTIME,
    )
    concurrency: int | None = Field(
        default=None,
        ge=1,
        description="Most requests in flight at once at each of the servers. Default: the server's max_concurrency. A "
        "server is asked four at first, then more while replies come faster.",
        json_schema_extra=RUNTIME,
    )
    timeout: float = Field(
        default=600.0, gt=0, description="Seconds until one attempt is given up.", json_schema_extra=RUNTIME
    )
    max_attempts: int = Field(default=6, ge=1, description="Most attempts at one request.", json_schema_extra=RUNTIME)
    max_error_rate: Fraction = Field(
        default=0.5,
        description="The share of failed requests above which the run stops.",
        json_schema_extra=RUNTIME,
    )
    patience: float = Field(
        default=600.0,
        gt=0,
        description="Seconds after which the run stops if no endpoint answers; half a minute at most for those that "
        "never did: more likely a wrong address than a restart.",
        json_schema_extra=RUNTIME,
    )
    price: PriceConfig = Field(
        default=PriceConfig(),
        description="The model's prices, for `max_cost` and the reported cost.",
        json_schema_extra=RUNTIME,
    )
    vllm: dict[str, Any] = Field(
        default={},
        description="Further arguments of `vllm.LLM`, such as quantization. Those that say where and how fast it "
        "works, such as tensor_parallel_size, may differ when a run is resumed.",
    )

    def servers(self) -> tuple[EndpointConfig, ...]:
        """The endpoints, each with the most requests that it may get at once."""
        most = self.concurrency
        if most is None:
            return self.endpoints
        return tuple(endpoint.model_copy(update={"max_concurrency": most}) for endpoint in self.endpoints)

    def counted(self, name: str) -> Any:
        """Of the arguments of `vllm.LLM`, those that change replies; none where the model runs elsewhere."""
        if name != "vllm":
            return super().counted(name)
        given = self.vllm if self.kind == "vllm" else {}
        return {argument: value for argument, value in given.items() if argument not in _NOT_COUNTED}


class SamplingConfig(Section):
    """How replies are sampled. A value of null is not sent: some models accept no temperature."""

    temperature: float | None = Field(default=0.0, ge=0, description="The sampling temperature; 0 is greedy.")
    top_p: float | None = Field(default=None, gt=0, le=1, description="The probability mass of nucleus sampling.")
    max_tokens: int = Field(default=4096, ge=1, description="Most tokens of a reply, its reasoning included.")
    extra: dict[str, Any] = Field(
        default={}, description="Other request parameters, sent unchanged, such as reasoning_effort or top_k."
    )

    def sent(self) -> dict[str, Any]:
        """The parameters to send, by the names of the chat completions API."""
        named = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        return {name: value for name, value in named.items() if value is not None} | self.extra
