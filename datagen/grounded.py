"""A document and a question as a prompt by the tag contract, and a response as an answer with its quotations.

What `ask`, `serve` and `evaluate` have in common: a model is shown a document as it was in training (the same
splitter, the same tags, the same prompt), and what it cites is looked up in the document, never in what it says.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datagen import prompts, resources
from datagen.config import layers
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.grounding import tags, verify
from datagen.prompts import Prompt
from datagen.text import splitter, tokenizers
from datagen.text.splitter import Span
from datagen.text.tokenizers import Tokenizer

Format = Literal["ours", "published"]
PUBLISHED_TOKENIZER = "hf:Qwen/Qwen2.5-7B-Instruct"  # what the published data was cut with
_VERDICTS = {"yes", "no", "true", "false", "none"}  # they stand nowhere, and are borne out all the same
TELLING = 4  # letters from which on a word of an answer is looked for in what is cited; a number always is
_END = "</think>"
_THINK = re.compile("</?think>")


@dataclass(frozen=True)
class Form:
    """How a model was trained to be asked: chunks of at most `max_tokens` tokens, cut as the published splitter does or
    as ours does, shown in such a prompt.
    """

    tokenizer: Tokenizer
    max_tokens: int
    published: bool
    prompt: Prompt

    def split(self, text: str) -> list[Span]:
        """The chunks of a document. Raises as `splitter.split` does."""
        return splitter.split(text, self.tokenizer, self.max_tokens, self.published)

    def messages(self, text: str, spans: Sequence[Span], question: str) -> list[dict[str, str]]:
        """The prompt about a document that `split` cut into these chunks: one message of the user."""
        context = tags.render_context([text[span.start : span.end] for span in spans])
        return [{"role": "user", "content": prompts.render(self.prompt, context=context, question=question)}]


@dataclass(frozen=True)
class Citation:
    """A chunk that a response cites: its number, its place in the document, in characters, and what stands there."""

    chunk: int
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Answer:
    """What a response says.

    answer: as the document has it; None where the response has no answer that can be read.
    citations: the chunks of the document that it cites, once each, as they are cited first.
    problems: what is wrong with it, a sentence each; none where the response is whole and the chunks that it cites bear
    out its answer, as far as words can tell.
    parsed: whether both sections can be read in the whole response; a trainer gives any other nothing.
    """

    answer: str | None
    citations: tuple[Citation, ...]
    reasoning: str
    problems: tuple[str, ...]
    parsed: bool
    response: str


def settings(file: str | Path | None, sets: Sequence[str] = (), under: Mapping[str, Any] | None = None) -> Config:
    """The settings of a file, or of a bundled configuration, with `under`, by dotted name, and `key=value` texts over
    them. Raises ConfigError.
    """
    found = [configs.layer(resources.path("configs", str(file)))] if file else []
    return layers.combined(Config, found, {**(under or {}), **layers.given({}, sets, Config)})


def form(config: Config, format: Format = "ours") -> Form:
    """The form of the models that were trained on data of this configuration, or of the published models: with these,
    settings that were left as they are by default become the published ones.

    Raises ConfigError for a tokenizer or a prompt that cannot be loaded.
    """
    tokenizer, prompt, published = config.chunk.tokenizer, config.dataset.prompt, config.chunk.published
    if format == "published":
        published = True
        tokenizer = PUBLISHED_TOKENIZER if tokenizer == "embedded" else tokenizer
        prompt = "published" if prompt == "task" else prompt
    return Form(tokenizers.load(tokenizer), config.chunk.max_tokens, published, prompts.load_task(prompt))


def whole(said: str, thinking: str = "") -> str:
    """A response as the model wrote it, wherever a server put its thinking: what a trainer reads."""
    return f"<think>\n{thinking}\n</think>\n\n{said}" if thinking else said


def read(said: str, text: str, spans: Sequence[Span], thinking: str = "") -> Answer:
    """What a response about a document says, and what is wrong with it; it never raises, whatever the response.

    thinking: what the server set apart of it. Where the sections stand in the thinking, too, those after it are taken,
    for a person; to a trainer such a response says nothing.
    """
    response = whole(said, thinking)
    reading = tags.read_response(response)
    after = tags.read_response(response.rpartition(_END)[2])
    twice = not reading.parsed and after.parsed
    parsed, reasoning = reading.parsed, _thought(reading.reasoning)
    reading = after if twice else reading
    cited = list(dict.fromkeys(reading.useful_chunks or ()))
    there = [i for i in cited if i < len(spans)]
    citations = tuple(Citation(i, spans[i].start, spans[i].end, text[spans[i].start : spans[i].end]) for i in there)
    problems = ["It writes its sections while it thinks, too: a trainer gives it nothing"] if twice else []
    problems += [
        f"The response has {_sections(found, name)}, where there has to be one"
        for found, name, value in (
            (reading.useful_chunks_found, "useful_chunks", reading.useful_chunks),
            (reading.answers_found, "answer", reading.answer),
        )
        if value is None
    ]
    if reading.useful_chunks is not None and not cited:
        problems.append("It cites nothing")
    if absent := [i for i in cited if i >= len(spans)]:
        problems.append(_absent(absent, len(spans)))
    if reading.answer == "":
        problems.append("Its answer is empty")
    if reading.answer and citations and not _borne_out(reading.answer, [c.text for c in citations]):
        problems.append("No word of the answer stands in the passages that it cites")
    return Answer(reading.answer, citations, reasoning, tuple(problems), parsed, response)


def _thought(reasoning: str) -> str:
    """Reasoning without the tags around thinking."""
    return "\n\n".join(part.strip() for part in _THINK.split(reasoning) if part.strip())


def _sections(found: int, name: str) -> str:
    if found == 1:
        return f"a chunk number in <{name}> that is too long to be one"
    return f"no <{name}> section that is closed" if not found else f"{found} <{name}> sections"


def _absent(cited: Sequence[int], n: int) -> str:
    first = cited[0]
    number = f"{first:,}" if first < 10**12 else f"of {len(str(first))} digits"
    more = f" and {len(cited) - 1:,} more that are not there" if len(cited) > 1 else ""
    return f"It cites chunk {number}{more}, and the document has {n:,} chunk{'s' * (n != 1)}, numbered from 0"


def telling(answer: str) -> list[str]:
    """The words of an answer by which the passage that bears it out is known."""
    return [word for word in verify.words(answer) if len(word) >= TELLING or word[0].isdigit() or not word.isascii()]


def _borne_out(answer: str, cited: Sequence[str]) -> bool:
    """Whether a word of the answer stands in the texts: one that tells something, where there is one. Of a long word a
    part will do, since some languages write no spaces, and others endings; a number, or a short word, has to be whole.
    """
    wanted = telling(answer) or [word for word in verify.words(answer) if word not in _VERDICTS]
    there = " ".join(unicodedata.normalize("NFKC", text).casefold() for text in cited)
    return not wanted or any(_holds(there, word) for word in wanted)


def _holds(text: str, word: str) -> bool:
    if not word.isascii() or (len(word) >= TELLING and not word[0].isdigit()):
        return word in text
    plain = text.replace(",", "") if word.isdigit() else text  # 1,850 is 1850
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", plain) is not None
