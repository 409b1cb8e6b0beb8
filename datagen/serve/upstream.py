"""The server behind: one attempt a request, since clients retry; what it refuses is told to the client as it told it.

Its key is its own: that of a client is never sent on. Redirects are not followed, so that no document goes elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from datagen.errors import ConfigError
from datagen.llm import http_errors, window
from datagen.llm.http_errors import NO_ROOM, TOO_LONG, clipped
from datagen.llm.pool import json_or_text
from datagen.serve.errors import Refused, bad_gateway, too_long

MOST_BYTES = 64 << 20  # of a reply
CONNECT = 10.0  # seconds
AGAIN = 30.0  # seconds, at least, until a server is asked again what it has
PASSED_ON = ("Retry-After", "Retry-After-Ms", "X-Request-Id")
_JSON = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


class Upstream:
    """A server with OpenAI's API. timeout: seconds that it may be silent. Raises ConfigError for an address of another
    kind.
    """

    def __init__(self, base_url: str, model: str, key: str | None = None, timeout: float = 600.0) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise ConfigError(
                f"--base-url {base_url!r}: it is http(s)://HOST:PORT/v1, such as http://localhost:8000/v1"
            )
        self.url, self.model, self.key, self.timeout = base_url.rstrip("/"), model, key, timeout
        self.window: int | None = None  # tokens, where it says so
        self.listed, self.looked = False, -AGAIN  # whether it has said what it has, and when it was asked
        self.read = 0  # tokens of the longest prompt that it counted
        self._looking = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Upstream:
        times = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT, sock_read=self.timeout)
        headers = _JSON | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, timeout=times, headers=headers, trust_env=False)
        return self

    async def __aexit__(self, *_: Any) -> None:
        if self._session:
            await self._session.close()

    async def look_again(self, anyway: bool = False) -> None:
        """Ask what it has if it has not said so, or `anyway`, now and then; who comes meanwhile waits for its reply."""
        async with self._looking:
            if (anyway or not self.listed) and time.monotonic() >= self.looked + AGAIN:
                await self.look()

    async def look(self) -> str:
        """Ask what it has and how large the model's window is. What is wrong with that, in a sentence; else nothing."""
        self.looked = time.monotonic()
        try:
            async with asyncio.timeout(window.LOOK), self._sent("GET", "/models") as response:
                body = json_or_text(await whole(response))
        except Refused as e:
            return f"{e.message}; requests are refused until it answers"
        except TimeoutError:
            return f"{self.url} says nothing for {window.LOOK:.0f} s; it is asked all the same"
        if response.status != 200:
            key = ", see --api-key-env" if response.status in (401, 403) else ""
            detail = self._clean(http_errors.failure(response.status, body).detail)
            return f"{self.url} does not say what it has ({detail}{key}); it is asked all the same"
        self.window, self.listed = window.of_model(body, self.model), True
        listed = body.get("data") if isinstance(body, dict) else None
        names = [m.get("id") for m in listed if isinstance(m, dict)] if isinstance(listed, list) else []
        if names and self.model not in names:
            return f"{self.url} has no model {self.model!r}; it has {', '.join(map(repr, names[:8]))}"
        return ""

    @asynccontextmanager
    async def request(self, method: str, path: str, payload: bytes | None = None) -> AsyncIterator[Any]:
        """A response with status 200. Raises Refused for any other, and where none comes, within the block as well."""
        async with self._sent(method, path, payload) as response:
            if response.status != 200:
                raise self._refused(response, json_or_text(await whole(response)))
            yield response

    @asynccontextmanager
    async def _sent(self, method: str, path: str, payload: bytes | None = None) -> AsyncIterator[Any]:
        """A response, whatever its status. Raises Refused where none comes, within the block as well."""
        assert self._session
        try:
            async with self._session.request(method, self.url + path, data=payload, allow_redirects=False) as response:
                yield response
        except (TimeoutError, aiohttp.ConnectionTimeoutError) as e:
            if isinstance(e, aiohttp.ConnectionTimeoutError):
                raise bad_gateway(f"the model's server, {self.url}, cannot be reached: {e}", 504) from e
            if not isinstance(e, aiohttp.ServerTimeoutError):
                raise  # of a caller
            raise bad_gateway(f"the model's server, {self.url}, was silent for {self.timeout:g} s", 504) from e
        except aiohttp.ClientError as e:
            what = str(e) or type(e).__name__
            raise bad_gateway(self._clean(f"the model's server, {self.url}, did not answer: {clipped(what)}")) from e

    def refusal(self, body: Any) -> Refused | None:
        """What a reply with status 200 says went wrong, as some gateways do."""
        status = http_errors.meant(200, body)
        return None if status == 200 else self._told(status, body, {})

    def _refused(self, response: aiohttp.ClientResponse, body: Any) -> Refused:
        headers = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
        return self._told(response.status, body, headers)

    def _told(self, status: int, body: Any, headers: dict[str, str]) -> Refused:
        failure = http_errors.failure(status, body)
        if status < 400:
            return bad_gateway(self._clean(f"the model's server, {self.url}: {failure.detail}"))
        if status in (401, 403):
            what = "refused the key of this server (--api-key-env), not yours"
            return bad_gateway(self._clean(f"the model's server {what}: {failure.detail}"))
        error = body.get("error", body) if isinstance(body, dict) else {}
        error = error if isinstance(error, dict) else {"message": error}
        said = error.get("message") or error.get("detail")
        message = self._clean(clipped(said, 2000)) if isinstance(said, str) else self._clean(failure.detail)
        if failure.reason == TOO_LONG:
            return too_long(message)
        if failure.reason == NO_ROOM:
            return too_long(f"{message} (this server asks for room to reason: --max-response-tokens)")
        code, kind = error.get("code"), error.get("type")
        code = str(code) if isinstance(code, (str, int)) and str(code) != str(status) else None
        kind = kind if isinstance(kind, str) else "server_error" if status >= 500 else "invalid_request_error"
        return Refused(status, message, type=kind, code=code, headers=headers)

    def _clean(self, text: str) -> str:
        return text.replace(self.key, "…") if self.key else text

    def check(self, asked: Any, usage: Any) -> None:
        """Raise Refused where the usage shows that the prompt was cut in silence. Some servers leave out of their count
        what a cache had: a prompt no longer than one that was counted whole is in no doubt.
        """
        counted = http_errors.count(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
        if not counted:
            return
        self.read = max(self.read, counted)
        if (fewest := window.least(asked, counted)) > self.read:
            raise bad_gateway(
                f"the model's server counted {counted:,} tokens of a prompt that has {fewest:,} at least: it cut the "
                f"prompt, since its context window is too small. Raise it ({window.RAISE})"
            )


async def whole(response: aiohttp.ClientResponse) -> bytes:
    """A body, if it is no larger than one may be. Raises Refused otherwise."""
    if (response.headers.get("Content-Encoding") or "identity") != "identity":
        raise bad_gateway("the model's server compressed its reply, which was not asked for")
    parts, size = [], 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MOST_BYTES:
            raise bad_gateway(f"the reply of the model's server is longer than {MOST_BYTES >> 20} MiB")
        parts.append(part)
    return b"".join(parts)


def completion(body: bytes) -> dict[str, Any]:
    """A chat completion as read from a reply. Raises Refused for what is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise bad_gateway(f"the model's server sent no JSON: {clipped(body[:400].decode(errors='replace'))}")
    return found
