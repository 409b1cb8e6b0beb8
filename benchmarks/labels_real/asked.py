"""What is asked: each check on its own about a candidate, by the judge's own functions, and the grader about a pair."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from datagen.checks import asking, judging
from datagen.checks.check import Case, Findings, Rejected
from datagen.checks.neighbours import Neighbours
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.grounding import verify
from datagen.llm import parsing
from datagen.llm.base import LLM
from datagen.records import Candidate, Cluster
from datagen.tasks import task

from .data import BEFORE, CHECKS, Pair, Row

ARMS = ("before", "now")  # prompts as they were, and as they are
MOST_TOKENS = 300  # of a reply: a model that does not end costs no more than this


@dataclass(frozen=True)
class Outcome:
    """What a check said of a candidate, or the grader of a pair. `right` is None where its replies can't be read."""

    arm: str
    id: str
    language: str
    kind: str
    asked: str  # a check's name, or "grade"
    should: str  # "pass" or "reject", "same" or "different"
    right: bool | None


@dataclass(frozen=True)
class Ask:
    """One conversation: all checks of a candidate, one after the other, or the grader about a pair; in every arm."""

    of: Row | Pair
    configs: dict[str, Config]  # by arm
    checks: Sequence[str]

    @property
    def name(self) -> str:
        return self.of.id

    async def begin(self, llm: LLM) -> list[Outcome]:
        found = []
        for arm, config in self.configs.items():
            said = _grade(self.of, config, llm) if isinstance(self.of, Pair) else _check(self, self.of, config, llm)
            for asked, should, right in await said:
                found.append(Outcome(arm, self.of.id, self.of.language, self.of.kind, asked, should, right))
        return found


Said = tuple[str, str, bool | None]  # what was asked, what it should say, whether it did


def everything(
    arms: Sequence[str], rows: Sequence[Row], pairs: Sequence[Pair], checks: Sequence[str], settings: dict[str, Any]
) -> list[Ask]:
    """All conversations. What begins alike comes together: a server with a prefix cache is done sooner."""
    configs = {arm: configure(arm, settings) for arm in arms}
    return [Ask(each, configs, checks) for each in (*(pairs if asking.GRADE in checks else []), *rows)]


def configure(arm: str, settings: dict[str, Any]) -> Config:
    """The defaults of the judge, but for the length of a reply, and with the prompts of an arm."""
    given = {"generate.method": "llm", "judge.method": "llm", "judge.sampling.max_tokens": MOST_TOKENS} | settings
    if arm == "before":
        names = [name for name in (*CHECKS, asking.GRADE) if (BEFORE / f"judge-{name}.md").exists()]
        given["judge.prompts"] = {name: str(BEFORE / f"judge-{name}.md") for name in names}
    return configs.load(None, given)


async def _check(ask: Ask, row: Row, config: Config, llm: LLM) -> list[Said]:
    made, said = judging.chosen(config), []
    for name in ask.checks:
        should = row.should.get(name)
        if should is None:
            continue
        found = Findings(_candidate(row), list(row.evidence))
        case = _case(row, config, llm, task.chosen(config).score, name)
        try:
            await made[name].run(case, found)
        except Rejected:
            right: bool | None = should == "reject" and name != "necessity"
        except parsing.NoReply:
            right = None
        else:
            right = _passed(row, name, found) == should
        said.append((name, should, right))
    return said


def _passed(row: Row, name: str, found: Findings) -> str:
    """What a check said that raised nothing: `necessity` may have taken out what is not needed, and nothing else."""
    if name == "necessity" and found.redundant:
        return "reject" if found.ref_chunks in row.sufficient else "neither"
    return "pass"


async def _grade(pair: Pair, config: Config, llm: LLM) -> list[Said]:
    row = Row(pair.id, pair.kind, [], pair.question, pair.reference, [], pair.reference, [], [], [], {})
    try:
        right = (await asking.grade(_case(row, config, llm, _cannot_tell), pair.other)) == pair.same
    except parsing.NoReply:
        right = None
    return [(asking.GRADE, "same" if pair.same else "different", right)]


def by_strings(pair: Pair) -> bool | None:
    """What strings alone say of a pair; None: they leave it to the model."""
    said = verify.verdict(pair.reference, pair.other)
    return None if said is None else said == pair.same


def _cannot_tell(expected: str, given: str) -> None:
    """Strings never decide: it is the model that is measured."""


def _candidate(row: Row) -> Candidate:
    return Candidate(
        qa_id=row.id,
        cluster_id=row.id,
        doc_id=row.id,
        sample=0,
        generator="a person",
        question_type="multi-hop",
        question=row.question,
        answer=row.answer,
        ref_chunks=list(row.evidence),
        terms=[],
        quotes=[],
        quote_chunks=[],
    )


def _case(row: Row, config: Config, llm: LLM, score: verify.Verifier, *names: str) -> Case:
    cluster = Cluster(row.id, row.id, list(range(len(row.passages))), 1.0, 0.5, 1.0)
    checks = {name: check for name, check in judging.chosen(config).items() if name in names}
    prompts = judging.load_prompts(config)
    return Case(_candidate(row), cluster, row.passages, _Others(row), config, checks, prompts, score, llm)


class _Others(Neighbours):
    """All passages that are not cited: there are few enough."""

    def __init__(self, row: Row) -> None:
        self.row = row

    async def of(self, candidate: Candidate, chunk: int, cited: Collection[int], n: int) -> list[int]:
        return [i for i in range(len(self.row.passages)) if i not in cited][:n]
