"""Make the client's reply of the upstream's: the answer as the message, what it cites as annotations.

A response that cannot be read has no answer: its content is empty, and never the text with its tags, so that nothing
scores it by what stands in them. `longrlvr.response` has the text then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datagen import grounded
from datagen.grounded import Answer
from datagen.serve.errors import bad_gateway
from datagen.serve.prepare import Prepared


def read(said: str, prepared: Prepared, thinking: str = "") -> Answer:
    """What a response about the request's document says; thinking: what the upstream set apart of it. A lone surrogate,
    half a character, is replaced.
    """
    said, thinking = (text.encode("utf-8", "replace").decode() for text in (said, thinking))
    return grounded.read(said, prepared.taken.document, prepared.spans, thinking)


def content(answer: Answer, stop: Sequence[str]) -> str:
    """The answer, up to the first of the strings at which the client wants it to stop; nothing where it has none."""
    if not answer.parsed or not answer.answer:
        return ""
    at = min((i for text in stop if (i := answer.answer.find(text)) >= 0), default=len(answer.answer))
    return answer.answer[:at]


def cited(answer: Answer) -> list[dict[str, Any]]:
    """The chunks that a response cites, with their places in the document, in characters."""
    chunks = answer.citations if answer.parsed else ()
    return [
        {
            "type": "chunk_citation",
            "chunk_citation": {"chunk": c.chunk, "start": c.start, "end": c.end, "text": c.text},
        }
        for c in chunks
    ]


def told(answer: Answer) -> dict[str, Any]:
    """What `longrlvr` says of a choice."""
    found: dict[str, Any] = {"parsed": answer.parsed, "problems": list(answer.problems)}
    return found if answer.parsed else found | {"response": answer.response}


def about(prepared: Prepared) -> dict[str, Any]:
    """What `longrlvr` says of a request."""
    taken = prepared.taken
    characters = len(taken.document)
    return {"chunks": len(prepared.spans), "document_characters": characters, "question": taken.question}


def reasoning_of(message: dict[str, Any]) -> str:
    """What an upstream sent apart as reasoning, under either name."""
    found = message.get("reasoning_content") or message.get("reasoning")
    return found if isinstance(found, str) else ""


def completion(body: dict[str, Any], prepared: Prepared) -> dict[str, Any]:
    """A chat completion of the upstream as the client's. Raises Refused where it is none."""
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(c, dict) for c in choices):
        raise bad_gateway("the model's server sent no choice")
    made = [_choice(choice, prepared) for choice in choices]
    return body | {"choices": made, "longrlvr": about(prepared) | made[0]["longrlvr"]}


def _choice(choice: dict[str, Any], prepared: Prepared) -> dict[str, Any]:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise bad_gateway("the model's server sent a choice without a message")
    text = message.get("content")
    answer = read(text if isinstance(text, str) else "", prepared, reasoning_of(message))
    made = {"role": "assistant", "content": content(answer, prepared.stop), "annotations": cited(answer)}
    made |= {"reasoning_content": answer.reasoning} if answer.reasoning else {}
    made |= {"refusal": message["refusal"]} if message.get("refusal") else {}
    kept = {"index": choice.get("index", 0), "finish_reason": choice.get("finish_reason"), "logprobs": None}
    return kept | {"message": made, "longrlvr": told(answer)}
