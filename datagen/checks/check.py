"""What a check is, what it is given, and what it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from datagen.checks.neighbours import Neighbours
from datagen.config.llm import EngineConfig
from datagen.config.model import Config
from datagen.grounding.verify import Verifier
from datagen.llm.base import LLM
from datagen.llm.need import Shows
from datagen.prompts import Prompt
from datagen.records import Candidate, Cluster
from datagen.selection.limit import Limit


class Rejected(Exception):
    """A check that the candidate did not pass: (reason, detail)."""


@dataclass
class Findings:
    """What the checks found so far. `figures` are shares from 0 to 1, by the column of `Judgement`."""

    candidate: Candidate
    ref_chunks: list[int]
    rating: float = 0.0
    rating_reason: str = ""
    checks: list[str] = field(default_factory=list)
    redundant: list[int] = field(default_factory=list)
    alt_chunks: list[int] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A candidate and what it is judged by.

    `texts` are all chunks of its document, `checks` those that are made, in order, `prompts` theirs by name; `score`
    is how its task scores answers, `llm` answers requests.
    """

    candidate: Candidate
    cluster: Cluster
    texts: list[str]
    neighbours: Neighbours
    config: Config
    checks: Mapping[str, Check]
    prompts: Mapping[str, Prompt]
    score: Verifier
    llm: LLM


@dataclass(frozen=True)
class Figure:
    """A share from 0 to 1 that a check writes into a column of `Judgement`; `label` says of what."""

    column: str
    label: str


def _no_engine(config: Config) -> EngineConfig | None:
    return None


def _no_prompts(config: Config) -> dict[str, Prompt]:
    return {}


@dataclass(frozen=True)
class Check:
    """One way to find out whether a candidate's label holds.

    `run(case, findings)` is a coroutine that may await `case.llm.complete(request)`, or ask nothing: it notes what it
    finds, and raises Rejected where the candidate is not to be kept. `prompt` is a bundled prompt's name or a file,
    which `judge.prompts` may replace; without one, it asks by no prompt of its own. `limits` are what `select` holds
    its findings against. `engine` is the model that it asks besides the judge's, `more_prompts` are the prompts that
    its requests are made of besides its own, by what a person calls them. `shows` is how much of a document the longest
    of them shows, for what is said of the context that they need. `compares`: it has answers compared with the
    candidate's, so that whoever compares them must be able to.
    """

    name: str
    run: Callable[[Case, Findings], Awaitable[None]]
    prompt: str = ""
    figure: Figure | None = None
    limits: tuple[Limit, ...] = ()
    engine: Callable[[Config], EngineConfig | None] = _no_engine
    more_prompts: Callable[[Config], Mapping[str, Prompt]] = _no_prompts
    compares: bool = False
    shows: Shows | None = None
