"""The one strict YAML model: a section per stage, an unknown key is an error.

A field marked `runtime` changes how the work is done and never a byte of what is written, so it is no part of any
stage's identity.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from datagen.errors import ConfigError

RUNTIME: dict[str, Any] = {"runtime": True}
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
    min_similarity: Fraction = Field(
        default=0.7, description="cosine similarity from which clusters are merged (epsilon = 1 - this)"
    )
    min_cluster_size: int = Field(default=4, ge=2, description="chunks")
    max_cluster_size: int = Field(default=16, ge=2, description="chunks")
    min_samples: int = Field(default=2, ge=1, description="of HDBSCAN: how dense a core is")
    oversized: Literal["split", "drop"] = Field(
        default="split", description="a cluster over the limit: split it by leaf selection, or drop it, as published"
    )
    min_clusters: int = Field(default=1, ge=1, description="documents with fewer clusters are left out")
    max_clusters: int = Field(default=4, ge=1, description="how many clusters are drawn from a document")
    max_document_chunks: int = Field(
        default=5000, ge=4, description="longer documents are rejected: clustering needs n x n memory"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Cluster:
        if self.max_cluster_size < self.min_cluster_size:
            raise ValueError("max_cluster_size must not be below min_cluster_size")
        return self


class Generate(Section):
    method: Literal["extractive"] = Field(default="extractive", description="fill-in-the-blank questions, no model")
    candidates: int = Field(default=3, ge=1, description="how many are made per cluster")
    min_evidence: int = Field(default=2, ge=1, description="fewest chunks a question needs")
    max_evidence: int = Field(default=4, ge=1, description="most chunks a question needs")

    @model_validator(mode="after")
    def _ordered(self) -> Generate:
        if self.max_evidence < self.min_evidence:
            raise ValueError("max_evidence must not be below min_evidence")
        return self


class Judge(Section):
    method: Literal["rules"] = Field(default="rules", description="proofs from the document, no model")
    max_question_chars: int = Field(default=2000, ge=1, description="longer questions are rejected")
    max_answer_chars: int = Field(default=200, ge=1, description="longer answers are rejected")


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
    input: Input = Input()
    chunk: Chunk = Chunk()
    embed: Embed = Embed()
    cluster: Cluster = Cluster()
    generate: Generate = Generate()
    judge: Judge = Judge()
    select: Select = Select()
    dataset: Dataset = Dataset()


def load(path: str | Path | None, overrides: dict[str, Any] | None = None) -> Config:
    """Read a YAML file (None: the defaults) and put the overrides over it. Raises ConfigError, as `parse` does."""
    return parse("", "the defaults", overrides) if path is None else parse(_read(path), str(path), overrides)


def parse(text: str, source: str, overrides: dict[str, Any] | None = None) -> Config:
    """Check YAML text, with overrides (dotted name → value, None is skipped) over it.

    Raises ConfigError naming the source, the line and the setting.
    """
    try:
        node = yaml.compose(text)
        data = {} if node is None else _plain(node, source)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        problem = getattr(e, "problem", None) or str(e).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML: {_clipped(problem)}") from e
    except RecursionError as e:
        raise ConfigError(f"{source}: nested too deeply, or an alias stands inside what it names") from e
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: expected sections such as 'chunk:', found a {type(data).__name__}")
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
        lines = [f"{_where(source, node, err['loc'])}: {_sentence(err)}" for err in e.errors()]
        raise ConfigError("\n".join(lines)) from e


def settings_of(config: Config, *sections: str) -> dict[str, Any]:
    """The settings of these sections (or single fields) that can change bytes, by dotted name."""
    flat: dict[str, Any] = {}
    for name in sections:
        value = getattr(config, name)
        if not isinstance(value, Section):
            flat[name] = value
            continue
        for key, info in type(value).model_fields.items():
            if not (isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("runtime")):
                flat[f"{name}.{key}"] = getattr(value, key)
    return flat


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as e:
        raise ConfigError(f"{path}: no such configuration file") from e
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: cannot be read as a configuration file: {e}") from e


def _plain(node: yaml.Node, source: str) -> Any:
    """A YAML node as Python values; a key that stands twice is an error (YAML would keep the last in silence)."""
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key, value in node.value:
            where = f"{source}:{key.start_mark.line + 1}"
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{where}: a setting's name is a word, not a list or a mapping")
            if key.value in mapping:
                raise ConfigError(f"{where}: '{_clipped(key.value)}' is set twice")
            mapping[key.value] = _plain(value, source)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value, source) for value in node.value]
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (ValueError, LookupError) as e:  # a day in a thirteenth month
        where, what = f"{source}:{node.start_mark.line + 1}", f"{_clipped(repr(node.value))}: {_clipped(str(e))}"
        raise ConfigError(f"{where}: not valid YAML: {what}") from e


def _where(source: str, node: yaml.Node | None, loc: tuple[int | str, ...]) -> str:
    """'file:line' of the setting, as far as the file has it."""
    line = None
    for part in loc:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        match = next(((k, v) for k, v in pairs if k.value == part), None)
        if match is None:
            break
        line, node = match[0].start_mark.line + 1, match[1]
    return source if line is None else f"{source}:{line}"


def _sentence(err: Any) -> str:
    name = ".".join(_clipped(str(p)) for p in err["loc"])
    section: Any = Config
    if err["type"] == "extra_forbidden":
        for part in err["loc"][:-1]:
            section = section.model_fields[part].annotation
        near = difflib.get_close_matches(str(err["loc"][-1]), section.model_fields, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(section.model_fields)}"
        return f"{name}: unknown setting; {hint}"
    message, got = err["msg"].removeprefix("Value error, "), err["input"]
    if err["type"] == "model_type":
        section = section.model_fields[name].annotation
        message = f"a section holds settings, such as '{next(iter(section.model_fields))}:'"
    if name and not isinstance(got, dict):
        message += f", got {'nothing' if got is None else _clipped(repr(got))}"
    return f"{name}: {message[0].lower()}{message[1:]}" if name else message


def _clipped(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
