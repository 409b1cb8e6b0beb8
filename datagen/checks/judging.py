"""judge by a language model: a candidate goes through checks, the cheap ones first; what fails one goes no further.

Source of `quality`: LongRLVR (arXiv 2603.02146), a rating by five weighted criteria; the published procedure trusts it
and the generator's own list of evidence. The other checks are ours. They do not ask a model for an opinion of a label:
they have the question answered, with some chunks in view and others not, and compare the answers.

A candidate is one conversation: it ends with Findings, or with a Dropped that says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen import plugins, prompts
from datagen.checks import grading
from datagen.checks.check import Case, Check, Findings, Rejected
from datagen.checks.grading import GRADE, GRADER_PROMPT
from datagen.checks.neighbours import Neighbours
from datagen.config.data import SelectConfig
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, engine_of
from datagen.errors import ConfigError
from datagen.grounding.verify import Verifier
from datagen.llm import parsing
from datagen.llm.base import LLM, Conversation
from datagen.llm.need import Asks
from datagen.prompts import Prompt
from datagen.records import FIGURES, Candidate, Cluster, Dropped
from datagen.run.shard import Shard
from datagen.selection.limit import Limit

SETTING = "judge.checks"
VERSION = 2  # raise it when the bundled checks start to find other things
_KNOWN = f"a limit is on one of rating, {', '.join(FIGURES)}, by a setting of select"


def conversations(shard: Shard, score: Verifier, llm: LLM) -> list[Conversation[Findings | Dropped]]:
    """One conversation for each candidate. `score` is how their task scores answers."""
    config, texts = shard.config, shard.texts()
    clusters = {c.cluster_id: c for c in shard.rows("cluster", Cluster)}
    candidates: list[Candidate] = shard.rows("generate", Candidate)
    neighbours, checks, loaded = Neighbours(shard, candidates, texts), chosen(config), load_prompts(config)
    return [
        _judge(Case(c, clusters[c.cluster_id], texts[c.doc_id], neighbours, config, checks, loaded, score, llm))
        for c in candidates
    ]


async def _judge(case: Case) -> Findings | Dropped:
    candidate = case.candidate
    found = Findings(candidate, list(candidate.ref_chunks))
    try:
        for name, check in case.checks.items():
            await check.run(case, found)
            found.checks.append(name)
    except Rejected as e:
        return Dropped("candidate", candidate.qa_id, candidate.doc_id, "rejected", *e.args)
    except parsing.NoReply as e:
        return Dropped("candidate", candidate.qa_id, candidate.doc_id, "failed", e.reason, e.detail)
    return found


async def calibrate(questions: Iterable[str], config: Config, llm: LLM) -> dict[str, Any] | None:
    """How the grader does on pairs of known truth, in the language of these questions; None where no check has answers
    compared. Raises UserError where it can't be believed.
    """
    if not any(check.compares for check in chosen(config).values()):
        return None
    grader = grading.grader(config, load_prompts(config)[GRADE])
    found = await grading.calibrate(llm, grader, grading.language(questions))
    found.require(
        grader.model,
        "Choose a better model to check with (--set judge.engine.model=…), or checks that compare no answers "
        "(--set judge.checks=[lint,quality])",
    )
    return found.figures


def bundled() -> list[Check]:
    """All bundled checks, in the order in which they run."""
    return [plugins.load(name, plugins.CHECKS, Check, SETTING) for name in plugins.CHECKS]


def limits(config: Config) -> list[Limit]:
    """What `select` holds findings against: those of the bundled checks, in their order, and of the user's own."""
    checks = {check.name: check for check in bundled()} | (chosen(config) if config.judge.method == "llm" else {})
    return [limit for check in checks.values() for limit in check.limits]


def chosen(config: Config) -> dict[str, Check]:
    """The checks that are made, by name: the bundled ones in their order, then the user's own as given.

    Raises ConfigError for one that can't be loaded, has another's name, a figure that no column is there for, or a
    limit that `select` has no setting for.
    """
    wanted = config.judge.checks
    order = [name for name in plugins.CHECKS if name in wanted] + [
        name for name in wanted if name not in plugins.CHECKS
    ]
    found: dict[str, Check] = {}
    for name in order:
        check = plugins.load(name, plugins.CHECKS, Check, SETTING)
        if check.name in found or check.name == GRADE or (check.name in plugins.CHECKS and check.name != name):
            raise ConfigError(f"{SETTING}: {name} is called {check.name!r}, as another one is: give it another name")
        if check.figure and check.figure.column not in FIGURES:
            columns = ", ".join(FIGURES)
            raise ConfigError(f"{SETTING}: {name} has the figure {check.figure.column!r}: there are {columns}")
        for limit in check.limits:
            if limit.column not in ("rating", *FIGURES) or limit.setting not in SelectConfig.model_fields:
                raise ConfigError(f"{SETTING}: {name} holds {limit.column!r} against select.{limit.setting}: {_KNOWN}")
        found[check.name] = check
    return found


def load_prompts(config: Config) -> dict[str, Prompt]:
    """By check, and for grading. Raises ConfigError for a name in `judge.prompts` that has none."""
    checks = {check.name: check for check in bundled()} | chosen(config)
    files = {name: check.prompt for name, check in checks.items() if check.prompt} | {GRADE: GRADER_PROMPT}
    if unknown := config.judge.prompts.keys() - files.keys():
        raise ConfigError(f"judge.prompts: {sorted(unknown)[0]!r} has no prompt; those that do: {', '.join(files)}")
    return {name: prompts.load(file) for name, file in (files | config.judge.prompts).items()}


def fingerprints(config: Config) -> dict[str, Any]:
    """What the prompts in use say, the version of the code, and the sources of the user's own checks."""
    checks = chosen(config)
    used = {name: prompt for name, prompt in load_prompts(config).items() if name in {*checks, GRADE}}
    used["again"] = prompts.load("again")
    for check in checks.values():
        used |= check.more_prompts(config)
    said = {f"prompt {name}": prompt.digest for name, prompt in used.items()}
    return said | {"version of the checks": VERSION} | plugins.fingerprints(*config.judge.checks)


def asks(config: Config) -> list[Asks]:
    """What each check asks that has a prompt, or a model of its own."""
    loaded, settings, found = load_prompts(config), config.judge, []
    for name, check in chosen(config).items():
        used = [loaded[name]] if name in loaded else []
        used += check.more_prompts(config).values()
        other = check.engine(config)
        if used or other or check.shows:
            engine = name if other else ""
            found.append(Asks(name, check.shows, tuple(used), settings.sampling, settings.max_parse_retries, engine))
    if any(check.compares for check in chosen(config).values()):
        used = (loaded[GRADE],)
        found.append(Asks(GRADE, lambda config, sizes: 0, used, settings.sampling, settings.max_parse_retries))
    return found


def models(config: Config) -> dict[str, EngineConfig]:
    """The models that are asked: the judge's, under "", and those that checks ask besides, by check."""
    others = {name: check.engine(config) for name, check in chosen(config).items()}
    return {"": engine_of(config, "judge")} | {name: engine for name, engine in others.items() if engine}
