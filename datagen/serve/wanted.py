"""What a client wants besides an answer: how it is sampled, streamed and cut."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from datagen.serve.refusal import Refused

MOST_CHOICES = 128
# What an answer with its citations cannot be given together with, and why
_REFUSED = {
    "response_format": "the response has a form of its own, with the citations: ask for JSON from the model itself",
    "tools": "the model answers from the document, and calls nothing",
    "functions": "the model answers from the document, and calls nothing",
    "logprobs": "they would be those of the whole response, and not of the answer",
    "top_logprobs": "they would be those of the whole response, and not of the answer",
    "audio": "answers are text",
    "prediction": "the response is not the answer alone",
}
_EMPTY = (None, False, 0, [], {}, {"type": "text"})
_OURS = {"messages", "model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "n"}


@dataclass(frozen=True)
class Wanted:
    """passed_on: the fields that the server behind is given as they are. stop: what the answer is cut before."""

    model: str | None
    n: int
    stream: bool
    include_usage: bool
    max_tokens: int
    stop: list[str]
    passed_on: dict[str, Any]


def parsed(raw: bytes) -> dict[str, Any]:
    """The object of a request's body. Raises Refused."""

    def no_number(name: str) -> Any:
        raise ValueError(f"{name} is not a number of JSON")

    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=no_number)
    except (ValueError, RecursionError) as e:
        why = "it is nested too deeply" if isinstance(e, RecursionError) else str(e)
        raise Refused(400, f"the body cannot be read as JSON: {why}") from e
    if not isinstance(body, dict):
        raise Refused(400, "the body is no JSON object")
    return body


def wanted(body: dict[str, Any], room: int) -> Wanted:
    """What a request asks for. room: the most tokens of a response, unless the client allows more: what it sets is
    meant for an answer, and this model reasons first. Raises Refused for what cannot be had.
    """
    for name, why in _REFUSED.items():
        if body.get(name) not in _EMPTY:
            raise Refused(400, f"{name}: {why}", "unsupported_parameter")
    if body.get("modalities") not in (None, ["text"]):
        raise Refused(400, "modalities: answers are text", "unsupported_parameter")
    limits = [_integer(body, name, 1, 1 << 31) for name in ("max_tokens", "max_completion_tokens")]
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
        raise Refused(400, "stop: a text, or a list of texts")
    options = body.get("stream_options") or {}
    if not isinstance(options, dict):
        raise Refused(400, "stream_options: an object")
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise Refused(400, "model: a text")
    return Wanted(
        model=model,
        n=_integer(body, "n", 1, MOST_CHOICES) or 1,
        stream=_flag(body, "stream"),
        include_usage=_flag(options, "include_usage"),
        max_tokens=max(room, *(limit or 0 for limit in limits)),
        stop=[each for each in stops if each],
        passed_on={k: v for k, v in body.items() if k not in _OURS and k not in _REFUSED and k != "modalities"},
    )


def _integer(body: dict[str, Any], name: str, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        raise Refused(400, f"{name}: an integer from {least} to {most:,}, not {value!r:.40}")
    return value


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"{name}: true or false, not {value!r:.40}")
    return bool(value)
