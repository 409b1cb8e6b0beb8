"""What holds of every reader of what others wrote, whatever they wrote. Each function raises AssertionError where not.

Used by `test_fuzz.py`, which builds inputs by their grammar, and by `fuzz_parsers.py`, which looks for the inputs that
reach code not reached before.
"""
# ruff: noqa: PT017

from __future__ import annotations

import json
import math
import re
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from datagen import prompts, shards
from datagen.config import model
from datagen.embed import vectors
from datagen.errors import ConfigError, DamagedFile
from datagen.grounding import fences, rewards, tags, verify
from datagen.llm import http_errors, journal, objects, parsing
from datagen.llm.base import Completion, Request
from datagen.llm.objects import ParseError
from datagen.records import Cluster
from datagen.tasks import question

_SECTIONS = {name: re.compile(rf"<{name}>(.*?)</{name}>", re.DOTALL) for name in ("useful_chunks", "answer")}
REQUEST = Request("m", [{"role": "user", "content": "Is it?"}], {"max_tokens": 10})
PASSAGES, LEAST, MOST = 4, 2, 3
PROMPTS = ["generate", "task", "cloze", "judge-grade", "judge-quality", "judge-completeness"]
_TURN = re.compile(r"<\|(?:im_end|eot_id)\|>|<\|user\|>|\[/?inst\]|<</sys>>|</s>|<start_of_turn>")


def response(text: str) -> None:
    """The response reader does as the published contract, section by section; only what parses is rewarded."""
    reading = tags.read_response(text)
    found = {name: list(section.finditer(text)) for name, section in _SECTIONS.items()}
    cited, answers = found["useful_chunks"], found["answer"]
    ids = [int(n) for n in re.findall(r"<CHUNK_(\d+)>", cited[0][1])] if len(cited) == 1 else None
    answer = answers[0][1].strip() if len(answers) == 1 else None
    assert reading.useful_chunks == ids
    assert reading.answer == (None if answer is None else fences.restore(answer))
    assert (reading.useful_chunks_found, reading.answers_found) == (len(cited), len(answers))
    parsed = ids is not None and answer is not None
    assert reading.parsed is parsed
    assert reading.in_order is (parsed and cited[0].end() <= answers[0].start())
    every = [*cited, *answers]
    assert reading.reasoning == text[: min((s.start() for s in every), default=len(text))].strip()
    assert reading.trailing == text[max((s.end() for s in every), default=len(text)) :].strip()
    reward = rewards.context_reward(text, [0], True)
    assert reward
    assert (reward.total >= 1) is parsed
    assert 0 <= reward.total <= 2


def context(chunks: list[str]) -> None:
    """Chunks come back from a prompt as they are, also amid the rest of it; a reader sees their own tags only."""
    written = tags.render_context(chunks)
    assert tags.read_context(written) == chunks
    if chunks:
        assert tags.read_context(f"Cite <CHUNK_1>.\n{written}\nWho?") == chunks
    for i, text in enumerate(chunks):
        before, after = tags.around_chunk(i)
        assert f"{before}{fences.neutralise(text)}{after}" in written
    numbers = re.findall(r"<\s*(/?)\s*chunk[\s_-]*(\d+)", seen(written))
    assert numbers == [(slash, str(i)) for i in range(len(chunks)) for slash in ("", "/")]


def fenced(text: str) -> None:
    """No text closes a fence of a prompt, a turn of a chat, or what it is put between."""
    safe = fences.neutralise(text)
    assert fences.restore(safe) == text
    assert fences.restore(fences.restore(fences.neutralise(safe))) == text
    for name in PROMPTS:
        prompt = prompts.load(name)
        own = re.compile(
            "|".join(rf"<\s*/\s*{tag}\b" for tag in re.findall(r"</(\w+)>", prompt.text.casefold())) or "(?!)"
        )
        harmless, hostile = (prompts.render(prompt, **dict.fromkeys(prompt.variables, v)) for v in ("x", text))
        for known in (own, _TURN):
            assert known.findall(seen(hostile)) == known.findall(seen(harmless)), name


def seen(text: str) -> str:
    """A text as a model might take it: without accents and what has no width, in plain small letters."""
    unseen = ("Mn", "Me", "Cf", "Cc")
    plain = (c for c in unicodedata.normalize("NFKD", text) if c.isspace() or unicodedata.category(c) not in unseen)
    return "".join(plain).casefold()


def reply(text: str) -> None:
    """A reply is read as what its schema declares, or refused with a reason."""
    for read, is_sound in READERS:
        try:
            found = read(text)
        except ParseError as e:
            assert e.reason
            assert str(e)
        else:
            assert is_sound(found), (read, found)


