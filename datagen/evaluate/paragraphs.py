"""Questions and paragraphs of SQuAD (Rajpurkar et al. 2016, 2018) and HotpotQA (Yang et al. 2018), from their files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from datagen.errors import InputError, reason
from datagen.text import sources

SQUAD = "SQuAD's dev file is an object whose `data` is a list of articles, with paragraphs, context, qas, answers"
HOTPOTQA = (
    "HotpotQA's dev_distractor file is a list of questions, each with _id, question, answer, context and "
    "supporting_facts"
)


@dataclass(frozen=True)
class Question:
    """gold, own: numbers of paragraphs, those with the evidence, and those it came with. evidence: of each gold one,
    (start, end) in characters of the paragraph.
    """

    id: str
    text: str
    answers: list[str]
    gold: list[int]
    own: list[int]
    evidence: dict[int, list[tuple[int, int]]]


@dataclass
class Source:
    """A file's questions that can be answered, and its paragraphs, once each. `skipped`: questions that can't be."""

    path: str
    task: str
    questions: list[Question] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    skipped: int = 0
    numbers: dict[str, int] = field(default_factory=dict)  # of the paragraphs, by their text

    def number(self, text: str) -> int:
        """The number of a paragraph, which is a new one if no other has its text."""
        if text not in self.numbers:
            self.numbers[text] = len(self.paragraphs)
            self.paragraphs.append(text)
        return self.numbers[text]


def read(path: str) -> Source:
    """What a file of SQuAD (v1.1 or v2.0) or HotpotQA holds. Raises InputError, naming the place, for any other."""
    files, _ = sources.find(path)
    if len(files) != 1 or files[0].kind not in ("jsonl", "json"):
        raise InputError(f"{path}: give the one JSON file. {SQUAD}; {HOTPOTQA}")
    try:
        with sources.opened(files[0]) as stream:
            found = json.loads(stream.read().decode("utf-8-sig"))
    except (ValueError, RecursionError, *sources.DAMAGE) as e:
        raise InputError(f"{path} cannot be read as JSON: {reason(e)}") from e
    if isinstance(found, dict):
        source = Source(path, "qa_1")
        _read_squad(found, source)
    else:
        source = Source(path, "qa_2")
        _read_hotpotqa(found, source)
    if not source.questions:
        raise InputError(f"{path}: it holds no question that can be answered")
    return source


def _read_squad(found: dict[str, Any], source: Source) -> None:
    for a, article in enumerate(_list(found.get("data"), source.path, "data", SQUAD)):
        where = f"{source.path}, article {a + 1}"
        paragraphs = _list(_of(article, "paragraphs", where, SQUAD), where, "paragraphs", SQUAD)
        own = [source.number(_text(paragraph, "context", where, SQUAD)) for paragraph in paragraphs]
        for number, paragraph in zip(own, paragraphs, strict=True):
            for qa in _list(_of(paragraph, "qas", where, SQUAD), where, "qas", SQUAD):
                answers = _list(_of(qa, "answers", where, SQUAD), where, "answers", SQUAD)
                if qa.get("is_impossible") or not answers:
                    source.skipped += 1
                    continue
                of = f"{where}, question {_text(qa, 'id', where, SQUAD)!r:.60}"
                texts = list(dict.fromkeys(_text(answer, "text", of, SQUAD).strip() for answer in answers))
                context = source.paragraphs[number]
                if absent := [text for text in texts if text not in context]:
                    raise InputError(f"{of}: its paragraph does not hold its answer {absent[0]!r:.60}. {SQUAD}")
                whole = {number: [(0, len(context))]}
                question = _text(qa, "question", of, SQUAD).strip()
                source.questions.append(Question(str(qa["id"]), question, texts, [number], own, whole))


def _read_hotpotqa(found: Any, source: Source) -> None:
    for at, entry in enumerate(_list(found, source.path, "the file", HOTPOTQA), 1):
        where = f"{source.path}, question {at}"
        numbers: dict[str, int] = {}
        sentences: dict[str, list[tuple[int, int]]] = {}
        for title, parts in _pairs(entry, "context", list, where):
            text, spans = _paragraph(title, parts)
            numbers[title], sentences[title] = source.number(text), spans
        evidence: dict[int, list[tuple[int, int]]] = {}
        whole = True
        for title, fact in _pairs(entry, "supporting_facts", int, where):
            if whole := whole and title in sentences and 0 <= fact < len(sentences[title]):
                evidence.setdefault(numbers[title], []).append(sentences[title][fact])
        if not whole or not evidence:  # some facts name a sentence that there is not
            source.skipped += 1
            continue
        question, answer = (_text(entry, name, where, HOTPOTQA).strip() for name in ("question", "answer"))
        own = list(numbers.values())
        source.questions.append(
            Question(_text(entry, "_id", where, HOTPOTQA), question, [answer], list(evidence), own, evidence)
        )


def _paragraph(title: str, sentences: list[str]) -> tuple[str, list[tuple[int, int]]]:
    """A paragraph under its title, and where its sentences stand in it, without the white space around them."""
    parts, spans, at = [f"{title}\n"], [], len(title) + 1
    for sentence in sentences:
        lead = len(sentence) - len(sentence.lstrip())
        spans.append((at + lead, at + lead + len(sentence.strip())))
        parts.append(sentence)
        at += len(sentence)
    return "".join(parts), spans


def _pairs(entry: Any, name: str, kind: type, where: str) -> Iterator[tuple[str, Any]]:
    for pair in _list(_of(entry, name, where, HOTPOTQA), where, name, HOTPOTQA):
        match pair:
            case [str(title), second] if isinstance(second, kind):
                yield title, second
            case _:
                raise InputError(f"{where}: {name} holds what is no pair with a title: {pair!r:.60}. {HOTPOTQA}")


def _of(value: Any, name: str, where: str, format: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise InputError(f"{where}: there is no {name}. {format}")
    return value[name]


def _list(value: Any, where: str, name: str, format: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where}: {name} is no list, but {value!r:.60}. {format}")
    return value


def _text(value: Any, name: str, where: str, format: str) -> str:
    found = _of(value, name, where, format)
    if not isinstance(found, str) or not found.strip():
        raise InputError(f"{where}: {name} is no text, but {found!r:.60}. {format}")
    return found
