"""What the server behind replied, as a client of OpenAI's API reads an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from datagen import grounded
from datagen.grounded import Answer
from datagen.serve.question import Posed
from datagen.text.splitter import Span


@dataclass
class Choice:
    """One of the responses to a request, as far as it was heard."""

    text: str = ""
    reasoning: str = ""  # where the server behind sets it apart
    refusal: str = ""
    finish: str | None = None


@dataclass(frozen=True)
class Reader:
    """Reads responses to a question. Without a document, they are passed on as they are."""

    posed: Posed
    spans: list[Span]
    stop: list[str] = field(default_factory=list)

    def message(self, choice: Choice) -> dict[str, Any]:
        """A choice as a message: the answer alone as its content, or nothing where the response has none that can be
        read; citations as annotations; the reasoning apart; and what is wrong with it.
        """
        message: dict[str, Any] = {"role": "assistant", "refusal": choice.refusal or None}
        if not self.posed.document:
            message["content"] = self._stopped(choice.text)
            return message | ({"reasoning_content": choice.reasoning} if choice.reasoning else {})
        answer = grounded.read(choice.text, self.posed.document, self.spans)
        message["content"] = self._stopped(answer.answer or "") if answer.parsed else ""
        message["annotations"] = cited(answer)
        message["reasoning_content"] = "\n\n".join(filter(None, (choice.reasoning, answer.reasoning)))
        message["longrlvr"] = {"parsed": answer.parsed, "problems": list(answer.problems)}
        if not answer.parsed:
            message["longrlvr"]["response"] = choice.text
        return message

    def taken(self) -> dict[str, Any]:
        """What was taken for the document and the question."""
        return {
            "document_characters": len(self.posed.document),
            "chunks": len(self.spans),
            "question": self.posed.question,
        }

    def _stopped(self, answer: str) -> str:
        return answer[: min((at for stop in self.stop if (at := answer.find(stop)) >= 0), default=len(answer))]


def cited(answer: Answer) -> list[dict[str, Any]]:
    """The citations, each quoted from the document: `text` is `document[start:end]`."""
    return [{"type": "chunk_citation", "chunk_citation": asdict(citation)} for citation in answer.citations]


def completion(head: dict[str, Any], choices: list[Choice], usage: Any, reader: Reader) -> dict[str, Any]:
    """The whole reply. head: id, created and model."""
    listed = [
        {"index": i, "message": reader.message(choice), "finish_reason": choice.finish or "stop", "logprobs": None}
        for i, choice in enumerate(choices)
    ]
    return head | {"object": "chat.completion", "choices": listed, "usage": usage, "longrlvr": reader.taken()}


def chunk(head: dict[str, Any], index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """A piece of a streamed reply."""
    choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}
    return head | {"object": "chat.completion.chunk", "choices": [choice]}


def last_chunks(head: dict[str, Any], index: int, choice: Choice, reader: Reader, heard: bool) -> Iterator[dict]:
    """The end of a streamed choice: its answer, which is known to be the one only now, its citations, and the end.
    heard: whether its reasoning was streamed.
    """
    message = reader.message(choice)
    reasoning = message.pop("reasoning_content", "")
    if reasoning and not heard:
        yield chunk(head, index, {"reasoning_content": reasoning})
    if message["content"]:
        yield chunk(head, index, {"content": message["content"]})
    rest = {k: v for k, v in message.items() if k not in ("content", "role") and v is not None}
    yield chunk(head, index, rest, choice.finish or "stop")
