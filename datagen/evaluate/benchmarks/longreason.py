"""LongReason: multiple-choice questions whose background is spread over a long context (Ling et al. 2025, arXiv
2501.15089). It comes as one file a length, `8k-…` to `128k-…`, besides `original-…` and `expanded-…`.

`background` is the long context and `final_inquiry` the question with its options; `prompt` has both within the
benchmark's own instructions, which are not used. A row whose prompt holds much more than the two is refused: its
document would not be what the benchmark asks about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from datagen.config.data import InputConfig
from datagen.evaluate.item import Item
from datagen.evaluate.lengths import length_label
from datagen.evaluate.rows import rows
from datagen.text.files import File

LETTERS = "ABCDEFGHIJ"
COLUMNS = ("example_idx", "background", "final_inquiry", "prompt", "answer")
FORMAT = f"A row of LongReason has the columns {', '.join(COLUMNS)}"
INSTRUCTIONS = 4_000  # characters that the prompt may have besides background and inquiry
_LENGTH = re.compile(r"(?:^|/)(original|expanded|\d+k)(?:-|\.|$)")
_OPTION = re.compile(r"^[ \t]*\(?([A-J])[.):：、][ \t]*(\S.*)$", re.MULTILINE)
_ANSWER = re.compile(r"\(?([A-J])(?:[.):].*)?", re.DOTALL)


def items(files: Sequence[File], settings: InputConfig) -> Iterator[Item]:
    """The questions. Raises InputError, naming file, row and column."""
    for row in rows(files, settings, COLUMNS, FORMAT):
        background, inquiry = row.text("background"), row.text("final_inquiry")
        beyond = len(row.text("prompt")) - len(background) - len(inquiry)
        if beyond > INSTRUCTIONS:
            raise row.wrong(f"prompt has {beyond:,} characters that are in neither background nor final_inquiry")
        if not (answer := _ANSWER.fullmatch(row.text("answer").strip())):
            raise row.wrong(f"answer does not begin with a letter, but is {row.text('answer')!r:.60}")
        question, choices = parted(inquiry)
        if choices and LETTERS.index(answer[1]) >= len(choices):
            raise row.wrong(f"answer is {answer[1]}, and final_inquiry has {len(choices)} options")
        of = settings.hf_split if row.file.kind == "hf" else row.file.name
        length = length_label(found[1]) if (found := _LENGTH.search(of)) else ""
        yield Item(
            benchmark="longreason",
            item_id=row.text("example_idx"),
            kind="choice",
            question=question,
            choices=choices,
            gold=[answer[1]],
            document=background,
            length=length,
        )


def parted(inquiry: str) -> tuple[str, list[str]]:
    """A question without its options, and these, which stand at its end, a line or more each; the question as it is
    and none where they are not lettered A, B, C … that way.
    """
    found = list(_OPTION.finditer(inquiry))
    first = max((i for i, option in enumerate(found) if option[1] == "A"), default=len(found))
    options = found[first:]
    if len(options) < 2 or [option[1] for option in options] != list(LETTERS[: len(options)]):
        return inquiry.strip(), []
    ends = [*(option.start() for option in options[1:]), len(inquiry)]
    texts = [inquiry[option.start(2) : end].strip() for option, end in zip(options, ends, strict=True)]
    question = inquiry[: options[0].start()].strip()
    return (question, texts) if question else (inquiry.strip(), [])
