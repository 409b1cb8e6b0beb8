"""What a task is: a kind of question, how its candidates are made, what proves them and how its answers are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as release
from typing import Any

from datagen import plugins
from datagen.config.llm import EngineConfig
from datagen.config.model import Config
from datagen.grounding import verify
from datagen.grounding.verify import Verifier
from datagen.llm.base import LLM, Conversation
from datagen.llm.need import Shows
from datagen.prompts import Prompt
from datagen.records import Candidate, Cluster, Dropped


@dataclass(frozen=True, slots=True)
class Verdict:
    """Passed: a rating and the names of what was proven. Rejected: a reason, and what was seen."""

    rating: float
    checks: tuple[str, ...]
    reason: str = ""
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether no rule failed."""
        return not self.reason


Made = list[Candidate | Dropped]
Prover = Callable[[Candidate], Verdict]


def _no_prompts(config: Config) -> dict[str, Prompt]:
    return {}


def _no_models(config: Config) -> list[EngineConfig]:
    return []


def _one(config: Config) -> int:
    return 1


@dataclass(frozen=True)
class Task:
    """One kind of question.

    `make(texts, clusters, config, llm)` gives coroutines about the clusters of one document, whose chunks are
    `texts`: each may await `llm.complete(request)`, or ask nothing, and ends with candidates, or with Dropped that say
    why there are none.
    There are `per_cluster` conversations for each cluster. `models` are those that it asks, the main one first,
    `prompts` what its questions or its requests are made of, called as a person calls them.
    `version` is raised when the code starts to make other candidates; `libraries` are packages whose releases do, too.
    `shows` is how much of a cluster the longest of its requests shows, for what is said of the context that they need.
    `prove(texts, config)` gives what proves candidates of that document without a model; None: only a model can check
    them. `score(expected, given)` is the share to which an answer is right, from 0 to 1; None: strings can't tell.
    """

    name: str
    make: Callable[[Sequence[str], Sequence[Cluster], Config, LLM], list[Conversation[Made]]]
    prove: Callable[[Sequence[str], Config], Prover] | None = None
    score: Verifier = verify.verdict
    prompts: Callable[[Config], Mapping[str, Prompt]] = _no_prompts
    models: Callable[[Config], list[EngineConfig]] = _no_models
    per_cluster: Callable[[Config], int] = _one
    shows: Shows | None = None
    version: int = 1
    libraries: tuple[str, ...] = ()


def chosen(config: Config) -> Task:
    """The task that `generate.method` names. Raises ConfigError if it can't be loaded."""
    return plugins.load(config.generate.method, plugins.TASKS, Task, "generate.method")


def fingerprints(config: Config) -> dict[str, Any]:
    """What the prompts of the task say, its version, and the source of one of the user's own."""
    task = chosen(config)
    found: dict[str, Any] = {f"prompt {name}": prompt.digest for name, prompt in task.prompts(config).items()}
    if task.version > 1:
        found["version of the task"] = task.version
    found |= {f"{name}'s release": release(name) for name in task.libraries}
    return found | plugins.fingerprints(config.generate.method)
