"""The server behind, which has the model: asked through OpenAI's client, and what it refuses said as it said it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai

from datagen.errors import masked
from datagen.llm import window
from datagen.llm.base import Request
from datagen.serve.refusal import Refused
from datagen.serve.reply import Choice

TOO_LONG = "context_length_exceeded"
CUT = "prompt_cut"
_SHORT = 16  # tokens of a reply that nobody reads


@dataclass
class Upstream:
    """base_url, key: where it is. model: its name there. window: the tokens it has room for; None: it does not say.
    uncached: whether it counts only those tokens of a prompt that its cache had not; None: not known yet.
    """

    base_url: str
    model: str
    key: str | None
    timeout: float
    window: int | None = None
    uncached: bool | None = None
    client: openai.AsyncOpenAI = field(init=False)

    def __post_init__(self) -> None:
        timeout = openai.Timeout(self.timeout, connect=min(30.0, self.timeout), pool=None)
        self.client = openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=self.key or "none",
            max_retries=0,  # the client in front tries again, and knows how long it can wait
            timeout=timeout,
            http_client=openai.DefaultAioHttpClient(timeout=timeout, follow_redirects=False),
        )

    async def look(self) -> str:
        """Find out the window. Returns why the server cannot be asked, or nothing."""
        try:
            async with asyncio.timeout(window.LOOK):
                listed = await self.client.get("/models", cast_to=object)
        except (openai.OpenAIError, TimeoutError) as e:
            return str(e) or type(e).__name__
        self.window = window.of_model(listed, self.model)
        return ""

    def check(self, messages: list[dict[str, str]], reply: int) -> None:
        """Raise Refused for a prompt that has no room, whatever the tokenizer."""
        needed = window.least(Request(self.model, messages, {}), 0) + reply
        if self.window and needed > self.window:
            raise Refused(
                400,
                f"the prompt and a reply of {reply:,} tokens need {needed:,} tokens at least, and the model has a "
                f"window of {self.window:,}. A document is never cut: ask about a part of it",
                TOO_LONG,
            )

    async def complete(self, body: dict[str, Any]) -> Any:
        """The whole reply. Raises Refused."""
        async with _said(self):
            found = await self.client.post("/chat/completions", body=body, cast_to=object)
        if not isinstance(found, dict) or not isinstance(found.get("choices"), list) or not found["choices"]:
            error = found.get("error") if isinstance(found, dict) else None
            said = f"says: {masked(str(error))[:500]}" if error else "gave a reply without choices"
            raise Refused(502, f"the server behind {said}")
        await self.settle(body["messages"], found.get("usage"))
        return found

    @asynccontextmanager
    async def stream(self, body: dict[str, Any]) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The pieces of the reply, as objects. Raises Refused, also as they are taken. Left early, the request ends."""
        async with _said(self):
            stream = await self.client.post(
                "/chat/completions",
                body=body | {"stream": True, "stream_options": {"include_usage": True}},
                cast_to=object,
                stream=True,
                stream_cls=openai.AsyncStream[Any],
            )
        try:
            yield self._pieces(stream)
        finally:
            await stream.close()

    async def _pieces(self, stream: Any) -> AsyncIterator[dict[str, Any]]:
        async with _said(self):
            async for piece in stream:
                if isinstance(piece, dict):
                    yield piece

    async def settle(self, messages: list[dict[str, str]], usage: Any) -> None:
        """Raise Refused where the server cut the prompt: it counted fewer tokens than there can be, and that is not for
        its cache, as one more request with another beginning shows.
        """
        counted = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        if type(counted) is not int or self.uncached or not (fewest := self._missing(messages, counted)):
            return
        anew = [{**messages[0], "content": f"{secrets.token_hex(16)}\n{messages[0]['content']}"}, *messages[1:]]
        async with _said(self):
            probe: Any = await self.client.post(
                "/chat/completions",
                body={"model": self.model, "messages": anew, "max_tokens": _SHORT},
                cast_to=object,
            )
        again = (probe.get("usage") or {}).get("prompt_tokens") if isinstance(probe, dict) else None
        if type(again) is int and not self._missing(anew, again):
            self.uncached = True
            return
        raise Refused(
            502,
            f"the server behind counted {counted:,} tokens of a prompt that has {fewest:,} at least: it cut the "
            f"document. Raise its window ({window.RAISE})",
            CUT,
        )

    def _missing(self, messages: list[dict[str, str]], counted: int) -> int:
        return window.least(Request(self.model, messages, {}), counted)

    async def close(self) -> None:
        """Give up the connections."""
        await self.client.close()


def heard(choices: dict[int, Choice], listed: Any) -> list[tuple[int, str, str]]:
    """Add what a reply, or a piece of one, says to its choices. Returns what is new: the choice, text, reasoning."""
    new = []
    for position, each in enumerate(listed if isinstance(listed, list) else []):
        if not isinstance(each, dict):
            continue
        index = each["index"] if type(each.get("index")) is int else position
        choice = choices.setdefault(index, Choice())
        said = each.get("delta") or each.get("message") or {}
        text, refusal = _text(said.get("content")), _text(said.get("refusal"))
        reasoning = _text(said.get("reasoning_content")) or _text(said.get("reasoning"))
        choice.text, choice.reasoning = choice.text + text, choice.reasoning + reasoning
        choice.refusal, choice.finish = choice.refusal + refusal, each.get("finish_reason") or choice.finish
        new.append((index, text, reasoning))
    return new


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


@asynccontextmanager
async def _said(upstream: Upstream) -> AsyncIterator[None]:
    """Turn what OpenAI's client raises into Refused, with the status that the client in front should see."""
    try:
        yield
    except openai.APIStatusError as e:
        body = e.body if isinstance(e.body, dict) else {}
        code = str(body.get("code") or "") or None
        message = masked(str(body.get("message") or e.message))[:2000]
        if e.status_code == 400 and "context" in message.lower():
            code = TOO_LONG
        # That this program has no right to ask is not the client's fault, nor can it change that.
        status = 502 if e.status_code in (401, 403) or e.status_code < 400 else e.status_code
        raise Refused(status, f"the server behind says: {message}", code, e.response.headers.get("retry-after")) from e
    except (openai.APIConnectionError, httpx.HTTPError) as e:
        cause: BaseException = e
        while cause.__cause__:
            cause = cause.__cause__
        if isinstance(cause, TimeoutError):  # the client's own classes call a closed connection a time-out, too
            raise Refused(504, f"the server behind did not reply within {upstream.timeout:g} seconds") from e
        what = str(cause) or type(cause).__name__
        raise Refused(502, f"the server behind cannot be reached, or hung up: {what}") from e
    except openai.OpenAIError as e:  # an error in the middle of a stream, a reply that is no JSON
        raise Refused(502, f"the server behind gave a reply that cannot be read: {masked(str(e))[:500]}") from e
    except ValueError as e:
        raise Refused(502, f"the server behind gave a reply that cannot be read: {str(e)[:500]}") from e
