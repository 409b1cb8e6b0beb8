"""The one strict YAML model: a section per stage, an unknown key is an error.

A field marked `runtime` changes how the work is done and never a byte of what is written, so it is no part of any
stage's identity. One marked with a method counts only under that method.
"""

from __future__ import annotations

import difflib
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from datagen import strict_yaml
from datagen.errors import ConfigError
from datagen.strict_yaml import clipped

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


class Input(Section):
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


class Chunk(Section):
    tokenizer: str = Field(default="embedded", description="embedded, tiktoken:<encoding> or hf:<name or path>")
    max_tokens: int = Field(default=512, ge=16, description="per chunk")
    min_document_tokens: int = Field(default=0, ge=0, description="shorter documents are rejected")
    max_document_tokens: int | None = Field(default=None, ge=1, description="longer documents are rejected")
    documents_per_shard: int = Field(
        default=64, ge=1, description="at most; a shard of long documents is full sooner, at half a million characters"
    )


class Embed(Section):
    model: str = Field(default="embedded", description="embedded, or any SentenceTransformers model by name or path")
    revision: str | None = Field(default=None, description="the model's commit on the hub")
    batch_size: int = Field(default=32, ge=1, description="texts encoded at once")
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps", json_schema_extra=RUNTIME)


class Cluster(Section):
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
        default=4, ge=1, description="most clusters of a document: those that span most of it are kept"
    )

    @model_validator(mode="before")
    @classmethod
    def _published(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("published") is True:
            return {"min_similarity": 0.7} | given
        return given

    @model_validator(mode="after")
    def _ordered(self) -> Cluster:
        if self.max_cluster_size < self.min_cluster_size:
            raise ValueError("max_cluster_size must not be below min_cluster_size")
        return self


class Endpoint(Section):
    base_url: str | None = Field(default=None, description="such as http://localhost:8000/v1; default: OpenAI's own")
    api_key_env: str | None = Field(
        default=None,
        description="the name of the environment variable that holds the key; default: OPENAI_API_KEY for OpenAI's own "
        "address, none for any other",
    )
    max_concurrency: int = Field(default=256, ge=1, description="most requests at once; fewer if the server is slower")
    requests_per_minute: int | None = Field(default=None, ge=1, description="the account's limit")
    tokens_per_minute: int | None = Field(default=None, ge=1, description="the account's limit, prompt and reply")


class Price(Section):
    """US dollars per million tokens."""

    prompt: float = Field(default=0.0, ge=0)
    cached: float | None = Field(default=None, ge=0, description="prompt tokens from the server's cache; as `prompt`")
    completion: float = Field(default=0.0, ge=0)


class Engine(Section):
    """Which language model, and where it runs."""

    kind: Literal["openai", "openai-batch", "vllm"] = Field(
        default="openai",
        description="openai: any server that speaks its API. openai-batch: half the price, within a day. vllm: in this "
        "process",
        json_schema_extra=RUNTIME,
    )
    model: str | None = Field(default=None, description="as the server calls it; for vllm, a name on the hub or a path")
    revision: str | None = Field(default=None, description="of a model from the hub (vllm)")
    endpoints: tuple[Endpoint, ...] = Field(
        default=(Endpoint(),),
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
    price: Price = Field(default=Price(), description="for what a run cost", json_schema_extra=RUNTIME)
    vllm: dict[str, Any] = Field(
        default={}, description="arguments of `vllm.LLM`, such as tensor_parallel_size", json_schema_extra=RUNTIME
    )


class Sampling(Section):
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


class Generate(Section):
    method: Literal["extractive", "llm"] = Field(
        default="extractive", description="extractive: fill-in-the-blank questions, no model. llm: written by a model"
    )
    candidates: int = Field(default=3, ge=1, description="how many are made per cluster")
    min_evidence: int = Field(default=2, ge=1, description="fewest chunks a question needs")
    max_evidence: int = Field(default=4, ge=1, description="most chunks a question needs")
    engine: Engine | None = Field(
        default=None, description="another model than the one of `engine`", json_schema_extra=LLM
    )
    sampling: Sampling = Field(default=Sampling(temperature=0.8, top_p=0.95), json_schema_extra=LLM)
    prompt: str = Field(
        default="generate",
        description="a bundled prompt, or a file; what it says counts, not its name",
        json_schema_extra=RUNTIME,
    )
    question_types: tuple[QuestionType, ...] = Field(
        default=get_args(QuestionType), min_length=1, description="drawn from for every question", json_schema_extra=LLM
    )
    max_rereads: int = Field(
        default=2, ge=0, description="how often a reply that cannot be read is asked for again", json_schema_extra=LLM
    )

    @model_validator(mode="after")
    def _ordered(self) -> Generate:
        if self.max_evidence < self.min_evidence:
            raise ValueError("max_evidence must not be below min_evidence")
        return self


class Judge(Section):
    method: Literal["rules", "llm"] = Field(
        default="rules", description="rules: proofs for extractive questions, no model. llm: rated by a model"
    )
    max_question_chars: int = Field(default=2000, ge=1, description="longer questions are rejected")
    max_answer_chars: int = Field(default=200, ge=1, description="longer answers are rejected")
    engine: Engine | None = Field(
        default=None, description="another model than the one of `engine`", json_schema_extra=LLM
    )
    sampling: Sampling = Field(default=Sampling(), json_schema_extra=LLM)
    prompt: str = Field(
        default="judge",
        description="a bundled prompt, or a file; what it says counts, not its name",
        json_schema_extra=RUNTIME,
    )
    max_rereads: int = Field(
        default=2, ge=0, description="how often a reply that cannot be read is asked for again", json_schema_extra=LLM
    )


class Select(Section):
    min_rating: float = Field(default=5.0, ge=0, le=10, description="of 10")
    per_cluster: int = Field(default=1, ge=1, description="most rows from a cluster")
    per_document: int = Field(default=1, ge=1, description="most rows from a document")
    max_similarity: Fraction = Field(
        default=0.95, description="a question nearer than this to a better one is a near-duplicate"
    )
    max_prompt_tokens: int = Field(
        default=65_536, ge=256, description="longer documents are shown through a window that holds the evidence"
    )
    validation_fraction: Fraction = Field(default=0.1, description="of the documents")


class Dataset(Section):
    name: str = Field(default="longrlvr-data", description="of the dataset, and the `data_source` of its rows")
    license: str = Field(default="unknown", description="the licence of the documents, for the dataset card")
    rows_per_file: int = Field(default=256, ge=1, description="a row holds a whole document")


class Config(Section):
    seed: int = Field(default=0, ge=0, description="for every draw")
    workers: int | None = Field(
        default=None, ge=1, description="processes; default: one per core", json_schema_extra=RUNTIME
    )
    max_cost: float | None = Field(
        default=None, gt=0, description="US dollars a run may spend, by the engines' prices", json_schema_extra=RUNTIME
    )
    input: Input = Input()
    chunk: Chunk = Chunk()
    embed: Embed = Embed()
    cluster: Cluster = Cluster()
    engine: Engine = Engine()
    generate: Generate = Generate()
    judge: Judge = Judge()
    select: Select = Select()
    dataset: Dataset = Dataset()

    @model_validator(mode="after")
    def _fitting(self) -> Config:
        if (self.generate.method, self.judge.method) == ("llm", "rules"):
            raise ValueError(
                "judge.method must be llm when generate.method is: the rules prove extractive questions only"
            )
        for name in ("generate", "judge"):
            section = getattr(self, name)
            price = engine_of(self, name).price
            if section.method == "llm" and self.max_cost and not price.prompt + price.completion:
                raise ValueError(f"max_cost needs the prices of the model that {name} asks: set engine.price")
        return self


def engine_of(config: Config, stage: str) -> Engine:
    """The engine that a stage asks: its own, else the one for all."""
    return getattr(config, stage).engine or config.engine


def load(path: str | Path | None, overrides: dict[str, Any] | None = None) -> Config:
    """Read a YAML file (None: the defaults) and put the overrides over it. Raises ConfigError, as `parse` does."""
    return parse("", "the defaults", overrides) if path is None else parse(_read(path), str(path), overrides)


def parse(text: str, source: str, overrides: dict[str, Any] | None = None) -> Config:
    """Check YAML text, with overrides (dotted name → value, None is skipped) over it.

    Raises ConfigError naming the source, the line and the setting.
    """
    data, node = strict_yaml.read(text, source)
    return _validated(_overlaid(data, overrides or {}), source, node)


def merge(config: Config, overrides: dict[str, Any]) -> Config:
    """A copy of a configuration with some settings replaced, checked again."""
    return _validated(_overlaid(config.model_dump(), overrides), "the command line", None)


def _overlaid(data: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    for dotted, value in overrides.items():
        if value is not None:
            *sections, leaf = dotted.split(".")
            target = data
            for section in sections:
                if target.get(section) is None:
                    target[section] = {}
                target = target[section]
            if isinstance(target, dict):
                target[leaf] = value
    return data


def _validated(data: dict[str, Any], source: str, node: yaml.Node | None) -> Config:
    try:
        return Config.model_validate(data)
    except ValidationError as e:
        lines = [f"{strict_yaml.where(source, node, err['loc'])}: {_sentence(err)}" for err in e.errors()]
        raise ConfigError("\n".join(lines)) from e


def settings_of(config: Config, *sections: str) -> dict[str, Any]:
    """The settings of these sections (or single fields) that can change bytes, by dotted name."""
    flat: dict[str, Any] = {}
    for name in sections:
        value = getattr(config, name)
        if not isinstance(value, Section):
            flat[name] = value
            continue
        flat |= _flattened(name, value)
        if f"{name}.engine" in flat:
            del flat[f"{name}.engine"]
            flat |= _flattened("engine", engine_of(config, name))
    return flat


def _flattened(name: str, section: Section) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, info in type(section).model_fields.items():
        marks: Any = info.json_schema_extra or {}
        if marks.get("runtime") or marks.get("method", getattr(section, "method", None)) != getattr(
            section, "method", None
        ):
            continue
        value = getattr(section, key)
        if isinstance(value, Section) and key != "engine":
            flat |= _flattened(f"{name}.{key}", value)
        else:
            flat[f"{name}.{key}"] = value
    return flat


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as e:
        raise ConfigError(f"{path}: no such configuration file") from e
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: cannot be read as a configuration file: {e}") from e


def _within(section: Any, part: int | str) -> Any:
    """The section under a name, which may be optional, or one of a list."""
    annotation = section if isinstance(part, int) else section.model_fields[part].annotation
    candidates = (annotation, *get_args(annotation))
    return next((a for a in candidates if isinstance(a, type) and issubclass(a, Section)), annotation)


def _sentence(err: Any) -> str:
    name = ".".join(clipped(str(p)) for p in err["loc"])
    if err["type"] == "extra_forbidden":
        section = reduce(_within, err["loc"][:-1], Config)
        near = difflib.get_close_matches(str(err["loc"][-1]), section.model_fields, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(section.model_fields)}"
        return f"{name}: unknown setting; {hint}"
    message, got = err["msg"].removeprefix("Value error, ").replace("valid tuple", "list"), err["input"]
    if err["type"] == "model_type":
        section = reduce(_within, err["loc"], Config)
        message = f"a section holds settings, such as '{next(iter(section.model_fields))}:'"
    if name and not isinstance(got, dict):
        message += f", got {'nothing' if got is None else clipped(repr(got))}"
    return f"{name}: {message[0].lower()}{message[1:]}" if name else message
