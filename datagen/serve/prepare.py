"""Make the upstream's request of a client's: the document in chunks and tags, the question, room to reason.

It is work for a processor, so a server does it in threads. Where a document was cut is kept, since a harness asks many
questions about one: by the sha256 of its text, the least recently asked about given up first, in bounded memory.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datagen.errors import ConfigError
from datagen.grounded import Form
from datagen.llm.base import Request
from datagen.llm.window import least
from datagen.serve import request
from datagen.serve.errors import Refused, too_long
from datagen.serve.request import Taken
from datagen.text.splitter import Span

MOST_BYTES = 8 << 20  # of spans that are kept: of some 150 documents of 128k tokens
SPAN_BYTES = 200  # of one in memory, at most
CHARS_PER_TOKEN = 32  # a text of more a token is not counted to tell that it is long
NOTHING = Taken("", "")
OURS = ("messages", "model", "stop", "stream", "stream_options", "max_tokens", "max_completion_tokens")


class Spans:
    """Where the chunks of documents are. It may be asked from several threads."""

    def __init__(self, form: Form, most_bytes: int = MOST_BYTES) -> None:
        self.form, self.most_bytes, self.bytes = form, most_bytes, 0
        self._kept: OrderedDict[bytes, list[Span]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, document: str) -> list[Span]:
        """The chunks of a document. Raises as `splitter.split` does."""
        key = hashlib.sha256(document.encode()).digest()
        with self._lock:
            if (found := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return found
        spans = self.form.split(document)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = spans
                self.bytes += SPAN_BYTES * len(spans)
            while self.bytes > self.most_bytes and self._kept:
                _, dropped = self._kept.popitem(last=False)
                self.bytes -= SPAN_BYTES * len(dropped)
        return spans


@dataclass(frozen=True)
class Prepared:
    """What is sent upstream (JSON), and what its reply is read against. No spans: it is forwarded as it is, and so is
    the reply. stop, stream, include_usage: as the client asked. asked: what is sent, as `window.least` counts it.

    It is held until the model has replied, so it has nothing else of what the client sent.
    """

    payload: bytes
    stop: Sequence[str]
    stream: bool
    include_usage: bool
    taken: Taken = NOTHING
    spans: Sequence[Span] = ()
    asked: Request | None = None


def prepare(
    raw: bytes,
    spans: Spans,
    model: str,
    max_response_tokens: int,
    window: int | None = None,
    markers: Sequence[str] = request.MARKERS,
) -> Prepared:
    """A client's request, made ready. window: tokens that the upstream's context has room for, if it says so.

    Raises Refused for whatever is wrong with the request, and for one that cannot fit.
    """
    chat = request.read(raw)
    name = chat.body.get("model")
    if name is not None and name != model:
        what = f"the model {str(name)[:200]!r} does not exist: this server has {model!r}"
        raise Refused(404, what, code="model_not_found", param="model")
    form = spans.form

    def is_long(text: str) -> bool:
        return len(text) > CHARS_PER_TOKEN * form.max_tokens or form.tokenizer.count([text])[0] > form.max_tokens

    taken, system = request.take(chat, is_long, markers), chat.system
    if not taken.document:  # some clients put it there
        held = [message for message in system if is_long(_flat([message])[0]["content"])]
        document = "\n\n".join(message["content"] for message in _flat(held))
        taken, system = Taken(document, taken.question), [m for m in system if m not in held]
    cut = _cut(spans, taken.document)
    if cut and not taken.question.strip():
        raise Refused(400, "the question is empty", param="messages")
    if not cut:
        return Prepared(_json(chat.body | {"model": model}), chat.stop, chat.stream, chat.include_usage)
    messages = [*system, *form.messages(taken.document, cut, taken.question)]
    measured = Request(model, _flat(messages), {})
    fewest = least(measured, 1)
    if window and window <= max_response_tokens:
        raise too_long(
            f"the model's context window of {window:,} tokens has no room for a prompt beside the "
            f"{max_response_tokens:,} that this server asks for the response: lower --max-response-tokens"
        )
    if window and fewest + max_response_tokens > window:
        raise too_long(
            f"the prompt has {fewest:,} tokens at least, and with {max_response_tokens:,} for the response it does not "
            f"fit the model's context window of {window:,} tokens. Nothing is cut: send a shorter document"
        )
    body = {key: value for key, value in chat.body.items() if key not in OURS}
    asked = "max_completion_tokens" if chat.body.get("max_completion_tokens") else "max_tokens"
    body |= {"model": model, "messages": messages, asked: max(chat.body.get(asked) or 0, max_response_tokens)}
    if chat.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return Prepared(_json(body), chat.stop, chat.stream, chat.include_usage, taken, cut, measured)


def _cut(spans: Spans, document: str) -> list[Span]:
    try:
        return spans.of(document) if document else []
    except ConfigError as e:
        raise Refused(400, f"the document cannot be cut into chunks: {e}", param="messages") from e


def _flat(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Messages whose contents are texts, for counting."""
    parts = [m["content"] if isinstance(m["content"], list) else [{"text": m["content"]}] for m in messages]
    return [{"role": "user", "content": "\n".join(part["text"] for part in each)} for each in parts]


def _json(body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (ValueError, RecursionError) as e:
        raise Refused(400, f"the request holds what cannot be passed on: {e}") from e
