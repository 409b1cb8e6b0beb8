"""JSON objects in what a model wrote, and the verdict in one, by the standard library alone. Nothing is guessed."""

from __future__ import annotations

import json
import re
from typing import Any

_FENCE = re.compile(r"```[a-zA-Z]*[ \t]*\n")
_FENCE_END = re.compile(r"\n[ \t]*```")
_BEGUN = re.compile(r"\s*(?:```[a-zA-Z]*\s*)?(?=\{)")
NO_DIFFERENCE = "none"  # between two answers; and how it is said where no schema holds
_NO_DIFFERENCE = frozenset((NO_DIFFERENCE, "", "no", "no difference", "nothing", "null", "n/a"))
_VERDICT = re.compile(r"\[\[\s*(yes|no)\s*\]\]", re.IGNORECASE)
_TRIES = 200  # opening braces looked at in one reply


class ParseError(ValueError):
    """A reply of no use. `reason` is one of a few and is counted; the text tells the model what is wrong."""

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


def first_object(text: str) -> str:
    """The JSON object that a text begins with, maybe in a fence; empty if it is not whole."""
    start = _BEGUN.match(text)
    try:
        return text[start.end() : _DECODER.raw_decode(text, start.end())[1]] if start else ""
    except (ValueError, RecursionError):
        return ""


def read_object(text: str, keys: set[str]) -> dict[str, Any]:
    """The JSON object with these keys in a reply: the reply itself, in a fence, or the last one amid prose.

    Raises ParseError. Nothing is mended: single quotes, comments and keys that stand twice are errors.
    """
    problem = "it holds no JSON object"
    for part in [text, *reversed(_fenced(text))]:
        try:
            value = _writable(_DECODER.decode(part.strip()))
        except (ValueError, RecursionError) as e:
            problem = f"it is not valid JSON ({e})" if part.lstrip().startswith("{") else problem
        else:
            if isinstance(value, dict) and keys <= value.keys():
                return value
            problem = f"a JSON object with the keys {', '.join(sorted(keys))} is wanted"
    found = [value for value in _objects(text) if keys <= value.keys()]
    if not found:
        raise ParseError("unreadable reply", problem)
    return found[-1]


def read_verdict(text: str) -> bool:
    """The object's "same", true or false; or [[Yes]] or [[No]], whichever alone a reply holds. Raises ParseError.

    Two things whose difference is named are not the same, whatever the verdict is.
    """
    try:
        found = read_object(text, {"same"})
        same = found["same"]
    except ParseError as e:
        found = {word.casefold() for word in _VERDICT.findall(text)}
        if len(found) != 1 or "{" in text:
            raise ParseError("no verdict", str(e)) from e
        return found == {"yes"}
    if not isinstance(same, bool):
        raise ParseError("no verdict", '"same" must be true or false')
    return same and str(found.get("difference") or NO_DIFFERENCE).strip(" .").casefold() in _NO_DIFFERENCE


def _fenced(text: str) -> list[str]:
    """What stands in code fences; a fence that is never closed is looked for once, not again from every opening."""
    found = []
    opening = _FENCE.search(text)
    while opening and (end := _FENCE_END.search(text, opening.end())):
        found.append(text[opening.end() : end.start()])
        opening = _FENCE.search(text, end.end())
    return found


def _objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects in a text, the outermost ones, in order."""
    found, at = [], text.find("{")
    for _ in range(_TRIES):
        if at < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, at)
            found.append(_writable(value))
        except (ValueError, RecursionError):
            end = at + 1
        at = text.find("{", end)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice")
    return value


def _writable(value: Any) -> Any:
    """The value. Raises ValueError where half of a character stands in it, escaped, which no file can hold."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
