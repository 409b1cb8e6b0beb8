"""Read a chat completion's request: which of its text is the document, which the question, and what is passed on.

1. A *turn* is what the user says between two replies: one message or several, of one text or several. Where it has
   several texts, the last is the question, and those before it, if they are long together, are the document. If the
   last is long and has no marker (below), and another is short, the short one is the question.
2. A turn of one long text is cut before the last line that begins with a marker such as `Question:`; what follows the
   marker is the question. A marker with a filled line `Answer: …` after it is the document's own, as in a FAQ. Without
   a marker in its last 8,000 characters, the last paragraph is the question, and with it the paragraphs before it that
   it goes on from: choices and instructions about the answer's form belong to the question that they follow. All
   before the question is the document, an instruction at its head included.
3. Where no text is long, there is a document if it was told apart: by a marker with something before it, or as a text
   of its own. The last of several texts is the question then, or, if that asks nothing, a shorter one that ends with a
   question mark. So documents of any length are asked about in one form. A lone text without a marker is no document,
   whatever its paragraphs, since any message of a chat may have several: the request is forwarded as it is.
4. In a later turn, the documents of earlier turns stay the document, and their questions and replies are put before the
   new question as a transcript. Short texts are its question, all of them.

A text is long if it is more than one chunk (of `chunk.max_tokens` tokens); beside a document, only if it also has more
than 2,000 characters. A last message of the assistant, as harnesses add to start the answer ("Answer:"), is left out:
the model reasons first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from datagen.serve.errors import Refused

Body = dict[str, Any]
MARKERS = ("What is the correct answer to this question:", "Question:", "Query:")
BESIDE = 2_000  # characters of a question beside a document, and of one that no marker tells of, at most
MARKED = 8_000  # characters, at most, from a marker to the end
PREFIX = 200  # characters, at most, of the beginning of an answer
MOST_CHOICES = 128
# What a grounded answer cannot have, with why. Values that ask for nothing are passed over.
UNSUPPORTED = {
    "tools": "the model cites a document and calls no tools",
    "functions": "the model cites a document and calls no functions",
    "response_format": "the model writes its reasoning and its citations around the answer, which no schema allows for",
    "logprobs": "the answer is taken out of a longer response, whose tokens are not the answer's",
    "top_logprobs": "the answer is taken out of a longer response, whose tokens are not the answer's",
    "audio": "only text is answered",
}
_OPTION = re.compile(r"\(?[A-H][).:]\s|(?:choices|options)\b", re.IGNORECASE)
_ABOUT_THE_FORM = re.compile(
    r"(?:please\s+)?(?:format your|answer (?:with|in|by|using|only)|respond (?:with|in|by|only)|reply (?:with|in|only)"
    r"|only (?:give|output|answer|reply|respond)|give (?:me )?only|your (?:answer|response) (?:should|must)|output only"
    r"|do not (?:output|explain|write)|answer\s*:)",
    re.IGNORECASE,
)
_ANSWER = "answer:"
_ANSWERED = re.compile(r"^[^\S\n]*answer:\s*\S", re.IGNORECASE | re.MULTILINE)
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_ASKS = "?？؟"


@dataclass(frozen=True)
class Chat:
    """A request that is well-formed. system: its messages of that role; turns: the texts of the user's turns, with the
    reply that follows each, if any.
    """

    body: Body
    system: list[Body]
    turns: list[tuple[list[str], str | None]]
    stop: list[str]
    stream: bool
    include_usage: bool


@dataclass(frozen=True)
class Taken:
    """What was found: the document and the question, the earlier ones and their replies included. An empty document:
    there is none.
    """

    document: str
    question: str


def read(raw: bytes) -> Chat:
    """A request from its bytes. Raises Refused, whatever is wrong with them."""
    try:
        body = json.loads(raw, parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise Refused(400, f"the request is no JSON that can be read: {e or 'it is nested too deeply'}") from None
    if not isinstance(body, dict):
        raise Refused(400, "the request has to be a JSON object")
    for name, why in UNSUPPORTED.items():
        value = body.get(name)
        if value and not (name == "response_format" and isinstance(value, dict) and value.get("type") == "text"):
            raise Refused(400, f"`{name}` is not supported: {why}", param=name, code="unsupported_parameter")
    if body.get("modalities") not in (None, [], ["text"]):
        raise Refused(400, "`modalities`: only text is answered", param="modalities", code="unsupported_parameter")
    for name in ("max_tokens", "max_completion_tokens"):
        _check_whole(body, name, 10**9)
    _check_whole(body, "n", MOST_CHOICES)
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise Refused(400, "`stream_options` has to be an object", param="stream_options")
    system, turns = _turns(body.get("messages"))
    return Chat(
        body=body,
        system=system,
        turns=turns,
        stop=_stop(body.get("stop")),
        stream=_flag(body, "stream"),
        include_usage=options.get("include_usage") is True,
    )


def take(chat: Chat, is_long: Callable[[str], bool], markers: Sequence[str] = MARKERS) -> Taken:
    """The document and the question of a request, by the rules above.

    Raises Refused for a long text in which no question can be found.
    """
    documents: list[str] = []
    earlier: list[tuple[str, str]] = []
    question = ""
    for i, (texts, reply) in enumerate(chat.turns):
        last = i == len(chat.turns) - 1
        found, question = _parted(texts, bool(documents), is_long, markers, last)
        documents += found
        if not last and question:
            earlier.append((question, reply or ""))
    if documents and earlier:
        told = "\n\n".join(f"Question: {asked}\nAnswer: {said.strip()}" for asked, said in earlier)
        question = f"Earlier questions and answers about this document:\n\n{told}\n\nThe question now: {question}"
    return Taken("\n\n".join(documents), question)


def _parted(
    texts: list[str], beside: bool, is_long: Callable[[str], bool], markers: Sequence[str], last: bool
) -> tuple[list[str], str]:
    """(documents, question) of a turn; `beside`: there is a document from before, `last`: a question is needed."""

    def long(text: str, beside: bool) -> bool:
        return (len(text) > BESIDE or not beside) and is_long(text)

    *others, final = texts
    before = bool(others) and is_long("\n\n".join(others))
    if not long(final, beside or before):
        if before:
            return others, _question(final)
        documents, question = ([], "") if beside else _short([text for text in texts if text.strip()], markers)
        return (documents, question) if question else ([], _question("\n\n".join(texts)))
    if (at := _marked(final, markers, alone=not others)) is None:
        short = [i for i, text in enumerate(others) if not long(text, True) and text.strip()]
        if short:
            return [text for i, text in enumerate(texts) if i != short[-1]], _question(others[short[-1]])
        at = _last_paragraphs(final)
        if not last and not any(mark in final[at[0] :] for mark in _ASKS):
            return texts, ""  # it was a document alone
    begin, after = at
    question = _question(final[after:])
    if not question:
        raise Refused(
            400,
            "no question was found behind the document: begin it on a line of its own with `Question:`, or send it as "
            "a message of its own",
            param="messages",
        )
    return [text for text in [*others, final[:begin].rstrip()] if text.strip()], question


def _short(texts: list[str], markers: Sequence[str]) -> tuple[list[str], str]:
    """(documents, question) where no text is long; nothing where they were not told apart."""
    final = texts[-1] if texts else ""
    begin, after = _marked(final, markers, alone=len(texts) < 2) or (0, 0)
    if before := final[:begin].rstrip():
        return [*texts[:-1], before], _question(final[after:])
    if len(texts) < 2:
        return [], ""
    asked = len(texts) - 1
    if not after and not _asks(final) and not _goes_on(final):
        asked = max((i for i, text in enumerate(texts) if _asks(text) and len(text) < len(final)), default=asked)
    return texts[:asked] + texts[asked + 1 :], _question(texts[asked])


def _asks(text: str) -> bool:
    return text.rstrip().endswith(tuple(_ASKS))


def _marked(text: str, markers: Sequence[str], alone: bool) -> tuple[int, int] | None:
    """Where the last line begins that begins with a marker, and where that ends; None: there is none near the end, or
    it has its answer already. In a text that is alone, an answer in the last line was begun for the model to go on.
    """
    pattern = re.compile(rf"^[^\S\n]*(?:{'|'.join(map(re.escape, markers))})", re.IGNORECASE | re.MULTILINE)
    whole, found = text.rstrip(), None
    for found in pattern.finditer(text, max(0, len(whole) - MARKED)):  # noqa: B007
        pass
    if found is None:
        return None
    answered = _ANSWERED.search(whole, found.end())
    if answered and not (alone and "\n" not in whole[answered.end() :]):
        return None
    return found.start(), found.end()


def _last_paragraphs(text: str) -> tuple[int, int]:
    """Where the question begins in a text without a marker, twice."""
    whole = text.rstrip()
    floor = max(0, len(whole) - BESIDE)
    starts = [m.end() for m in _BLANK.finditer(whole, floor)] or [m.end() for m in re.finditer(r"\n", whole[floor:])]
    if starts and not _BLANK.search(whole, floor):
        starts = [floor + at for at in starts][-1:]
    if not starts:
        ends = [m.end() for m in re.finditer(r"[.!?]\s+|[。！？]", whole[floor:-1])]
        at = floor + ends[-1] if ends else len(whole)
        return at, at
    i = len(starts) - 1
    while i > 0 and _goes_on(whole[starts[i] :]):
        i -= 1
    return starts[i], starts[i]


def _goes_on(text: str) -> bool:
    """Whether a text is choices, or about an answer's form, and so belongs to the question before it."""
    return bool(_OPTION.match(text) or _ABOUT_THE_FORM.match(text))


