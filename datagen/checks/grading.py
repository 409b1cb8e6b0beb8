"""Whether two answers say the same, where strings can't tell: a model is asked, and first shown to be able to.

The two things, and what differs, are named before the verdict (cf. Wei et al. 2022, "Chain-of-Thought Prompting"):
models that are asked for the verdict alone say yes to nearly everything. A grader is believed once it has graded pairs
of known truth, in the language of the questions; those are of our own making (prompts/grader-pairs.json, and
grader-pairs-evidence.json for a grader that sees the evidence, as the one of LongRLVR does, arXiv 2603.02146).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from typing import Any

from datagen import resources, shards
from datagen.config.model import Config, engine_of
from datagen.errors import EngineError, UserError
from datagen.grounding import verify
from datagen.llm.base import LLM, Request
from datagen.llm.objects import NO_DIFFERENCE, ParseError, read_verdict
from datagen.llm.parsing import NoReply, ask
from datagen.prompts import Prompt, render

COUNTS = ("same", "same_right", "different", "different_right")
GRADER_PROMPT = "judge-grade"
GRADE, CALIBRATION = "grade", "calibration"
EVIDENCE = "evidence"  # the variable of a prompt that shows it
PAIRS, PAIRS_WITH_EVIDENCE = "grader-pairs.json", "grader-pairs-evidence.json"
LEAST = 0.8  # share of the pairs, of those that say the same and of the others, that a grader must get right
DIFFERENCES = (
    *(NO_DIFFERENCE, "another person, place or thing", "another number, date or unit", "a part is missing"),
    *("a part is added", "the opposite", "less exact", "more exact"),
)
VERDICT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reference": {"type": "string"},
        "other": {"type": "string"},
        "difference": {"type": "string", "enum": list(DIFFERENCES)},
        "same": {"type": "boolean"},
    },
    "required": ["reference", "other", "difference", "same"],
    "additionalProperties": False,
}
_WORDS = {
    "en": frozenset(("the", "of", "and", "is", "what", "which", "who", "was")),
    "de": frozenset(("der", "die", "das", "und", "ist", "welche", "wer", "wurde")),
    "fr": frozenset(("le", "la", "les", "des", "et", "est", "quel", "quelle", "qui")),
    "es": frozenset(("el", "la", "los", "las", "y", "es", "qué", "cuál", "quién")),
}
ENOUGH = 200  # texts that tell the language
_SCRIPTS = {"ru": re.compile(r"[\u0400-\u04ff]"), "zh": re.compile(r"[\u4e00-\u9fff]")}


@dataclass(frozen=True)
class Grader:
    """The model that compares answers, and how it is asked."""

    prompt: Prompt
    model: str
    sampling: dict[str, Any]
    max_parse_retries: int

    @property
    def sees_evidence(self) -> bool:
        """Whether it is shown the text that the expected answer was taken from."""
        return EVIDENCE in self.prompt.variables

    def request(
        self, question: str, expected: str, given: str, group: str = "", check: str = GRADE, evidence: str | None = None
    ) -> Request:
        """Whether `given` says the same as the expected answer to a question. `check`: what its usage is counted by;
        `evidence`: the text of the labelled chunks, for a grader that sees it. Raises ConfigError where such a one is
        not given it.
        """
        said = {"question": plain(question), "answer": plain(expected), "given": plain(given)}
        if self.sees_evidence and evidence is not None:
            said[EVIDENCE] = plain(evidence)
        messages = [{"role": "user", "content": render(self.prompt, **said)}]
        return Request(self.model, messages, self.sampling, VERDICT, group=group, check=check)

    async def verdict(self, llm: LLM, request: Request) -> bool:
        """The model's answer to a request. Raises NoReply."""
        return await ask(llm, request, read_verdict, self.max_parse_retries)


def grader(config: Config, prompt: Prompt) -> Grader:
    """The judge's grader."""
    settings = config.judge
    return Grader(prompt, engine_of(config, "judge").model or "", settings.sampling.sent(), settings.max_parse_retries)


@dataclass(frozen=True)
class Pair:
    """Two answers to a question, and whether they say the same: given the evidence, if there is any."""

    question: str
    answer: str
    given: str
    same: bool
    evidence: str = ""


