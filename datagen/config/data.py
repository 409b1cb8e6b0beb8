"""Documents, chunks, vectors, clusters, and the dataset that is chosen from them."""

from __future__ import annotations

import codecs
import difflib
from encodings.aliases import aliases
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from datagen.config.llm import EndpointConfig
from datagen.config.section import RUNTIME, Address, Fraction, Section

# Codecs of text that no file is written in.
NO_ENCODINGS = frozenset(("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"))


def _codec(name: str) -> str:
    """The codec's own name. Raises ValueError for what is no encoding of text, with similar names."""
    try:
        found = codecs.lookup(name).name
        if found.replace("-", "_") not in NO_ENCODINGS:
            "".encode(found)  # a LookupError where the codec is of bytes alone, such as base64
            return found
    except LookupError:
        pass
    of_text = {alias: codec for alias, codec in aliases.items() if not codec.endswith("_codec") and codec != "rot_13"}
    near = difflib.get_close_matches(name.lower(), {*of_text, *of_text.values()} - NO_ENCODINGS, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "such as cp1252 or shift_jis"
    raise ValueError(f"no encoding that Python knows; {hint}")


class InputConfig(Section):
    """Where the documents are, and which columns hold them."""

    path: Address | None = Field(
        default=None,
        description="The documents: a file, a folder, '-' for standard input, or hf://owner/name.",
        json_schema_extra=RUNTIME,
    )
    text_column: str = Field(
        default="text", description="The column that holds the text, in JSON lines, parquet and hf:// inputs."
    )
    id_column: str = Field(
        default="id",
        description="The column that holds the document's id. Rows without one are named after their file and line.",
    )
    encoding: Annotated[str, AfterValidator(_codec)] | None = Field(
        default=None,
        description="The encoding of text files and HTML pages, as a Python codec such as cp1250. Default: each file's "
        "own is detected. JSON lines are UTF-8 whatever this is.",
    )
    limit: int | None = Field(default=None, ge=1, description="Read only the first N documents.")
    strict: bool = Field(
        default=False,
        description="Stop at the first bad row instead of setting it aside.",
        json_schema_extra=RUNTIME,
    )
    max_document_mb: int = Field(
        default=100,
        ge=1,
        description="The size in megabytes, unpacked, above which a document is set aside without being read further.",
    )
    extensions: tuple[str, ...] = Field(
        default=(),
        description="The extensions of the files that are read of a folder, such as `[.py, .md]`; none: all that are "
        "known. An unknown one is read as text.",
    )
    folder_is_document: bool = Field(
        default=False,
        description="Read the folder as one document, such as a repository: its files in the order of their names, "
        "each under a line with its path.",
    )
    hf_subset: str | None = Field(default=None, description="The subset of an hf:// dataset, as its card names it.")
    hf_split: str = Field(default="train", description="The split of an hf:// dataset.")
    hf_revision: str | None = Field(
        default=None, description="The revision of an hf:// dataset: a commit, branch or tag."
    )

    @field_validator("extensions")
    @classmethod
    def _dotted(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        """In lower case, with their dots, sorted: so that one choice is written in one way."""
        if not all(each.strip(". ") for each in given):
            raise ValueError("an extension has a letter at least, such as .py")
        return tuple(sorted({"." + each.strip().lower().lstrip(".") for each in given}))


class ChunkConfig(Section):
    """How documents are cut into chunks."""

    tokenizer: str = Field(
        default="embedded",
        description="The tokenizer that counts tokens: embedded, tiktoken:<encoding>, or hf:<name or path>.",
    )
    max_tokens: int = Field(default=512, ge=16, description="Most tokens of a chunk.")
    published: bool = Field(
        default=False,
        description="Cut as the published splitter does: in front of its separators, which are those of English and "
        "Chinese, so that a chunk may begin with a full stop.",
    )
    min_document_tokens: int = Field(
        default=0, ge=0, description="The length in tokens below which a document is rejected."
    )
    max_document_tokens: int | None = Field(
        default=None, ge=1, description="The length in tokens above which a document is rejected."
    )
    documents_per_shard: int = Field(
        default=64,
        ge=1,
        description="Most documents of a shard. A shard of long documents is full sooner, at half a million "
        "characters.",
    )


class EmbedConfig(Section):
    """The encoder that turns chunks and questions into vectors."""

    model: str = Field(
        default="embedded",
        description="The encoder: embedded (words and letters, learnt from each document; any language, no model), "
        "minilm (all-MiniLM-L6-v2, from its package), or the name or path of a SentenceTransformers model such as "
        "BAAI/bge-m3; with `endpoints`, the model's name on the servers. Or one of your own by import path: "
        "`my_package.my_module:name`.",
    )
    revision: str | None = Field(default=None, description="The commit of a model from the hub.")
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        default="float32", description="The precision the model computes in. The 16-bit ones are meant for GPUs."
    )
    device: str = Field(
        default="auto",
        description="The device the model runs on: auto, cpu, cuda (all visible GPUs), cuda:1, or mps.",
        json_schema_extra=RUNTIME,
    )
    endpoints: tuple[EndpointConfig, ...] = Field(
        default=(),
        description="Servers with /v1/embeddings to use instead of a local model; each has the settings listed under "
        "`embed.endpoints`.",
        json_schema_extra=RUNTIME,
    )

    @model_validator(mode="after")
    def _served(self) -> EmbedConfig:
        if self.endpoints and self.model in ("embedded", "minilm"):
            raise ValueError("endpoints need embed.model: the name by which the servers know the model")
        if self.endpoints and self.dtype != "float32":
            raise ValueError("dtype is for a model on this machine: a server chooses its own")
        return self


class ClusterConfig(Section):
    """How a document's chunks are clustered by theme."""

    published: bool = Field(
        default=False,
        description="Use the published rule: a single HDBSCAN cut, with larger clusters dropped and the rest drawn at "
        "random.",
    )
    min_cohesion: Fraction = Field(
        default=0.5,
        description="The least cohesion of a cluster, by the document's own measure: 0 as alike as two of its chunks "
        "at random, 1 as a chunk and its nearest neighbour. It means the same for every language and encoder. Not for "
        "`published`.",
    )
    min_similarity: Fraction | None = Field(
        default=None,
        description="The least mean cosine similarity within a cluster, where that is to be asked for besides "
        "`min_cohesion`; each encoder has its own scale. With `published`, the similarity above which clusters are "
        "merged (epsilon = 1 - this), 0.7 by default.",
    )
    min_cluster_size: int = Field(default=4, ge=2, description="Fewest chunks of a cluster.")
    max_cluster_size: int = Field(default=16, ge=2, description="Most chunks of a cluster.")
    min_samples: int = Field(
        default=2, ge=1, description="HDBSCAN's min_samples: how many neighbours make a chunk part of a dense region."
    )
    max_span_tokens: int = Field(
        default=56_000,
        ge=256,
        description="The tokens of text within which a cluster's chunks lie: a longer document is clustered in parts "
        "of this length, so that a prompt has room for all the evidence of a question. Not for `published`.",
    )
    min_clusters: int = Field(default=1, ge=1, description="The number of clusters below which a document is left out.")
    max_clusters: int = Field(
        default=4,
        ge=1,
        description="Most clusters of a document. Those spread furthest over it and most alike within are kept.",
    )

    @classmethod
    def implied(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The defaults that follow from the settings given: the published method has a threshold of its own."""
        return {"min_similarity": 0.7 if given.get("published") is True else None}

    def counted(self, name: str) -> Any:
        """The published rule has no use for `min_cohesion` and `max_span_tokens`."""
        return None if name in ("min_cohesion", "max_span_tokens") and self.published else super().counted(name)

    @model_validator(mode="after")
    def _ordered(self) -> ClusterConfig:
        if self.max_cluster_size < self.min_cluster_size:
            raise ValueError("max_cluster_size must not be below min_cluster_size")
        if self.published and self.min_similarity is None:
            raise ValueError("min_similarity is needed with published: 0.7 is its default, so take it out")
        return self


class SelectConfig(Section):
    """Which candidates become rows of the dataset."""

    min_rating: float = Field(default=9.0, ge=0, le=10, description="The least rating, out of 10.")
    per_cluster: int = Field(default=1, ge=1, description="Most rows from one cluster.")
    per_document: int = Field(default=1, ge=1, description="Most rows from one document.")
    max_closed_book: Fraction = Field(
        default=0.5, description="The largest share of right answers without the document."
    )
    min_sufficiency: Fraction = Field(
        default=1.0, description="The least share of right answers from the evidence alone."
    )
    min_pass_rate: Fraction = Field(
        default=0.0, description="The policy's least pass rate. 0 keeps questions that it never solves."
    )
    max_pass_rate: Fraction = Field(
        default=0.99, description="The policy's largest pass rate. 0.99 drops only questions that it always solves."
    )
    max_similarity: Fraction = Field(
        default=0.95,
        description="The cosine similarity above which a question counts as a near-duplicate of a better one.",
    )
    decontaminate: tuple[Address, ...] = Field(
        default=(),
        description="Benchmark files. Questions and documents that share text with them are dropped. The files' "
        "contents count for the stage's identity, their paths do not.",
        json_schema_extra=RUNTIME,
    )
    max_prompt_tokens: int = Field(
        default=65_536,
        ge=256,
        description="Most tokens of a prompt. Longer documents are shown through a window that holds the evidence.",
    )
    validation_fraction: Fraction = Field(
        default=0.1,
        description="The share of the rows held out for the validation split, as nearly as whole documents allow.",
    )


class DatasetConfig(Section):
    """How the dataset is written."""

    name: str = Field(default="longrlvr-data", description="The dataset's name, and the `data_source` of its rows.")
    license: str = Field(default="unknown", description="The documents' licence, for the dataset card.")
    license_name: str | None = Field(
        default=None, description="The licence's own name, for the card, where `license` is `other`."
    )
    license_link: str | None = Field(default=None, description="Where that licence can be read: a URL.")
    language: tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...] = Field(
        default=(), description="The documents' languages, for the card, as ISO 639 codes such as `en`."
    )
    prompt: str = Field(
        default="task",
        description="The prompt of the rows, with `{{context}}` and `{{question}}`: the name of a bundled one, or a "
        "file. Its text counts for the identity of `select`, its name does not.",
        json_schema_extra=RUNTIME,
    )
    rows_per_file: int = Field(
        default=256, ge=1, description="Most rows of a parquet file. A row holds a whole document."
    )

    @model_validator(mode="after")
    def _licensed(self) -> DatasetConfig:
        if self.license != "other" and (self.license_name or self.license_link):
            raise ValueError(
                "license_name and license_link describe a licence that has no identifier: set license: other"
            )
        return self
