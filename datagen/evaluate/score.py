"""Two verdicts on a response: `strict`, of its answer alone, and `as_published`, by the benchmark's published rule.

Strict reads the one `<answer>` as the trainer does; a response that does not parse is wrong. The published rules:

- LongReason (as published with LongRLVR, arXiv 2603.02146): the gold letter stands anywhere in what follows the
  reasoning. `<CHUNK_0>` holds a "C", so that a gold C is always right where a chunk is cited.
- LongBench v2 (Bai et al. 2024, arXiv 2412.15204; its `pred.py`): the letter in the first "The correct answer is (X)",
  without asterisks, or else in the first "The correct answer is X"; as published with LongRLVR, of the `<answer>`, and
  of the whole response where there is not exactly one. Its files have a second verdict, `judge`, which in 65 of 1,509
  rows is true though that letter is wrong; no rule over strings is known that gives it.
- RULER (`string_match_part`, Hsieh et al. 2024, arXiv 2404.06654): a gold wording stands anywhere in the response, in
  either case, in part of a word or the reasoning.
- MRCR (huggingface.co/datasets/openai/mrcr): the ratio of difflib's SequenceMatcher over the whole response, which has
  to begin with the random prefix.

Other benchmarks have none. Rows of a dataset are held against their reference by a verifier of the trainer's, which the
caller names: a dataset has none of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import SequenceMatcher

from datagen.evaluate.letters import Named, named
from datagen.evaluate.match import holds, says_both
from datagen.evaluate.prediction import Prediction
from datagen.grounding import verify
from datagen.grounding.rewards import fbeta
from datagen.grounding.tags import Reading, read_response

Verdict = bool | float  # right or wrong, or a similarity from 0 to 1
VERIFIERS = {"exact": verify.exact, "contains": verify.contains}  # of the trainer's, those that say yes or no by rule
EXACT = "exact"  # the trainer's default

# Why the two verdicts differ: all the reasons there are.
UNPARSED = "the response does not parse"
JUDGED = "judge says true, the letter is wrong"
JUDGED_FALSE = "judge says false, the letter is right"
SEVERAL = "the answer names more than one letter"
NO_LETTER = "the answer names no letter"
ELSEWHERE = "the letter stands in the tags or the reasoning, and not in the answer"
IN_WORDS = "the letter stands in the words of the answer, which names another"
OTHER_LETTER = "the answer names another letter"
OTHERWISE = "the answer names the letter in other words than the rule looks for"
REASONING = "the gold stands in the reasoning alone"
PART = "part of a word"
BOTH = "the answer says both yes and no"
NORMALISED = "the gold stands in the answer in another spelling"
AROUND = "the text around the answer was compared, too"
REASONS = (
    *(UNPARSED, JUDGED, JUDGED_FALSE, SEVERAL, NO_LETTER, ELSEWHERE, IN_WORDS, OTHER_LETTER, OTHERWISE),
    *(REASONING, PART, BOTH, NORMALISED, AROUND),
)

_LETTER = re.compile(r"The correct answer is \(([A-D])\)")
_BARE_LETTER = re.compile(r"The correct answer is ([A-D])")
_PREPENDED = re.compile(r"\bPrepend (\S+) to\b")
_PREFIX = 10  # characters of MRCR's random prefix
_THINK_END = "</think>"


@dataclass(frozen=True, slots=True)
class Scored:
    """What there is to say of one response.

    named: of a choice, what its answer names; None where the response does not parse.
    reason: why the two verdicts differ, one of REASONS; empty where they agree, or one is missing.
    """

    strict: Verdict
    as_published: Verdict | None
    reason: str
    reading: Reading
    named: Named | None


def verdict(prediction: Prediction, verifier: str = EXACT) -> Verdict | None:
    """The strict verdict: True or False, or for `similarity` a share from 0 to 1. None where no reply was had, which is
    neither right nor wrong. verifier: a name in VERIFIERS, for a row of a dataset. Raises ValueError for a prediction
    without a gold answer, KeyError for another verifier.
    """
    found = score(prediction, verifier)
    return found.strict if found else None


def evidence(reading: Reading, gold: Collection[int]) -> tuple[float, float, float]:
    """Precision, recall and F-beta (β = 2) of what a response cites against the gold chunks; one that does not parse is
    worth nothing, as to the trainer.
    """
    cited = reading.useful_chunks if reading.parsed else None
    return fbeta(cited, gold, beta=2.0) if cited else (0.0, 0.0, 0.0)


def score(prediction: Prediction, verifier: str = EXACT) -> Scored | None:
    """Both verdicts, and why they differ; None where no reply was had. `prediction.as_published`, where a file has it,
    goes before the rule. verifier, and what is raised: as for `verdict`.
    """
    if not prediction.gold:
        raise ValueError("gold is empty: there is nothing to hold the answer against")
    if prediction.response is None:
        return None
    reading = read_response(prediction.response)
    answer, gold = reading.answer if reading.parsed else None, prediction.gold[0].strip().upper()
    letter = named(answer, prediction.choices, gold) if answer is not None and prediction.kind == "choice" else None
    strict = _strict(prediction, answer, letter, VERIFIERS[verifier])
    published = prediction.as_published if prediction.as_published is not None else by_rule(prediction)
    reason = "" if published is None or published == strict else _reason(prediction, reading, letter, published)
    return Scored(strict, published, reason, reading, letter)


def _strict(
    prediction: Prediction, answer: str | None, letter: Named | None, verifies: Callable[[str, str], bool]
) -> Verdict:
    gold = prediction.gold
    if prediction.kind == "similarity":
        return _similarity(prediction, answer) if answer is not None else 0.0
    if answer is None:
        return False
    if prediction.kind == "choice":
        return letter is not None and letter.letter == gold[0]
    if prediction.kind == "match":
        return any(holds(wording, answer) for wording in gold)
    return verifies(gold[0], answer)


def _similarity(prediction: Prediction, given: str) -> float:
    """MRCR's score of a text, 0 to 1; 0 where it lacks the random prefix, which the question names."""
    gold = prediction.gold[0]
    asked = _PREPENDED.search(prediction.question)
    prefix = asked[1] if asked and gold.startswith(asked[1]) else gold[:_PREFIX]
    if not given.startswith(prefix):
        return 0.0
    given, gold = given.removeprefix(prefix), gold.removeprefix(prefix)
    return 1.0 if given == gold else float(SequenceMatcher(None, given, gold).ratio())