def _question(text: str) -> str:
    """A text without the beginning of an answer at its end."""
    text = text.strip()
    begun = text[-len(_ANSWER) :].lower() == _ANSWER and not text[: -len(_ANSWER)][-1:].isalnum()
    return text[: -len(_ANSWER)].rstrip() if begun else text


def _turns(messages: Any) -> tuple[list[Body], list[tuple[list[str], str | None]]]:
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "`messages` has to be a list with a message at least", param="messages")
    system: list[Body] = []
    turns: list[tuple[list[str], str | None]] = []
    for i, message in enumerate(messages):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("system", "developer", "user", "assistant"):
            what = "its role has to be system, developer, user or assistant"
            raise Refused(400, f"message {i}: {what}", param=f"messages[{i}]")
        texts = _texts(message.get("content"), i, empty=role == "assistant")
        if role in ("system", "developer"):
            system.append(message)
        elif role == "user":
            if turns and turns[-1][1] is None:
                turns[-1][0].extend(texts)
            else:
                turns.append((texts, None))
        elif turns:
            before, said = turns[-1]
            turns[-1] = before, "".join(filter(None, [said, *texts]))
    if not turns:
        raise Refused(400, "`messages` has none of the user", param="messages")
    texts, begun = turns[-1]
    if begun is not None and len(begun) > PREFIX:
        raise Refused(400, "the last message has to be the user's", param="messages")
    turns[-1] = texts, None
    if not any(text.strip() for text in texts):
        raise Refused(400, "the last message of the user is empty", param="messages")
    return system, turns


def _texts(content: Any, i: int, empty: bool) -> list[str]:
    if content is None and empty:
        return []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list):
        raise Refused(400, f"message {i}: `content` has to be a text or a list of parts", param=f"messages[{i}]")
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(part, dict) or kind != "text" or not isinstance(part.get("text"), str):
            raise Refused(400, f"message {i}: only parts of type `text` can be read", param=f"messages[{i}].content")
    texts = [part["text"] for part in parts]
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as e:
        what = f"its text has a lone surrogate, U+{ord(e.object[e.start]):04X}, which is no character"
        raise Refused(400, f"message {i}: {what}", param=f"messages[{i}].content") from None
    return texts


def _check_whole(body: Body, name: str, most: int) -> None:
    value = body.get(name)
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise Refused(400, f"`{name}` has to be a whole number from 1 to {most:,}", param=name)


def _flag(body: Body, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"`{name}` has to be true or false", param=name)
    return bool(value)


def _stop(value: Any) -> list[str]:
    stop = [value] if isinstance(value, str) else value or []
    if not isinstance(stop, list) or not all(text is None or isinstance(text, str) for text in stop):
        raise Refused(400, "`stop` has to be a text or a list of texts", param="stop")
    return [text for text in stop if text]


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")
