"""What is wrong with a question on the face of it: no model, no cost.

Wording is checked in English only, the rest in any language.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from datagen.config.model import Config
from datagen.grounding import verify

COPIED = 0.75  # share of a question's runs of words that stand in a chunk just so
RUN = 4  # words in a run
LONG_ENOUGH = 10  # words: shorter questions share runs by chance
# "the passage above" and its kin: whoever sees the whole document has no passage before them
_POINTS_AT_TEXT = re.compile(
    r"""\b(?:
        (?:chunk|passage|excerpt|paragraph|section)s?\s*(?:no\.?|number|\#)?\s*\d+
      | (?:the|this|that|these|those|given|provided|above|following|first|second|third|last|both|other)\s+
        (?:(?:given|provided|above|following|preceding|previous|quoted)\s+)*(?:chunk|passage|excerpt|snippet)s?(?!\s+(?:of|to)\b)
      | (?:text|paragraph|section|context|information|lines?)\s+(?:above|below|provided)
      | (?:above|following|preceding|provided|given)\s+(?:text|paragraph|context|information)
      | (?:as|is|are|was|were)\s+(?:mentioned|described|stated|noted|shown)\s+(?:above|below|earlier)
    )\b | <\s*/?\s*chunk""",
    re.IGNORECASE | re.VERBOSE,
)
_OPENING = re.compile(
    r"""\s*(?:(?:and|but|so|then|also|in\s+what\s+way|how\s+(?:many|much|long|often|old)|for\s+how\s+long|who|whom|whose
        |what|which|where|when|why|how)\b\s*){0,2}
        (?:did|do|does|was|were|is|are|had|has|have|can|could|would|will|should|might|may|must)?\s*
        (?P<word>he|she|they|him|her|his|hers|them|their|theirs)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_INSIDE = re.compile(r"(?<=[^\W\d_])[-‐‑](?=[^\W\d_])")  # the hyphen of a compound: ten is not in ten-fold
_WORDS = re.compile(r"\w")
_CHOICE = re.compile(r"\bor\b|\bwhich\b|\bwho\b|\bearlier\b|\blater\b|\bbetween\b", re.IGNORECASE)


def flaw(
    question: str,
    answer: str,
    evidence: Collection[int],
    cluster: Collection[int],
    texts: Sequence[str],
    config: Config,
) -> tuple[str, str] | None:
    """(reason, detail) of the first thing that is wrong, or None. `evidence` and `cluster` are indices of `texts`."""
    for name, text, limit in (
        ("question", question, config.judge.max_question_chars),
        ("answer", answer, config.judge.max_answer_chars),
    ):
        if not _WORDS.search(text):
            return "empty", f"{name} without a word"
        if len(text) > limit:
            return "too long or too short", f"{name} of {len(text)} characters, judge.max_{name}_chars is {limit}"
    least = config.generate.min_evidence
    if outside := [i for i in evidence if not 0 <= i < len(texts)]:
        return "no such chunk", f"evidence {outside[0]}, the document has {len(texts)} chunks"
    if len(set(evidence)) < least:
        return "too little evidence", f"{len(set(evidence))} chunks, generate.min_evidence is {least}"
    if len(cluster) > max(least, 3) and set(evidence) >= set(cluster):
        return "cites the whole cluster", f"all {len(cluster)} chunks, and not only those that are needed"
    if match := _POINTS_AT_TEXT.search(question) or _POINTS_AT_TEXT.search(answer):
        return "points at the text", f"it says {match[0]!r}, and a reader sees the whole document"
    if match := _OPENING.match(question):
        return "starts from a pronoun", f"the question's {match['word']!r} refers to nothing"
    if _gives_away(question, answer):
        return "answer in the question", f"the question says {answer!r} itself"
    for i in evidence:
        if (share := copied(question, texts[i])) > COPIED:
            return "copied from a chunk", f"{share:.0%} of the question's runs of {RUN} words stand in chunk {i}"
    return None


def copied(question: str, text: str) -> float:
    """Share of the question's runs of words that stand in the text; 0 for a short question."""
    asked = verify.words(question)
    if len(asked) < LONG_ENOUGH:
        return 0.0
    there = _runs(verify.words(text))
    runs = [tuple(asked[i : i + RUN]) for i in range(len(asked) - RUN + 1)]
    return sum(run in there for run in runs) / len(runs)


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}


def _gives_away(question: str, answer: str) -> bool:
    """Whether the answer stands in the question. One that chooses among things it names does no harm by that."""
    wanted, asked = (verify.words(_INSIDE.sub("", text)) for text in (answer, question))
    if not wanted or wanted in (["yes"], ["no"]) or _CHOICE.search(question):
        return False
    return any(asked[i : i + len(wanted)] == wanted for i in range(len(asked) - len(wanted) + 1))
