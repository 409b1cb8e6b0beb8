"""RULER's questions over documents, qa_1 and qa_2 (Hsieh et al. 2024, arXiv 2404.06654): as RULER's own scripts write
them, without their evidence, and as `evaluate ruler` builds them, with it.

A row of RULER's is one prompt: instruction, documents headed "Document i:", the instruction again, "Question: …".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from datagen.config.data import InputConfig
from datagen.evaluate.item import Item
from datagen.evaluate.lengths import length_label
from datagen.evaluate.rows import Row, rows
from datagen.text.files import File

OURS = ("item_id", "task", "question", "outputs", "document", "evidence", "length")
RULERS = ("index", "input", "outputs")
FORMAT = (
    f"A row of RULER's qa_1 or qa_2 has the columns {', '.join(RULERS)}; what `longrlvr-data evaluate ruler` writes "
    f"has {', '.join(OURS)}"
)
_FIRST, _QUESTION = "Document 1:\n", "\n\nQuestion: "
_TASK, _LENGTH = re.compile(r"qa_[12]"), re.compile(r"/(\d{4,})/")


def items(files: Sequence[File], settings: InputConfig) -> Iterator[Item]:
    """The questions. Raises InputError, naming file, row and column."""
    for row in rows(files, settings, (*OURS, *RULERS), FORMAT):
        yield _built(row) if "document" in row.values else _published(row)


def _built(row: Row) -> Item:
    document = row.text("document")
    spans = [_span(row, span, len(document)) for span in row.typed("evidence", list)]
    if not spans:
        raise row.wrong("evidence is empty")
    return Item(
        benchmark="ruler-qa",
        item_id=row.text("item_id"),
        kind="match",
        question=row.text("question"),
        gold=_outputs(row),
        document=document,
        evidence=spans,
        length=length_label(str(row.typed("length", int))),
        domain=row.text("task"),
    )


def _published(row: Row) -> Item:
    prompt = row.text("input")
    start, end = prompt.find(_FIRST), prompt.rfind(_QUESTION)
    instruction = prompt.rfind("\n\n", 0, max(end, 0))  # the one after the documents begins there
    question, *after = prompt[end + len(_QUESTION) :].split("\n", 1)
    question = question.removesuffix("Answer:").strip()
    if start < 0 or not start < instruction < end or not question:
        raise row.wrong(
            'input does not hold "Document 1:", the documents, an instruction and "Question: …", each in its lines'
        )
    if "".join(after).strip() or re.search(r"<\||\[/INST\]|<[^>\s]*(?:turn|end)[^>\s]*>", question):
        raise row.wrong("input goes on after its question: prepare the data with --model_template_type base")
    place = row.file.path.replace("\\", "/")  # …/131072/data/qa_1/validation.jsonl
    task = found[-1] if (found := _TASK.findall(place)) else ""
    length = length_label(found[-1]) if (found := _LENGTH.findall(place)) else ""
    return Item(
        benchmark="ruler-qa",
        item_id=f"{task or row.file.name.rsplit('.', 1)[0]}/{row.typed('index', int)}",
        kind="match",
        question=question,
        gold=_outputs(row),
        document=prompt[start:instruction].strip(),
        length=length,
        domain=task,
    )


def _outputs(row: Row) -> list[str]:
    found = row.typed("outputs", list)
    if not found or not all(isinstance(text, str) and text.strip() for text in found):
        raise row.wrong("outputs is no list of texts, at least one, of which any is right")
    return list(dict.fromkeys(found))


def _span(row: Row, span: object, length: int) -> tuple[int, int]:
    match span:
        case [int(start), int(end)] if 0 <= start < end <= length:
            return start, end
    raise row.wrong(f"evidence is no list of [start, end] within the document: {span!r:.60}")
