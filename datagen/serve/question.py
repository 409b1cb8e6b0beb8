"""Which part of a chat is the document, and which the question.

1. Where a message has several parts of text, the last part is the question and the others are the document.
2. A message of one part is divided: at the last line that begins with a marker ("Question:", "Query:", "What is the
   correct answer to this question:", or one's own), else before its last paragraph. Where only its first paragraph asks
   (it ends with a question mark or a colon, and the last does not), the first is the question. A message of one
   paragraph is a question, and no document.
3. In a longer chat, the latest message that has a document gives it: a question that follows is about the same. What
   was asked and answered before is put before the new question, so that "and when?" has something to refer to.

Everything before the question is the document, instructions included: nothing of what a client sent is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from datagen.serve.refusal import Refused

MARKERS = ("Question:", "Query:", "What is the correct answer to this question:")
KEPT = MARKERS[2:]  # they are words of the question itself
ASKS = ("?", ":", "？", "：", "؟")
ASKING = 2000  # characters, at most, of a first paragraph that asks about what follows it
_CLOSING = re.compile(r"\s*\n?[ \t]*(?:Answer|Output|Response):\s*\Z", re.IGNORECASE)
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Posed:
    """A chat as a question about a document; an empty document where there is none. system: messages that go on as
    they are.
    """

    document: str
    question: str
    system: list[dict[str, str]]


def posed(messages: Any, marker: str | None = None) -> Posed:
    """What a chat asks. Raises Refused for messages that are none, or hold anything but text."""
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages: a list of messages is needed, and one of them of the user")
    system, document = [], ""
    turns: list[tuple[str, str]] = []  # who spoke, and what he asked or answered
    for i, message in enumerate(messages):
        role, parts = _message(message, i)
        if role in ("system", "developer"):
            system.append({"role": role, "content": "\n\n".join(parts)})
        elif role == "user":
            found, question = divide(parts, marker)
            document = found or document
            turns.append(("Question", question))
        else:
            turns.append(("Answer", "\n\n".join(parts)))
    if not turns or turns[-1][0] != "Question" or not turns[-1][1].strip():
        raise Refused(400, "messages: the last one has to be the user's, with a question in it")
    *before, (_, question) = turns
    if before:
        said = "\n\n".join(f"{who}: {text}" for who, text in before)
        question = f"So far it was asked and answered:\n\n{said}\n\nNow the question is: {question}"
    return Posed(document, question, system)


def divide(parts: list[str], marker: str | None = None) -> tuple[str, str]:
    """(document, question) of a user's message, by the rules above."""
    if len(parts) > 1:
        return "\n\n".join(parts[:-1]), parts[-1].strip()
    text = parts[0] if parts else ""
    for start, end in _marked(text, (marker,) if marker else MARKERS):
        question = _CLOSING.sub("", text[end:]).strip()
        if question and text[:start].strip():
            return text[:start].rstrip(), question
    paragraphs = [(m.start(), m.end()) for m in _PARAGRAPH.finditer(text.rstrip())]
    if not paragraphs:
        return "", text.strip()
    first, last = text[: paragraphs[0][0]].strip(), text[paragraphs[-1][1] :].strip()
    if not last.endswith(ASKS) and first.endswith(ASKS) and len(first) <= ASKING:
        return text[paragraphs[0][1] :].strip(), first
    return text[: paragraphs[-1][0]].rstrip(), last


def _marked(text: str, markers: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where the question begins, and where its words do, at each line that begins with a marker, the last one first."""
    found = []
    for marker in markers:
        for match in re.finditer(rf"^[ \t]*{re.escape(marker)}", text, re.MULTILINE):
            found.append((match.start(), match.start() if marker in KEPT else match.end()))
    return sorted(found, reverse=True)


def _message(message: Any, i: int) -> tuple[str, list[str]]:
    where = f"messages[{i}]"
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Refused(400, f"{where}: a message is an object with a role and content")
    role, content = message["role"], message.get("content")
    if role not in ("system", "developer", "user", "assistant"):
        raise Refused(400, f"{where}.role: {role!r:.40} is not system, developer, user or assistant")
    parts = [content] if isinstance(content, str) else content
    if content is None and role == "assistant":
        parts = []
    if not isinstance(parts, list):
        raise Refused(400, f"{where}.content: it is no text and no list of parts")
    texts = [part if isinstance(part, str) else _text(part, where) for part in parts]
    if any(_SURROGATE.search(text) for text in texts):
        raise Refused(400, f"{where}.content: it holds half a surrogate pair, which is no character")
    return role, texts


def _text(part: Any, where: str) -> str:
    if isinstance(part, dict) and part.get("type") in ("text", "input_text") and isinstance(part.get("text"), str):
        return part["text"]
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    raise Refused(400, f"{where}.content: a document is text; a part of type {kind!r:.40} cannot be read")
