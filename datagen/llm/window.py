"""How much of a prompt a server reads: what it says of its context window, and whether it cut a prompt in silence.

Ollama leaves the end of a prompt that its window does not hold, replies, and counts what it left: `usage.prompt_tokens`
is all that tells (ollama/ollama#3839, #17889). No count is doubted that some tokenizer could have come to. And some
servers leave what their cache had out of their counts (ollama/ollama#5370, #16428), so a doubt is settled by the same
request behind words that no cache has.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

from datagen.config.llm import EngineConfig
from datagen.llm.base import Completion, Request
from datagen.llm.dispatch import EndpointState
from datagen.llm.endpoint import payload
from datagen.llm.http_errors import CUT, Failure, count, meant
from datagen.llm.pool import Failed, Pool
from datagen.text import scripts

DOUBT = "prompt maybe cut by the server"
RAISE = "Ollama: OLLAMA_CONTEXT_LENGTH, llama.cpp: --ctx-size, vLLM: --max-model-len, SGLang: --context-length"
LOOK = 5.0  # seconds that a server has to say what its window is
WAIT = 1.0  # seconds until those that wait for a doubt to be settled look again
FITS = 1000  # tokens that any window holds
PER_TOKEN = 6  # characters: a prompt of fewer is whole, without a closer look
PER_WORD = 0.75  # tokens, at least: most tokenizers make one or more of a word, few join frequent words
UNSPACED_PER_TOKEN = 4  # characters, at most, of scripts without spaces between words
_UNSPACED = re.compile(f"[{scripts.UNSPACED}]")
_NATIVE = ("/api/v0/models", "/api/ps")  # where LM Studio and Ollama say what they loaded
_SHORT_REPLY = 16  # tokens


def least(request: Request, counted: int) -> int:
    """The fewest tokens that a request's prompt can have, if a server counted fewer; else 0."""
    texts = [message["content"] for message in request.messages]
    if sum(map(len, texts)) <= PER_TOKEN * counted:
        return 0
    words = sum(len(text.split()) + len(_UNSPACED.findall(text)) / UNSPACED_PER_TOKEN for text in texts)
    fewest = int(PER_WORD * words)
    return fewest if fewest > max(counted, FITS) else 0


class Counts:
    """What the servers of a pool count as prompt tokens: all that they were sent, what they left of it, or what their
    cache had not.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.doubted: dict[EndpointState, int] = {}  # that counted so few tokens once
        self.settling: set[EndpointState] = set()
        self.cutting: set[EndpointState] = set()
        # Those that count what their cache had not, and the longest prompt that one is known to have read whole
        self.uncached: dict[EndpointState, int] = {}

    def check(self, request: Request, endpoint: EndpointState, found: Completion) -> None:
        """Raise Failed for a reply to a prompt that was cut, or may have been: then it is sent again."""
        fewest = 0 if found.estimated else least(request, found.prompt_tokens)
        if fewest <= self.uncached.get(endpoint, 0):
            return
        raise self._failed(endpoint, found.prompt_tokens, fewest, found)

    async def settle(
        self,
        request: Request,
        endpoint: EndpointState,
        lacks: frozenset[str],
        refusal: Callable[[EndpointState, Any, frozenset[str]], Failed],
    ) -> None:
        """Find out whether an endpoint in doubt cuts prompts, by one that is too long for what it counted. Raises
        Failed then: this attempt was for that.
        """
        counted = self.doubted.get(endpoint)
        if counted is None or (fewest := least(request, counted)) <= self.uncached.get(endpoint, 0):
            return
        if endpoint in self.settling:
            raise self._again(_what(endpoint, counted, fewest), WAIT, None)
        self.settling.add(endpoint)
        try:
            raise await self._probed(request, endpoint, lacks, refusal)
        finally:
            self.settling.discard(endpoint)

    async def _probed(
        self,
        request: Request,
        endpoint: EndpointState,
        lacks: frozenset[str],
        refusal: Callable[[EndpointState, Any, frozenset[str]], Failed],
    ) -> Failed:
        probe = _anew(request)
        response = await self.pool.post(endpoint, "/chat/completions", payload(probe, lacks))
        body = self.pool.body(response)
        if meant(response.status_code, body) >= 300:
            return refusal(endpoint, response, lacks)
        usage = body.get("usage") if isinstance(body, dict) else None
        tokens = count(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
        fewest = least(probe, tokens) if tokens else 0
        self.doubted.pop(endpoint, None)
        if fewest:
            self.cutting.add(endpoint)
        else:
            self.uncached[endpoint] = least(probe, 1)
        took = Completion(request.key, prompt_tokens=tokens, completion_tokens=_SHORT_REPLY) if tokens else None
        return self._failed(endpoint, tokens or 0, fewest, took)

    def _failed(self, endpoint: EndpointState, counted: int, fewest: int, took: Completion | None) -> Failed:
        what = _what(endpoint, counted, fewest)
        if endpoint in self.cutting:
            others = [e for e in self.pool.endpoints if e.model == endpoint.model and not e.retired]
            elsewhere = any(other not in self.cutting for other in others)
            detail = f"{what}: its context window is too small. Raise it ({RAISE})"
            return Failed(Failure(CUT, detail, retryable=elsewhere), billed=took or "maybe")
        if fewest > self.uncached.get(endpoint, 0):
            self.doubted[endpoint] = max(counted, self.doubted.get(endpoint, 0))
        return self._again(what, 0.0, took or "maybe")

    def _again(self, what: str, wait: float, took: Completion | Literal["maybe"] | None) -> Failed:
        """It is no fault of anyone's, as far as is known."""
        failure = Failure(DOUBT, what, retryable=True, lacks="a count that is known to be of the whole prompt")
        return Failed(failure, counts=0, wait=wait, billed=took)


