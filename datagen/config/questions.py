"""Questions: how they are made, and how they are checked."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from datagen import plugins
from datagen.config.llm import EngineConfig, SamplingConfig
from datagen.config.section import LLM, RUNTIME, Section

QuestionType = Literal["multi-hop", "comparison", "aggregation", "temporal", "cause", "counting"]


class GenerateConfig(Section):
    """How question, answer and evidence candidates are made."""

    method: str = Field(
        default="extractive",
        description="How questions are made. extractive: fill-in-the-blank questions, without a model. llm: a language "
        "model writes them. Or a task of your own by import path: `my_package.my_module:name`.",
    )
    candidates: int = Field(default=3, ge=1, description="Number of candidates per cluster.")
    min_evidence: int = Field(default=2, ge=1, description="Fewest chunks that a question may need.")
    max_evidence: int = Field(default=4, ge=1, description="Most chunks that a question may need.")
    engine: EngineConfig | None = Field(
        default=None,
        description="The model that writes the questions, if not the one in `engine`.",
        json_schema_extra=LLM,
    )
    sampling: SamplingConfig = Field(
        default=SamplingConfig(temperature=0.8, top_p=0.95),
        description="How the questions are sampled.",
        json_schema_extra=LLM,
    )
    prompt: str = Field(
        default="generate",
        description="The prompt: the name of a bundled one, or a file. Its text counts for the stage's identity, its "
        "name does not.",
        json_schema_extra=RUNTIME,
    )
    cloze_prompt: str = Field(
        default="cloze",
        description="The prompt around the sentences of an extractive question: the name of a bundled one, or a file. "
        "Its text counts for the stage's identity, its name does not.",
        json_schema_extra=RUNTIME,
    )
    question_types: tuple[QuestionType, ...] = Field(
        default=get_args(QuestionType),
        min_length=1,
        description="The types of question; each question's is drawn from them at random.",
        json_schema_extra=LLM,
    )
    max_parse_retries: int = Field(
        default=2,
        ge=0,
        description="How many times a reply that cannot be parsed is asked for again.",
        json_schema_extra=LLM,
    )

    @property
    def asks_model(self) -> bool:
        """Whether the settings of a language model count; a task of one's own may use them."""
        return self.method != "extractive"

    @field_validator("method")
    @classmethod
    def _known(cls, given: str) -> str:
        return plugins.known(given, plugins.TASKS)

    @model_validator(mode="after")
    def _ordered(self) -> GenerateConfig:
        if self.max_evidence < self.min_evidence:
            raise ValueError("max_evidence must not be below min_evidence")
        return self


class JudgeConfig(Section):
    """How candidates are checked and rated."""

    method: Literal["rules", "llm"] = Field(
        default="rules",
        description="How candidates are checked. rules: extractive questions are proven, without a model. llm: a "
        "language model checks and rates them.",
    )
    checks: tuple[str, ...] = Field(
        default=("lint", "quality", "closed_book", "sufficiency", "necessity", "completeness"),
        min_length=1,
        description="The checks to make. They run in the order of the default, then `policy`, then your own by import "
        "path: `my_package.my_module:name`.",
        json_schema_extra=LLM,
    )
    min_rating: float = Field(
        default=7.0,
        ge=0,
        le=10,
        description="The rating below which a candidate is rejected without further checks.",
        json_schema_extra=LLM,
    )
    closed_book_samples: int = Field(
        default=2,
        ge=1,
        description="Number of answers tried without the document. If all of them are right, the candidate is "
        "rejected.",
        json_schema_extra=LLM,
    )
    neighbours: int = Field(
        default=8,
        ge=1,
        description="Number of similar chunks that the completeness check tries in place of each cited one.",
        json_schema_extra=LLM,
    )
    alternatives: Literal["reject", "keep"] = Field(
        default="reject",
        description="What happens if another chunk serves as well as a cited one. reject: the candidate is rejected. "
        "keep: the chunk is listed in `alt_chunks`.",
        json_schema_extra=LLM,
    )
    policy_samples: int = Field(
        default=4, ge=1, description="Number of answers that the `policy` check samples.", json_schema_extra=LLM
    )
    policy_engine: EngineConfig | None = Field(
        default=None, description="The model to be trained, for the `policy` check.", json_schema_extra=LLM
    )
    max_question_chars: int = Field(
        default=2000, ge=1, description="The length in characters above which a question is rejected."
    )
    max_answer_chars: int = Field(
        default=200, ge=1, description="The length in characters above which an answer is rejected."
    )
    engine: EngineConfig | None = Field(
        default=None,
        description="The model that checks the candidates, if not the one in `engine`.",
        json_schema_extra=LLM,
    )
    sampling: SamplingConfig = Field(
        default=SamplingConfig(), description="How the checks' replies are sampled.", json_schema_extra=LLM
    )
    prompts: dict[str, str] = Field(
        default={},
        description="Prompts to use instead of the bundled ones: the name of a check, or `grade`, and a bundled "
        "prompt's name or a file. The text counts for the stage's identity, the name does not.",
        json_schema_extra=RUNTIME,
    )
    max_parse_retries: int = Field(
        default=2,
        ge=0,
        description="How many times a reply that cannot be parsed is asked for again.",
        json_schema_extra=LLM,
    )

    @property
    def asks_model(self) -> bool:
        """Whether the settings of a language model count."""
        return self.method == "llm"

    @field_validator("checks")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(plugins.known(name, plugins.CHECKS) for name in given)
