"""What is wrong with the form of responses, and what is odd about them: counted, never scored.

A failure keeps a response from being read, so that it is wrong. An oddity does not: the trainer's reader takes the
response, and a person may want to know.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from datagen.evaluate.prediction import Prediction
from datagen.evaluate.score import Scored, by_rule
from datagen.grounding.tags import Reading

FAILURES = (
    "cut short by the length limit",
    "no <answer> section",
    "several <answer> sections",
    "no <useful_chunks> section",
    "several <useful_chunks> sections",
    "a chunk number of thousands of digits",
)
ODDITIES = (
    "cites nothing",
    "cites a chunk twice",
    "cites a chunk that is not there",
    "a chunk tag that cites none, such as a range",
    "tags within a section",
    "the answer before the chunks",
    "an empty answer",
    "a left-over end-of-turn token",
    "text after the sections",
    "the answer names several letters",
    "the answer names no letter",
    "the file's verdict is not the published rule's",
)
_NO_CITATION = re.compile(r"<CHUNK_[^>\n]{0,40}>")
_TAG = re.compile(r"</?(?:answer|useful_chunks|think)>")
_CHUNK = re.compile(r"<CHUNK_\d+>")
END_OF_TURN = re.compile(
    r"<\|(?:im_end|im_start|endoftext|eot_id|eom_id|end_of_text|end|return|start_header_id|end▁of▁turn)\|>"
    r"|</s>|<end_of_turn>|<eos>|\[/INST\]|<｜end▁of▁sentence｜>|<\|END_OF_TURN_TOKEN\|>"
)


def failures(reading: Reading, finish: str = "") -> list[str]:
    """What keeps a response from being read, as FAILURES has it; only the first by itself does not."""
    cut, none, several, no_chunks, more_chunks, digits = FAILURES
    found = [cut] if finish == "length" else []
    if reading.answer is None:
        found.append(several if reading.answers_found else none)
    if reading.useful_chunks is None:
        by_count = {0: no_chunks, 1: digits}
        found.append(by_count.get(reading.useful_chunks_found, more_chunks))
    return found


def oddities(response: str, reading: Reading, n_chunks: int | None = None) -> list[str]:
    """What is odd about a response's form, as ODDITIES has it: of the sections that can be read, and of its end."""
    nothing, twice, absent, uncited, nested, reversed_, empty, end, after, *_ = ODDITIES
    found: list[str] = []
    if (cited := reading.useful_chunks) is not None:
        section = _between(response, "<useful_chunks>", "</useful_chunks>")
        found += _if(
            {
                nothing: not cited,
                twice: len(set(cited)) < len(cited),
                absent: n_chunks is not None and any(i >= n_chunks for i in cited),
                uncited: any(not _CHUNK.fullmatch(tag) for tag in _NO_CITATION.findall(section)),
            }
        )
        found += [nested] if _TAG.search(section) else []
    if reading.answer is not None:
        within = bool(_TAG.search(reading.answer) or _CHUNK.search(reading.answer))
        found += [nested] if within and nested not in found else []
        found += [empty] if reading.answer == "" else []
    found += [reversed_] if reading.parsed and not reading.in_order else []
    trailing = END_OF_TURN.sub("", reading.trailing).strip()
    return found + _if({end: bool(END_OF_TURN.search(response)), after: trailing != ""})


def of_row(prediction: Prediction, scored: Scored) -> tuple[list[str], list[str]]:
    """The failures and the oddities of a prediction that has a response."""
    response = prediction.response or ""
    *_, several, no_letter, contradicted = ODDITIES
    found = oddities(response, scored.reading, prediction.n_chunks)
    if scored.named is not None and scored.named.letter is None:
        found.append(several if scored.named.several else no_letter)
    if prediction.as_published is not None and by_rule(prediction) not in (None, prediction.as_published):
        found.append(contradicted)
    return failures(scored.reading, prediction.finish), found


def counted(found: Collection[Collection[str]], known: Collection[str]) -> dict[str, int]:
    """In how many rows each of the known things is, those in none left out."""
    return {name: n for name in known if (n := sum(name in row for row in found))}


def _if(found: dict[str, bool]) -> list[str]:
    return [name for name, there in found.items() if there]


def _between(text: str, opening: str, closing: str) -> str:
    _, _, after = text.partition(opening)
    return after.partition(closing)[0]