def _what(endpoint: EndpointState, counted: int, fewest: int) -> str:
    return f"{endpoint.name} counted {counted:,} tokens of a prompt that has {fewest:,} at least"


def _anew(request: Request) -> Request:
    """The request behind words that no cache has, with a short reply."""
    first, *rest = request.messages
    messages = [first | {"content": f"{secrets.token_hex(16)}\n{first['content']}"}, *rest]
    limits = {name for name in ("max_tokens", "max_completion_tokens") if name in request.sampling}
    sampling = request.sampling | dict.fromkeys(limits or {"max_tokens"}, _SHORT_REPLY)
    return replace(request, messages=messages, sampling=sampling, schema=None)


def stated(engine: EngineConfig) -> dict[str, int]:
    """The context windows, in tokens, that an engine's endpoints say they have, by address. One that does not say, or
    not at once, is left out; OpenAI's own does not.
    """
    if engine.kind == "vllm":
        given = count(engine.vllm.get("max_model_len"))
        return {"engine.vllm.max_model_len": given} if given else {}
    endpoints = [endpoint for endpoint in engine.endpoints if endpoint.base_url]
    if engine.kind != "openai" or not endpoints:
        return {}
    pool = Pool([(endpoint, engine.model or "") for endpoint in endpoints], LOOK, patience=None)
    return asyncio.run(_ask_all(pool))


async def _ask_all(pool: Pool) -> dict[str, int]:
    try:
        found = await asyncio.gather(*(_within(LOOK, _ask(pool, endpoint)) for endpoint in pool.endpoints))
    finally:
        await pool.close()
    names = [endpoint.name for endpoint in pool.endpoints]
    return {name: tokens for name, tokens in zip(names, found, strict=True) if tokens}


async def _within(seconds: float, asked: Awaitable[int | None]) -> int | None:
    """What was asked for, or None where nothing comes of it: who does not say his window has none that is known."""
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except (Failed, TimeoutError):
        return None


async def _ask(pool: Pool, endpoint: EndpointState) -> int | None:
    if tokens := await _read(pool, endpoint, "/models"):
        return tokens
    if endpoint.config.api_key_env:  # a service, and none of those that have such paths
        return None
    parts = urlsplit(endpoint.name)
    for path in _NATIVE:
        if tokens := await _read(pool, endpoint, f"{parts.scheme}://{parts.netloc}{path}"):
            return tokens
    return None


async def _read(pool: Pool, endpoint: EndpointState, path: str) -> int | None:
    response = await pool.get(endpoint, path)
    return of_model(pool.body(response), endpoint.model) if response.status_code == 200 else None


def of_model(listed: Any, model: str) -> int | None:
    """The window of a model in a server's list of those that it has; of the only one, whatever its name."""
    entries = (listed.get("data") or listed.get("models")) if isinstance(listed, dict) else None
    known = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    names = model, f"{model}:latest"
    own = [entry for entry in known if entry.get("id") in names or entry.get("name") in names]
    if not own and len(known) == 1 and "id" in known[0]:
        own = known
    for entry in own:
        meta = entry["meta"] if isinstance(entry.get("meta"), dict) else {}
        loaded = entry.get("max_model_len"), meta.get("n_ctx"), entry.get("loaded_context_length")
        trained = entry.get("context_length"), entry.get("max_context_length"), meta.get("n_ctx_train")
        if tokens := next(filter(None, map(count, (*loaded, *trained))), None):
            return tokens
    return None
