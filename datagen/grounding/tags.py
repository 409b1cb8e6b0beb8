"""The tag contract: how chunks are shown to a model, and how its response is read. Nothing else knows the tags.

A prompt shows chunk i as `<CHUNK_i>text</CHUNK_i>`. A response is reasoning, exactly one
`<useful_chunks> <CHUNK_3> <CHUNK_17> </useful_chunks>` and exactly one `<answer> … </answer>`.

Section by section, the response reader accepts and refuses what the parser published with LongRLVR (ICLR 2026, arXiv
2603.02146) does. It departs from it in two ways: it takes linear time on a response that repeats an opening tag, and it
undoes `neutralise` in the answer, since a model quotes the document as it was shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .fences import Fenced, neutralise, restore

_SEPARATOR = "\n"
_CITED = re.compile(r"<CHUNK_(\d+)>")
_CHUNK_TAG = re.compile(r"<(/?)CHUNK_(\d+)>")
_MAX_DIGITS = 4300  # Python turns no longer numeral into an int; the published parser raises here


@dataclass(frozen=True, slots=True)
class Reading:
    """What a response says. A section that does not stand there exactly once is refused: None."""

    useful_chunks: list[int] | None  # as cited: in order, with repeats
    answer: str | None  # stripped, and as the document had it before `neutralise`
    useful_chunks_found: int  # how many complete sections of each kind there are
    answers_found: int
    in_order: bool  # both sections were read, and the chunks come before the answer
    reasoning: str  # what stands before the first section
    trailing: str  # what stands after the last one

    @property
    def parsed(self) -> bool:
        """Whether both sections were read; a response that does not parse scores 0."""
        return self.useful_chunks is not None and self.answer is not None


def around_chunk(index: int) -> tuple[str, str]:
    """What `render_context` writes before and after the neutralised text of chunk `index`."""
    return ("" if index == 0 else _SEPARATOR) + f"<CHUNK_{index}>", f"</CHUNK_{index}>"


def render_context(chunks: Sequence[str]) -> Fenced:
    """The chunks in their tags, numbered from 0, neutralised."""
    return Fenced(_SEPARATOR.join(f"<CHUNK_{i}>{neutralise(text)}</CHUNK_{i}>" for i, text in enumerate(chunks)))


@dataclass(frozen=True, slots=True)
class Context:
    """Where the chunks stand in a text, from the first opening tag to the end of the last closing one."""

    start: int
    end: int
    chunks: list[str]  # as they stand there, neutralised


def read_context(text: str) -> list[str]:
    """The chunks that `render_context` wrote, from its output or from a whole prompt with one such output in it.

    Raises ValueError as `find_context` does; of an empty text, there is none.
    """
    return [restore(chunk) for chunk in find_context(text).chunks] if text else []


def find_context(text: str) -> Context:
    """Where the chunks that `render_context` wrote stand in a text: the text is what stands before them, the chunks in
    their tags one separator apart, and what stands after them, to the character.

    A lone opening tag outside the document is an example in the instructions and is passed over. Raises ValueError if
    there is no chunk, or if the blocks are not numbered 0, 1, 2 … one separator apart: the text was cut or edited.
    """
    chunks: list[str] = []
    tags = list(_CHUNK_TAG.finditer(text))
    start = end = 0
    for before, tag in zip([None, *tags], tags, strict=False):
        if not tag[1]:
            continue
        if before is None or before[1] or before[2] != tag[2]:
            raise ValueError(f"{tag[0]} at character {tag.start()} closes no chunk that is open there")
        if tag[2] != str(len(chunks)):
            raise ValueError(f"{before[0]} at character {before.start()} stands where chunk {len(chunks)} belongs")
        if chunks and text[end : before.start()] != _SEPARATOR:
            raise ValueError(f"there is text between chunk {len(chunks) - 1} and {before[0]}, at character {end}")
        start = start if chunks else before.start()
        chunks.append(text[before.end() : tag.start()])
        end = tag.end()
    if not chunks:
        raise ValueError("there is no chunk in this text")
    if chunks and text.startswith(f"{_SEPARATOR}<CHUNK_{len(chunks)}", end):
        raise ValueError(f"chunk {len(chunks)} is not closed: the text was cut")
    return Context(start, end, chunks)


def render_response(useful_chunks: Iterable[int], answer: str, reasoning: str = "") -> str:
    """A response in the form that `read_response` reads back. Raises ValueError for a negative id."""
    ids = list(useful_chunks)
    if any(i < 0 for i in ids):
        raise ValueError(f"a chunk index is not negative: {ids}")
    cited = " ".join(f"<CHUNK_{i}>" for i in ids)
    sections = f"<useful_chunks>\n{cited}\n</useful_chunks>\n\n<answer>\n{neutralise(answer.strip())}\n</answer>"
    return f"{neutralise(reasoning)}\n\n{sections}" if reasoning else sections


def read_response(text: str) -> Reading:
    """Read a response; it never raises, whatever the text."""
    cited, answers = _sections(text, "useful_chunks"), _sections(text, "answer")
    ids, answer = None, None
    if len(cited) == 1:
        numerals = _CITED.findall(cited[0].body)
        if all(len(n) <= _MAX_DIGITS for n in numerals):
            ids = [int(n) for n in numerals]
    if len(answers) == 1:
        answer = restore(answers[0].body.strip())
    found = cited + answers
    return Reading(
        useful_chunks=ids,
        answer=answer,
        useful_chunks_found=len(cited),
        answers_found=len(answers),
        in_order=ids is not None and answer is not None and cited[0].end <= answers[0].start,
        reasoning=text[: min((s.start for s in found), default=len(text))].strip(),
        trailing=text[max((s.end for s in found), default=len(text)) :].strip(),
    )


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    body: str
    end: int


def _sections(text: str, name: str) -> list[_Section]:
    """What `<name>(.*?)</name>` finds, without scanning to the end again for every opening tag that is never closed."""
    opening, closing = f"<{name}>", f"</{name}>"
    sections: list[_Section] = []
    at = 0
    while (start := text.find(opening, at)) >= 0:
        close = text.find(closing, start + len(opening))
        if close < 0:
            break
        at = close + len(closing)
        sections.append(_Section(start, text[start + len(opening) : close], at))
    return sections