def family(benchmark: str) -> str:
    """Whose published rule a benchmark has: "longreason", "longbenchv2", "ruler", "mrcr", or "" where it has none."""
    name = re.sub(r"[\W_]+", "", benchmark.lower())
    return next((known for known in ("longreason", "longbenchv2", "ruler", "mrcr") if name.startswith(known)), "")


def by_rule(prediction: Prediction) -> Verdict | None:
    """The verdict of the benchmark's published rule; None where it has none, or no reply was had."""
    response, gold, rule = prediction.response, prediction.gold, family(prediction.benchmark)
    if response is None:
        return None
    if rule == "longreason" and prediction.kind == "choice":
        return gold[0] in after_reasoning(response)
    if rule == "longbenchv2" and prediction.kind == "choice":
        return published_letter(response) == gold[0]
    if rule == "ruler" and prediction.kind == "match":
        return any(wording.lower() in response.lower() for wording in gold)
    if rule == "mrcr" and prediction.kind == "similarity":
        return _similarity(prediction, response)
    return None


def after_reasoning(response: str) -> str:
    """What follows the reasoning, which ends with the last `</think>`; all of a response without one."""
    return response.rpartition(_THINK_END)[2]


def published_letter(response: str) -> str | None:
    """The letter that LongBench v2's rule reads in a response."""
    answer = read_response(response).answer
    text = (response if answer is None else answer).replace("*", "")
    found = _LETTER.search(text) or _BARE_LETTER.search(text)
    return found[1] if found else None


def _reason(prediction: Prediction, reading: Reading, letter: Named | None, published: Verdict) -> str:
    if prediction.kind == "similarity":
        return AROUND if reading.parsed else UNPARSED
    by_file_alone = prediction.as_published is not None and by_rule(prediction) != published
    if prediction.kind == "choice" and by_file_alone:
        return JUDGED if published else JUDGED_FALSE
    if not reading.parsed:
        return UNPARSED
    answer = reading.answer or ""
    if prediction.kind == "choice":
        return _about_letter(prediction, answer, letter or Named(None), bool(published))
    if not published:
        return NORMALISED
    if any(says_both(wording, answer) for wording in prediction.gold):
        return BOTH
    inside = any(wording.lower() in answer.lower() for wording in prediction.gold)
    return PART if inside else REASONING


def _about_letter(prediction: Prediction, answer: str, letter: Named, published: bool) -> str:
    if not published:
        return OTHERWISE
    if letter.several:
        return SEVERAL
    if letter.letter is None:
        return NO_LETTER
    if family(prediction.benchmark) == "longbenchv2":
        return OTHER_LETTER
    return IN_WORDS if prediction.gold[0] in answer else ELSEWHERE