def _is_question(found: Any) -> bool:
    if found is None:
        return True
    asked, answer, evidence = found
    texts = all(isinstance(t, str) and t == " ".join(t.split()) != "" for t in (asked, answer))
    return (
        texts
        and evidence == sorted(set(evidence))
        and LEAST <= len(evidence) <= MOST
        and set(evidence) <= set(range(4))
    )


def _is_rating(found: Any) -> bool:
    rating, reason = found
    return type(rating) is float and 0 <= rating <= 10 and isinstance(reason, str) and "\n" not in reason


READERS: list[Any] = [
    (lambda text: question.read(text, PASSAGES, LEAST, MOST), _is_question),
    (parsing.read_rating, _is_rating),
    (parsing.read_answer, lambda found: found is None or (isinstance(found, str) and found.strip() != "")),
    (objects.read_verdict, lambda found: isinstance(found, bool)),
]


def settings(text: str) -> list[str]:
    """Settings are those of a sound configuration, or refused, each with its place. Returns what is said."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = model.parse(text, "x.yaml")
    except ConfigError as e:
        lines = str(e).splitlines()
        assert lines
        assert all(re.match(r"x\.yaml(:\d+)?: .", line) for line in lines), lines
        assert max(map(len, lines)) < 1000
        return lines
    again = model.Config.model_validate(json.loads(json.dumps(config.model_dump(mode="json"))))
    assert again == config  # what is kept in a run is read again as the same
    return []


def journalled(path: Path, data: bytes, written: list[Completion]) -> None:
    """A journal that something happened to gives what was written, as far as it goes, or is said to be damaged; mended,
    it gives nothing else.
    """
    path.write_bytes(data)
    try:
        found = list(journal.read(path))
        assert found == written[: len(found)] or b'"crc32": "' not in data.rpartition(b"\n")[0]
    except DamagedFile:
        journal.mend(path)
        assert path.with_name(f"{path.name}.damaged").read_bytes() == data
        assert all(completion in written for completion in journal.read(path))
    journal.Journal(path).append([Completion("new", text="so")])
    assert list(journal.read(path))[-1] == Completion("new", text="so")


def readable(path: Path, data: bytes) -> None:
    """Any bytes are a journal, or damaged; mended, they are one that holds what could be read."""
    path.write_bytes(data)
    try:
        found = list(journal.read(path))
    except DamagedFile:
        journal.mend(path)
        found = list(journal.read(path))
    journal.Journal(path).append([Completion("new", text="so")])
    assert list(journal.read(path)) == [*found, Completion("new", text="so")]


def shard(path: Path, data: bytes, rows: list[Any], footer: shards.Footer) -> None:
    """A shard that something happened to is as it was, or is said to be damaged."""
    path.write_bytes(data)
    for read, whole in ((lambda p: shards.read_rows(p, Cluster), rows), (shards.read_footer, footer)):
        try:
            assert read(str(path)) == whole
        except DamagedFile:
            continue


def answers(a: str, b: str) -> None:
    """Comparing answers is symmetric and reflexive; what is the same is the same by every measure."""
    for compared in (verify.exact, verify.contains, verify.verdict):
        assert compared(a, b) is compared(b, a)
        assert bool(compared(a, a)) is bool(a.strip())
    assert verify.contains(a, b) or not verify.exact(a, b)
    f1 = verify.token_f1(a, b)
    assert 0 <= f1 <= 1
    assert math.isclose(f1, verify.token_f1(b, a))


def body(value: Any) -> None:
    """What a server sends is a reply of the model, vectors, an error that is understood, or of no use."""
    try:
        found = http_errors.completion(REQUEST, value, endpoint="there")
    except http_errors.Unusable as e:
        assert e.reason
        assert len(str(e)) < 1000
    else:
        assert found.finish in ("stop", "length", "tool_calls", "function_call")
        assert (found.text or found.refusal).strip()
        assert 0 <= found.cached_tokens <= found.prompt_tokens
        assert found.prompt_tokens > 0 < found.completion_tokens
    for status in (302, 400, 401, 404, 422, 429, 500):
        failure = http_errors.failure(status, value)
        assert failure.reason
        assert len(failure.detail) < 1000
        assert not [c for c in failure.detail if unicodedata.category(c) == "Cc" and c not in "\t\n"]
    try:
        rows = vectors.read(value, 2)
    except (http_errors.Unusable, vectors.BadVectors) as e:
        assert str(e)
    else:
        assert rows.dtype == np.float32
        assert rows.shape[0] == 2
        assert rows.shape[1] > 0
