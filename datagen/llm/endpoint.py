"""The way to one server: its key, its client, and one request sent to it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable, Set
from typing import Any
from urllib.parse import quote

from datagen.config.llm import EndpointConfig
from datagen.errors import ConfigError
from datagen.llm.base import Request

OPENAI = "https://api.openai.com/v1"
ABOUT_THE_ACCOUNT = ("OpenAI-Organization", "OpenAI-Project")
NO_WORD = 16  # characters: a shorter key, as local servers are given, may be a word that stands in any reply
NO_KEY = "none"  # the client wants one even where the server does not


def address(endpoint: EndpointConfig) -> str:
    """The base URL, without a slash at its end; OpenAI's where the configuration names none."""
    return (endpoint.base_url or OPENAI).rstrip("/")


def api_key(endpoint: EndpointConfig) -> str:
    """The key, from the environment variable that the configuration names. Raises ConfigError when it is not set.

    OpenAI's own key is never sent to an address that did not ask for it by name.
    """
    name = endpoint.api_key_env or ("OPENAI_API_KEY" if endpoint.base_url is None else None)
    if name is None:
        return NO_KEY
    if not (key := os.environ.get(name, "").strip()):
        raise ConfigError(
            f"{address(endpoint)} needs a key: the environment variable {name} (endpoints.api_key_env) is not set. "
            "For a server of your own, give --base-url"
        )
    if not key.isascii() or not key.isprintable():
        raise ConfigError(
            f"the environment variable {name} holds something that is no key: it has characters no key has"
        )
    return key


def key_hint(endpoint: EndpointConfig) -> str:
    """What a person whose key was refused should know: which it was."""
    if name := endpoint.api_key_env or ("OPENAI_API_KEY" if endpoint.base_url is None else None):
        return f". The key is that of the environment variable {name}"
    return (
        ". No key was sent: api_key_env, beside base_url in `endpoints`, names the environment variable that holds one"
    )


def key_cleaner(endpoints: Iterable[EndpointConfig], shortest: int = 1) -> Callable[[Any], Any]:
    """What takes the endpoints' keys, those of `shortest` characters and more, out of a text or of all texts in a value
    read from JSON: servers like to repeat the key that they refuse.

    Raises ConfigError when a key is missing.
    """
    keys = {key for key in map(api_key, endpoints) if key != NO_KEY and len(key) >= shortest}
    forms = sorted({form for key in keys for form in _forms(key)}, key=len, reverse=True)

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: clean(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [clean(inner) for inner in value]
        if isinstance(value, str):
            for form in forms:
                value = value.replace(form, "…")
        return value

    return clean if forms else lambda value: value


def _forms(key: str) -> set[str]:
    """A key as it may come back: as it is, escaped for a URL or for JSON, in base64 behind whatever else."""
    found = {key, quote(key), quote(key, safe=""), key.replace("/", "\\/")}
    for before in range(3 if len(key) > 8 else 0):
        bits = 8 * before, 8 * (before + len(key))
        text = base64.b64encode(bytes(before) + key.encode()).decode()[-(-bits[0] // 6) : bits[1] // 6]
        found |= {text, text.replace("+", "-").replace("/", "_")}
    return found


def client_arguments(endpoint: EndpointConfig) -> dict[str, Any]:
    """For the official client, sync or async. What it would add from OPENAI_ORG_ID and OPENAI_PROJECT_ID concerns
    OpenAI alone; retrying is the engines' own.
    """
    import openai

    blank = {} if endpoint.base_url is None else dict.fromkeys(ABOUT_THE_ACCOUNT, openai.Omit())
    return {
        "base_url": address(endpoint),
        "api_key": api_key(endpoint),
        "max_retries": 0,
        "default_headers": blank,
    }


def payload(request: Request, lacks: Set[str] = frozenset()) -> dict[str, Any]:
    """The body of a chat completions request, without what the server is known to lack."""
    body = {"model": request.model, "messages": request.messages, **request.sampling}
    if "max_tokens" in lacks and "max_tokens" in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
    if request.schema and "json_schema" not in lacks:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": request.schema, "strict": True},
        }
    return body