@dataclass(frozen=True)
class Calibration:
    """How a grader did on pairs of known truth: how many it got right of those that say the same, and of those that do
    not. `mistakes` are the pairs that it got wrong.
    """

    language: str
    same: int
    same_right: int
    different: int
    different_right: int
    mistakes: tuple[Pair, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the grader can be believed."""
        return self.same_right >= LEAST * self.same and self.different_right >= LEAST * self.different

    @property
    def figures(self) -> dict[str, Any]:
        """The language and the counts, without the pairs."""
        return {name: value for name, value in asdict(self).items() if name != "mistakes"}

    def require(self, model: str, advice: str) -> None:
        """Raise UserError, with the advice, for a grader that can't be believed."""
        if self.passed:
            return
        wrong = "".join(
            f"\n  {pair.answer!r} and {pair.given!r}, {'the' if pair.same else 'not the'} same"
            for pair in self.mistakes
        )
        raise UserError(
            f"{model} can't tell whether two answers say the same: {described(self.figures)}. It was wrong about"
            f"{wrong}\n{advice}"
        )


def kept(path: str) -> dict[str, Any] | None:
    """The figures of the calibration that is kept in a file. Raises UserError for one that holds anything else."""
    found = shards.read_object(path)
    if found is not None and not all(isinstance(found.get(name), int) for name in COUNTS):
        raise UserError(
            f"{path} is damaged: delete it. `longrlvr-data judge --resume never` writes it again and asks for nothing"
        )
    return found


def described(figures: Mapping[str, Any]) -> str:
    """The counts of a calibration, as `Calibration.figures` has them, in words."""
    alike = f"{figures['same_right']} of {figures['same']} that say the same"
    unlike = f"{figures['different_right']} of {figures['different']} that do not"
    return f"of pairs of answers whose truth is known, the model got right {alike}, and {unlike}"


def plain(text: str) -> str:
    """Text as it may stand in a prompt: what looks like a verdict, [[10]] or [[Yes]], is parted, so that a reply that
    holds one does not quote it.
    """
    return text.replace("[[", "[ [").replace("]]", "] ]")


@cache
def pairs(language: str, file: str = PAIRS) -> tuple[Pair, ...]:
    """The pairs of known truth in a language, or in English where there are none. Of PAIRS_WITH_EVIDENCE, two have the
    same answers and other evidence, and only one says the same: whoever does not go by the evidence fails.
    """
    known = json.loads((resources.folder("prompts") / file).read_text(encoding="utf-8"))
    return tuple(Pair(**pair) for pair in known.get(language, known["en"]))


def language(texts: Iterable[str]) -> str:
    """The language of most of the texts, of the first of them, among those that there are pairs in."""
    found = Counter(map(_language, islice(texts, ENOUGH)))
    return max(sorted(found), key=lambda name: found[name], default="en")


def _language(text: str) -> str:
    for name, script in _SCRIPTS.items():
        if len(script.findall(text)) > len(text) / 4:
            return name
    words = verify.words(text)
    return max(_WORDS, key=lambda name: sum(word in _WORDS[name] for word in words))


async def calibrate(llm: LLM, grader: Grader, language: str) -> Calibration:
    """Have the pairs of a language graded. A verdict that can't be read is a wrong one. Raises EngineError where there
    is none.
    """
    asked = pairs(language, PAIRS_WITH_EVIDENCE if grader.sees_evidence else PAIRS)
    try:
        found = await asyncio.gather(*(_is_right(llm, grader, pair) for pair in asked))
    except NoReply as e:
        raise EngineError(f"{grader.model}, which is to compare answers, can't be asked: {e.reason}: {e.detail}") from e
    right = [pair for pair, is_right in zip(asked, found, strict=True) if is_right]
    return Calibration(
        language,
        _count(asked, True),
        _count(right, True),
        _count(asked, False),
        _count(right, False),
        tuple(pair for pair in asked if pair not in right),
    )


async def _is_right(llm: LLM, grader: Grader, pair: Pair) -> bool:
    try:
        asked = grader.request(pair.question, pair.answer, pair.given, check=CALIBRATION, evidence=pair.evidence)
        return await grader.verdict(llm, asked) is pair.same
    except NoReply as e:
        if isinstance(e.__cause__, ParseError):
            return False
        raise


def _count(pairs: Sequence[Pair], same: bool) -> int:
    return sum(pair.same is same for pair in pairs)
